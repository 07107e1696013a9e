"""Extractive question answering: find the stretch of a text that answers a question about it."""
