"""The session list of the API as a source: sweeps, owners, protection, the check before a DELETE."""
