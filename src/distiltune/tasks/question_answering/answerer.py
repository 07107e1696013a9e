"""Asking a trained model: questions and a text in, answers with their place in the text out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distiltune.device import choose_device, set_threads
from distiltune.errors import DataError, ModelError
from distiltune.model.build import LoadedModel, load_model
from distiltune.tasks.question_answering.decode import Candidate, Decoded
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.features import N_SPECIAL_TOKENS, WindowSettings, make_features
from distiltune.tasks.question_answering.reading import ReadingSettings, read_answers
from distiltune.tasks.question_answering.task import HEAD_RULES, NULL_THRESHOLD, make_span_head

# A sentence ends at one of these and white space, or at an empty line.
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*\s+|\n\s*\n")


@dataclass(frozen=True, slots=True)
class FoundAnswer:
    """One possible answer and where it stands.

    Attributes:
        text: exactly the characters ``start:end`` of the text that was asked.
        start: its first code point.
        end: one past its last.
        confidence: probability of its start times that of its end, in the window where it is likeliest.
        line: line of the text that it starts on, counted from 1.
        column: code point of that line that it starts at, counted from 1.
        sentence: the sentence or sentences around it, as they stand in the text.
        sentence_start: the sentence's first code point in the text.

    """

    text: str
    start: int
    end: int
    confidence: float
    line: int
    column: int
    sentence: str
    sentence_start: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model says to one question.

    Attributes:
        question: as asked.
        answer: the best answer; None if the model holds that the text does not tell.
        candidates: the best possible answers, best first, also where ``answer`` is None.
        no_answer_confidence: probability of "the text does not tell" in the window where it is least; it means
            something only for a model trained with unanswerable questions.

    """

    question: str
    answer: FoundAnswer | None
    candidates: tuple[FoundAnswer, ...]
    no_answer_confidence: float

    @property
    def text(self) -> str:
        """The answer's text, empty if there is none."""
        return self.answer.text if self.answer is not None else ""

    def as_json(self) -> dict[str, Any]:
        """The reply as plain values."""
        return asdict(self)


class Answerer:
    """Answers questions from texts of any length.

    >>> answerer = Answerer("runs/squad/model")
    >>> reply = answerer("Who signs the lease?", open("handbook.txt").read())
    >>> reply.text, reply.answer.confidence, reply.answer.sentence
    """

    def __init__(
        self,
        model: str | Path,
        *,
        device: str = "auto",
        threads: int = 0,
        max_length: int = 384,
        stride: int = 128,
        max_answer_tokens: int = 30,
        null_threshold: float | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: a model directory, a run, or a name on the Hugging Face hub.
            device: ``auto``, ``cpu`` or ``cuda``.
            threads: threads of tensor work on the CPU; 0 means as many as there are usable cores.
            max_length: most tokens in a window.
            stride: tokens that neighbouring windows share. A model with positions for less than ``max_length`` tokens
                is asked in windows of what it has, which share a third at most.
            max_answer_tokens: longest answer, in tokens.
            null_threshold: "no answer" is given where its score exceeds the best answer's by more than this; by
                default what the model directory says, and without that an answer is always given.

        Raises:
            ModelError: if the model cannot be read, or has no head for this task.
            HubError: if a hub name cannot be fetched.

        """
        set_threads(threads)
        self._loaded = load_question_answerer(str(model), device)
        limit = self._loaded.source.config.max_position_embeddings
        if limit < max_length:
            max_length, stride = limit, min(stride, limit // 3)
        self._windows = WindowSettings(max_length, stride, (max_length - N_SPECIAL_TOKENS - stride) // 2)
        self._max_answer_tokens = max_answer_tokens
        stored = self._loaded.source.config_hf.get(NULL_THRESHOLD)
        if null_threshold is None and isinstance(stored, int | float):
            null_threshold = float(stored)
        self.null_threshold = null_threshold

    @property
    def notes(self) -> tuple[str, ...]:
        """What was remarkable about the model when it was read."""
        return self._loaded.source.notes

    def __call__(self, question: str, context: str, *, n_best: int = 5) -> Reply:
        """Answer one question from one text.

        Raises:
            DataError: if the question or the text is empty.

        """
        return self.ask([question], context, n_best=n_best)[0]

    def ask(self, questions: Sequence[str], context: str, *, n_best: int = 5) -> list[Reply]:
        """Answer several questions from one text, which is tokenised once.

        Raises:
            DataError: if a question or the text is empty.

        """
        if not context.strip():
            raise DataError("The text is empty.", fix="give a text that may hold the answer")
        for number, question in enumerate(questions, start=1):
            if not question.strip():
                raise DataError("The question is empty.", where=f"question {number}", fix="ask something")
        examples = [Example(str(i), question, context, ()) for i, question in enumerate(questions)]
        features = make_features(examples, self._loaded.tokenizer, self._windows)
        settings = ReadingSettings(max_answer_tokens=self._max_answer_tokens, n_best=n_best)
        place = _Places(context)
        return [
            self._reply(example.question, decoded, place)
            for example, decoded in read_answers(self._loaded.model, examples, features, settings)
        ]

    def _reply(self, question: str, decoded: Decoded, place: _Places) -> Reply:
        candidates = tuple(place.of(candidate) for candidate in decoded.candidates)
        says_none = self.null_threshold is not None and decoded.null_score_difference > self.null_threshold
        return Reply(
            question=question,
            answer=None if says_none or not candidates else candidates[0],
            candidates=candidates,
            no_answer_confidence=decoded.null_probability,
        )


def load_question_answerer(name: str, device: str) -> LoadedModel:
    """Load a model that can answer: an encoder and a trained span head.

    Raises:
        ModelError: if the model cannot be read, or has no head for this task.
        HubError: if a hub name cannot be fetched.

    """
    loaded = load_model(name, HEAD_RULES, make_span_head, choose_device(device))
    if loaded.source.missing:
        raise ModelError(
            "The model has no trained question-answering head, so it cannot answer.",
            where=f"{loaded.source.directory}: {', '.join(loaded.source.missing)}",
            fix=f"fine-tune it first: distiltune train --model {name} --train DATA --output RUN",
        )
    loaded.model.eval()
    return loaded


class _Places:
    """Where candidates stand in one text: line, column, sentence."""

    def __init__(self, text: str) -> None:
        self._text = text

    def of(self, candidate: Candidate) -> FoundAnswer:
        """The candidate with its place."""
        sentence_start, sentence_end = sentence_around(self._text, candidate.start, candidate.end)
        line_start = self._text.rfind("\n", 0, candidate.start) + 1
        return FoundAnswer(
            text=candidate.text,
            start=candidate.start,
            end=candidate.end,
            confidence=candidate.probability,
            line=self._text.count("\n", 0, candidate.start) + 1,
            column=candidate.start - line_start + 1,
            sentence=self._text[sentence_start:sentence_end],
            sentence_start=sentence_start,
        )


def sentence_around(text: str, start: int, end: int, reach: int = 400) -> tuple[int, int]:
    """Where the sentence or sentences that hold ``text[start:end]`` begin and end, white space left out.

    Looks at most ``reach`` characters to either side.
    """
    low, high = max(0, start - reach), min(len(text), end + reach)
    for match in _SENTENCE_END.finditer(text, low, start):
        low = match.end()
    following = _SENTENCE_END.search(text, max(start, end - 1), high)
    high = following.end() if following else high
    while low < start and text[low].isspace():
        low += 1
    while high > end and text[high - 1].isspace():
        high -= 1
    return low, high
