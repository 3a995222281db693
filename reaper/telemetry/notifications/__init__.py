"""Sends messages to people and pings to a monitor, each in a thread of its own: no receiver can hold up the work."""
