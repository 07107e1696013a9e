"""Extractive question answering: find the stretch of a text that answers a question about it."""

from distiltune.tasks.question_answering.task import from_recipe

__all__ = ["from_recipe"]
