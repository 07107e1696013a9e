"""From a teacher to a student: of the encoder on plain text, and while fine-tuning."""
