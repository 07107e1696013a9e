"""Questions made from plain texts, without labels and without a model that writes: see `make`."""
