"""Which concerns about questions matter to a training, how much, and what to do then."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from distiltune.checks.concerns import Concern

HEADLINES = {
    "question_leaked": "the same questions are in the training and in the validation data",
    "nothing_answerable": "no question has an answer",
    "mostly_unanswerable": "hardly any question has an answer",
    "position_bias": "nearly all answers are in one place of their texts",
    "answer_cut_into_word": "the answers are shifted against their texts",
    "answer_at_nearest": "the answers' offsets are wrong",
    "answer_in_no_window": "windows cut answers apart",
    "question_truncated": "questions are cut short",
    "answer_not_found": "answers are not in their texts",
    "answer_ambiguous": "answers cannot be placed in their texts",
    "hardly_covered": "the vocabulary hardly covers the texts",
}
MANY_REJECTED = 0.02
"""A share of the rows that a training leaves out from which on it says so again when it ends."""


def in_training(concerns: Iterable[Concern]) -> tuple[Concern, ...]:
    """The concerns that matter to a training, as severe as `distiltune check` calls them."""
    return tuple(
        replace(concern, headline=HEADLINES.get(concern.kind, "")) for concern in concerns if _matters(concern)
    )


def _matters(concern: Concern) -> bool:
    if concern.kind in ("few_questions", "mostly_unanswerable"):
        return True
    if concern.kind in ("answer_not_found", "answer_ambiguous") and concern.share >= MANY_REJECTED:
        return True
    return concern.kind in HEADLINES and concern.severity == "error"
