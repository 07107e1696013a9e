"""What can be wrong with data, and what a training costs: found before the first step."""
