"""Generates completions, manual pages and docs/commands.md from the command line's parser."""
