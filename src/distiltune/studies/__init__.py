"""Several trainings, or a short one, looked at together: search, learning-rate test, comparison."""
