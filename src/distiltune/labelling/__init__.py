"""Labelling any task's texts in the browser: items, the file, what comes next, retraining. It knows no task."""
