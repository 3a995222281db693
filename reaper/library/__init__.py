"""Stop sessions from Python. The public names are those of `reaper`; see docs/library.md."""
