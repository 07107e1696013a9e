"""distiltune: fine-tune DistilBERT to answer questions from your own texts."""

__version__ = "0.1.0"
