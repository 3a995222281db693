"""What the reaper tells about itself: log events, metrics, the health server."""
