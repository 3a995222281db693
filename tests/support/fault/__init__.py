"""Killers, checkers and measures of the fault tests."""
