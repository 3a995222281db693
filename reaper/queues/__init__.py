"""The queue of accepted IDs and their outcomes. `base` holds the promises; each engine has a folder."""
