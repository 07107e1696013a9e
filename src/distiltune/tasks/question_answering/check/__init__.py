"""What is wrong with questions and answers."""
