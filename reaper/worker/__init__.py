"""The worker: claims items, stops their sessions, settles the results."""
