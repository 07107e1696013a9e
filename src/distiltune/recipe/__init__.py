"""The whole recipe: every setting of a run, and which task it is for."""
