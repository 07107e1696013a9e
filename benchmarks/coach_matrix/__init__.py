"""Trainings that go wrong on purpose and trainings that go well, for all three tasks: what the coach says first."""
