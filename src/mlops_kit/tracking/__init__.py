"""What happened: `track`, `Run`, and what a run records."""
