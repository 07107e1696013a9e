"""What each command does, a thin function each; `cli` puts them in order. Imports torch only inside functions."""
