"""A run: its directory, preparing, keeping, resuming, results."""
