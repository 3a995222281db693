"""Logs, metrics, notifications to systemd, and the health listener with its page."""
