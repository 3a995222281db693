"""The console: which of its paths there are, who may act, and the acts. Each part is imported on first use."""
