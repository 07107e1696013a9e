"""The encoder, and the model directories it is read from and written to."""
