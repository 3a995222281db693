"""Peers and inputs for the HTTP transport."""
