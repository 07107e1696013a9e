"""`python -m distiltune`: the same as the command."""

from distiltune.cli import main

main()
