"""The API's own list as a source: sweeps, owners, protection, the check before a DELETE."""
