"""The small model and the small data set inside the package."""
