"""Files to packed batches: nothing here knows what a row means."""
