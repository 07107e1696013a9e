"""Serving any task over HTTP: batching across requests, limits, metrics, files to text. It knows no task."""
