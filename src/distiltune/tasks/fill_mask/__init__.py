"""Masked language modelling: an encoder learns one's own texts, by words that are masked, before any task."""
