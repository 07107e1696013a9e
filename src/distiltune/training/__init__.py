"""The loop, and what it needs: optimiser, schedule, checkpoints, log."""
