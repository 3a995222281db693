"""Reaper stops expired and orphaned hosted clone sessions, and accounts for every one of them."""

__version__ = "0.1.0"
