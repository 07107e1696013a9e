"""The whole product in Python: a function for each command, which takes data in memory and gives a record."""
