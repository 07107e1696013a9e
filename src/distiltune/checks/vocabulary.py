"""What is doubtful about the model's vocabulary, before anything is trained with it."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from distiltune.checks.concerns import Concern
from distiltune.model.vocabulary_case import case_doubt


def case_concerns(directory: Path, tokenizer: Tokenizer) -> list[Concern]:
    """Whether the tokenizer of a model directory makes small what its vocabulary has in capitals, or the opposite."""
    doubt = case_doubt(directory, tokenizer)
    return [] if doubt is None else [Concern("warning", doubt.kind, doubt.message.removesuffix("."), doubt.fix)]
