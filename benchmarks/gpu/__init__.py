"""On one GPU: correct first, then how quick, beside the `transformers` Trainer: `python -m benchmarks.gpu`."""
