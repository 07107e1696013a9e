"""What a run came to, for people: table, curves, model card, page."""
