"""Which concerns about questions matter to a training, how much, and what to do then."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from distiltune.checks.concerns import MANY_LEAKED, Concern, Severity

HEADLINES = {
    "question_leaked": "the same questions are in the training and in the validation data",
    "nothing_answerable": "no question has an answer",
    "position_bias": "nearly all answers are in one place of their texts",
    "answer_cut_into_word": "the answers are shifted against their texts",
    "answer_moved": "the answers' offsets are wrong",
    "answer_in_no_window": "windows cut answers apart",
    "question_truncated": "questions are cut short",
    "answer_not_found": "answers are not in their texts",
    "answer_ambiguous": "answers cannot be placed in their texts",
    "hardly_covered": "the vocabulary hardly covers the texts",
}
_MANY_REJECTED = 0.02


def in_training(concerns: Iterable[Concern]) -> tuple[Concern, ...]:
    """The concerns that matter to a training, as it is told of them."""
    found = ((concern, _severity(concern)) for concern in concerns)
    return tuple(
        replace(concern, severity=severity, headline=HEADLINES.get(concern.kind, ""))
        for concern, severity in found
        if severity is not None
    )


def _severity(concern: Concern) -> Severity | None:
    """How much a concern about the data matters to a training; None if it does not."""
    if concern.kind == "question_leaked":
        return "error" if concern.share >= MANY_LEAKED else None
    if concern.kind == "few_questions":
        return "warning"
    if concern.kind not in HEADLINES:
        return None
    if concern.kind in ("answer_not_found", "answer_ambiguous"):
        return "error" if concern.share >= _MANY_REJECTED else None
    return "error" if concern.severity == "error" else None
