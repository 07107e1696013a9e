"""The tasks: one folder each, one line each in the table."""
