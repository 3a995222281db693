"""Where accepted IDs wait and where outcomes are recorded. `base` holds the promises, one file each back-end."""
