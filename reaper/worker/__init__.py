"""The worker: claims items, stops their sessions, settles the results. `attempt.py` has the life of one ID."""
