"""The client of the API. A send returns a reply and never raises for a fault of the network."""
