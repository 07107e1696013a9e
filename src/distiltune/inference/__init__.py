"""Trained models on data, without gradients."""
