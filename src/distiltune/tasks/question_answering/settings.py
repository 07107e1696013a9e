"""What of the recipe is question answering's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from distiltune.settings.engine import Count, EngineSettings, Positive, Text, joined_by
from distiltune.settings.marks import STORED
from distiltune.settings.stored import fill_windows, trained_windows


class QuestionAnsweringSettings(EngineSettings):
    """The settings of a training that is for questions."""

    train_questions: Count = 0
    """The same as `train_examples`; excludes it."""
    validation_questions: Count = 0
    """The same as `validation_examples`; excludes it."""
    max_question_tokens: Annotated[Count, STORED] = 0
    """Longest question kept whole, in tokens; 0 means half of what a window leaves beside the stride."""
    max_answer_tokens: Annotated[Positive, STORED] = 30
    """Longest answer read out, in tokens."""
    n_best: Positive = 20
    """Candidates kept for each question when answers are read out."""
    no_answer: Annotated[Text, BeforeValidator(joined_by("|"))] = ""
    """Texts that stand for "there is no answer" in the data, parted by `|`, such as `ANSWERNOTFOUND`; a blank one for
    answers of white space alone."""
    null_threshold: float | None = None
    """"No answer" is given where its score exceeds the best answer's by more than this. By default a training takes the
    threshold of the best F1 on its validation data (0 where that does not hold on held-out questions, or without any
    unanswerable there) if it trains on unanswerable questions, else an answer is always given; elsewhere it is the
    model's own."""


def question_limit(settings: QuestionAnsweringSettings) -> int:
    """Longest question kept whole, in tokens, with the default worked out."""
    return settings.max_question_tokens or (settings.max_length - 3 - settings.stride) // 2


def check(settings: QuestionAnsweringSettings) -> None:
    """Check that windows can move on.

    Raises:
        ValueError: if they cannot, naming the settings.

    """
    limit = question_limit(settings)
    if limit + settings.stride + 4 > settings.max_length or limit < 1:
        raise ValueError(
            f"max_length ({settings.max_length}) must be at least max_question_tokens ({limit}) + "
            f"stride ({settings.stride}) + 4, or windows cannot move on"
        )


def fill_question_windows(
    given: Mapping[str, Any], stored: Mapping[str, Any], limit: int | None = None
) -> dict[str, int]:
    """As `fill_windows`, with the longest question: one not given is at most half of what other windows leave.

    A ``max_question_tokens`` of 0 means half of what a window leaves.
    """
    windows = fill_windows(given, stored, limit)
    length, stride = windows["max_length"], windows["stride"]
    half = (length - 3 - stride) // 2  # [CLS] question [SEP] context [SEP]
    question = given.get("max_question_tokens", stored.get("max_question_tokens", 0)) or half
    is_cut = length < given.get("max_length", trained_windows(stored)[0])
    if is_cut or ("max_question_tokens" not in given and (length, stride) != trained_windows(stored)):
        question = min(question, half)
    return {**windows, "max_question_tokens": question}
