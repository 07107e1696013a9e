"""Question answering over HTTP."""
