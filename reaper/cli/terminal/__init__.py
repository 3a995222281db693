"""Everything drawn on a terminal: progress, dashboard, summary."""
