"""Stops sessions from Python. Public is what `reaper` itself names; docs/library.md tells how to use it."""
