"""The coach: what is wrong with the data, the learning rate or the training, and what to do about it."""
