"""Completion for shells, from the command line's own parser."""
