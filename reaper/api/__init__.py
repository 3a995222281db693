"""The HTTP edge: the one room that speaks to the API. What it hands back never raises for what a network can do."""
