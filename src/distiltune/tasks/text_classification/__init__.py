"""Text classification: one label a text or pair of texts, any number of labels, or a number."""
