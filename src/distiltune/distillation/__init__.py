"""What is learnt from a teacher: its outputs, hidden states and losses; knows no task."""
