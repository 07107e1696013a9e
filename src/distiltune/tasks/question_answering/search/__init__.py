"""Search over many documents: an index file, passages by words and by vectors, and what of them is read."""
