"""Multiple choice: which of several choices answers a question, with a text to it or without one."""
