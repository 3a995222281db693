"""Stopping sessions from Python. What is public is what `reaper` itself names; docs/library.md tells how to use it."""

# Before anything of ours imports it in a leaner form: the host program may want all of it.
import structlog as _structlog  # noqa: F401
