"""A trained model in other forms: ONNX, verified; and the way to the hub."""
