"""The in-memory queue."""
