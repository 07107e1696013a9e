"""Asking a trained model: questions and texts in, answers with their place in the texts out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from distiltune.data.held import as_list
from distiltune.data.values import is_encodable, text_problem
from distiltune.errors import DataError, RecipeError
from distiltune.model.build import LoadedModel
from distiltune.settings.bounds import check_values
from distiltune.settings.engine import Count, Positive
from distiltune.settings.stored import stored_settings
from distiltune.system.device import keep_freed_memory, set_threads
from distiltune.system.host import restored, with_threads
from distiltune.system.names import as_name
from distiltune.tasks.question_answering.calibration import POOL_SIZE
from distiltune.tasks.question_answering.decode import WindowLogits, decode, weigh_together
from distiltune.tasks.question_answering.documents import (
    ChosenParts,
    Document,
    DocumentPart,
    Documents,
    Searchable,
    as_documents,
    check_is_no_path,
)
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.features import (
    QuestionFeatures,
    WindowSettings,
    make_features,
)
from distiltune.tasks.question_answering.found_answers import FoundAnswer, ReadPart, found_answers
from distiltune.tasks.question_answering.inference import DecodingSettings, example_windows, read_windows
from distiltune.tasks.question_answering.passages import PassageIndex
from distiltune.tasks.question_answering.reply_html import reply_html
from distiltune.tasks.question_answering.reply_notes import ALWAYS_ANSWERS, cut_note, uncovered_note, unread_note
from distiltune.tasks.question_answering.settings import QuestionAnsweringSettings, fill_question_windows
from distiltune.tasks.question_answering.task import from_settings, stored_temperature, stored_threshold
from distiltune.tasks.trained import load_trained

QUESTIONS_AT_ONCE = 64
"""Questions whose windows are laid out together: bounds the memory, and shares the tokenised documents among them."""

OnProgress = Callable[[int, int], None]
"""Told how many windows are read, of how many."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model says to one question.

    Attributes:
        question: as asked.
        answer: the best answer; None if the model holds that the texts do not tell, or if nothing was read in time.
        candidates: the best possible answers that share no character, best first, also where ``answer`` is None.
        no_answer_confidence: from 0 to 1, as the candidates' confidence; it means something only for a model trained
            with unanswerable questions.
        no_answer_probability: probability of "the text does not tell", among the same.
        read_share: share of the characters that were read; below 1 after a first pass over passages, or if time ran
            out.
        notes: what is remarkable, in sentences, such as that the question was too long and is cut.
        can_decline: whether this model ever says that the texts do not tell; one that cannot gives its best guess.

    """

    question: str
    answer: FoundAnswer | None
    candidates: tuple[FoundAnswer, ...]
    no_answer_confidence: float
    no_answer_probability: float
    read_share: float = 1.0
    notes: tuple[str, ...] = ()
    can_decline: bool = True

    @property
    def text(self) -> str:
        """The answer's text, empty if there is none."""
        return self.answer.text if self.answer is not None else ""

    def as_json(self) -> dict[str, Any]:
        """The reply as plain values."""
        return asdict(self)

    def __repr__(self) -> str:
        sure = self.no_answer_confidence if self.answer is None else self.answer.confidence
        said = "no answer" if self.answer is None else repr(_short(self.answer.text))
        return f"<Reply {said} to {_short(self.question)!r}, confidence {sure:.0%}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the answer, how sure, where, and the sentence around it."""
        others = self.candidates[0 if self.answer is None else 1 :]
        listed = [(each.confidence, _short(each.text), each.place) for each in others]
        if self.answer is None:
            said = f"confidence {self.no_answer_confidence:.0%}"
            return reply_html(self.question, "no answer in this text", said, None, listed, self.notes)
        said = f"confidence {self.answer.confidence:.0%}, {self.answer.place}"
        return reply_html(self.question, self.answer.text, said, self.answer.in_sentence, listed, self.notes)


@dataclass(frozen=True, slots=True)
class PreparedQuestions:
    """Questions and texts, tokenised and cut into windows, before the model has seen them.

    Attributes:
        questions: as asked.
        documents: the texts.
        parts: what is read of them for each example.
        n_characters: of all texts, also of those that nothing is read of.
        notes: of each question, on what is read for it.
        question_of: ``examples[i]`` asks ``questions[question_of[i]]``; ascending.
        examples: one for each question and part.
        features: their windows.

    """

    questions: tuple[str, ...]
    documents: tuple[Document, ...]
    parts: tuple[DocumentPart, ...]
    n_characters: int
    notes: tuple[tuple[str, ...], ...]
    question_of: tuple[int, ...]
    examples: tuple[Example, ...]
    features: QuestionFeatures


class Answerer:
    """Answers questions from texts of any length.

    >>> answerer = Answerer("runs/squad/model")
    >>> reply = answerer("Who signs the lease?", open("handbook.txt").read())
    >>> reply.text, reply.answer.confidence, reply.answer.sentence
    """

    @restored()
    def __init__(
        self,
        model: str | Path,
        *,
        device: str = "auto",
        threads: int = 0,
        precision: str = "float32",
        max_length: int | None = None,
        stride: int | None = None,
        max_question_tokens: int | None = None,
        max_answer_tokens: int | None = None,
        null_threshold: float | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: a model directory, a run, an exported ONNX directory, or a name on the Hugging Face hub.
            device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
            threads: threads of tensor work on the CPU; 0 means as many as there are usable cores.
            precision: of the matrix products: ``float32``; ``bfloat16``, quicker on a processor or GPU made for it,
                where few answers differ, nearly all of them close calls; ``float16``, on a GPU without bfloat16 or
                Apple's; ``int8``, quicker still on a processor and a quarter of the memory; or ``auto``, bfloat16 where
                that gains. An exported ONNX model has its own.
            max_length: most tokens in a window; by default as the model was trained, 384 where that is not known. A
                model with positions for fewer is asked in windows of what it has.
            stride: tokens that neighbouring windows share; by default as the model was trained, 128 where that is not
                known, and never more than a third of a window that is shorter than there.
            max_question_tokens: longest question kept whole; 0 means half of what a window leaves beside the stride;
                by default as the model was trained, and never more than that half of other windows than there.
            max_answer_tokens: longest answer, in tokens; by default as the model was trained, or 30.
            null_threshold: "no answer" is given where its score exceeds the best answer's by more than this; by
                default what the model directory says, and without that an answer is always given.

        Raises:
            ModelError: if the model cannot be read, or has no head for this task.
            HubError: if a hub name cannot be fetched.
            RecipeError: if a setting is out of its bounds.

        """
        asked = {"max_length": max_length, "stride": stride, "max_question_tokens": max_question_tokens}
        given = check_values(QuestionAnsweringSettings, asked)
        decoding = {"max_answer_tokens": max_answer_tokens, "null_threshold": null_threshold}
        machine = {"threads": threads, "precision": precision, "device": device}
        others = check_values(QuestionAnsweringSettings, {**decoding, **machine})
        self._n_threads = set_threads(threads)
        keep_freed_memory()
        spec = from_settings(QuestionAnsweringSettings())
        self._loaded = load_trained(as_name(model, "model"), spec, device, precision).loaded
        config = self._loaded.source.config_hf
        stored = stored_settings(config, QuestionAnsweringSettings)
        limit = self._loaded.source.config.max_position_embeddings
        self._windows = _windows(stored, limit, given)
        self.max_answer_tokens: int = others.get("max_answer_tokens", stored.get("max_answer_tokens", 30))
        self.null_threshold: float | None = others.get("null_threshold", stored_threshold(config))
        temperature = stored_temperature(config)
        self.is_calibrated = temperature is not None
        self.temperature = 1.0 if temperature is None else temperature

    @property
    def n_threads(self) -> int:
        """Threads that tensor work on the CPU has while this one is asked; elsewhere they are as they were."""
        return self._n_threads

    @property
    def loaded(self) -> LoadedModel:
        """The model, its tokenizer and where they came from."""
        return self._loaded

    @property
    def windows(self) -> WindowSettings:
        """How texts are cut into windows."""
        return self._windows

    @property
    def notes(self) -> tuple[str, ...]:
        """What was remarkable about the model when it was read."""
        return self._loaded.source.notes

    def __call__(
        self, question: str, documents: Documents | Searchable, *, n_best: int = 5, passages: int = 0
    ) -> Reply:
        """Answer one question from one text or several, or from a `Folder`.

        Raises:
            DataError: if the question or the text is empty.

        """
        return self.ask([question], documents, n_best=n_best, passages=passages)[0]

    def ask(
        self,
        questions: Sequence[str],
        documents: Documents | Searchable,
        *,
        n_best: int = 5,
        passages: int = 0,
        on_progress: OnProgress = lambda n_read, n_all: None,
    ) -> list[Reply]:
        """Answer several questions from one text or several, which are tokenised once.

        Args:
            questions: what to ask.
            documents: one text, several, or several by name; scores are comparable across them. Or a `Folder`, of which
                the likeliest passages are read.
            n_best: most candidates in a reply; no two share a character.
            passages: read only this many passages, the likeliest for each question by BM25 (0: read everything; of a
                `Folder`: as it finds right).
            on_progress: told how many windows are read, of how many; counts restart every 64 questions.

        Raises:
            DataError: if a question or the text is empty, or passages are asked for without bm25s.
            RecipeError: if ``n_best`` is below 1 or ``passages`` below 0.

        """
        check_values(_Asking, {"n_best": n_best, "passages": passages})
        questions = as_list(questions, "questions", "put it into a list: [question]")
        if isinstance(documents, str):
            check_is_no_path(documents)
        with with_threads(self.n_threads):
            return self._ask(questions, documents, n_best, passages, on_progress)

    def _ask(
        self,
        questions: Sequence[str],
        documents: Documents | Searchable,
        n_best: int,
        passages: int,
        on_progress: OnProgress,
    ) -> list[Reply]:
        texts = documents if isinstance(documents, Searchable) else as_documents(documents)
        index = PassageIndex(texts) if passages and not isinstance(texts, Searchable) else None
        replies: list[Reply] = []
        for first in range(0, len(questions), QUESTIONS_AT_ONCE):
            some = questions[first : first + QUESTIONS_AT_ONCE]
            _check_questions(some, first + 1)
            if isinstance(texts, Searchable):
                prepared = self.prepare_chosen(some, texts.choose(some, passages))
            else:
                prepared = self.prepare(some, texts, index=index, passages=passages, first_number=first + 1)
            n_read, n_all = 0, len(prepared.features)

            def count(batch: Any, logits: Any, n_all: int = n_all) -> None:
                nonlocal n_read
                n_read += batch.n_features
                on_progress(n_read, n_all)

            windows = read_windows(
                self._loaded.model, prepared.examples, prepared.features, DecodingSettings().batch_tokens, count
            )
            replies += self._replies(prepared, ((each, 1.0) for _, each in windows), n_best)
        return replies

    def prepare(
        self,
        questions: Sequence[str],
        documents: Sequence[Document],
        *,
        index: PassageIndex | None = None,
        passages: int = 0,
        first_number: int = 1,
    ) -> PreparedQuestions:
        """Tokenise questions and texts and cut them into windows.

        Raises:
            DataError: if a question is empty, or a question or a text holds what is no character.

        """
        for number, document in enumerate(documents, start=1):
            if not is_encodable(document.text):
                raise DataError(
                    "The text has half of a surrogate pair, which is not a character.",
                    where=document.name or f"text {number}",
                    fix="read it in the encoding that it was written in",
                )
        whole = tuple(DocumentPart(number, 0, document.text) for number, document in enumerate(documents))
        parts = tuple(whole if index is None else tuple(index.parts(each, passages)) for each in questions)
        n_characters = sum(len(document.text) for document in documents)
        chosen = ChosenParts(tuple(documents), parts, n_characters, ((),) * len(questions))
        return self.prepare_chosen(questions, chosen, first_number)

    def prepare_chosen(self, questions: Sequence[str], chosen: ChosenParts, first_number: int = 1) -> PreparedQuestions:
        """The same of parts that were chosen already, as `Searchable.choose` does, of texts that were checked.

        Raises:
            DataError: if a question is empty.

        """
        _check_questions(questions, first_number)
        question_of = tuple(number for number, own in enumerate(chosen.parts) for _ in own)
        parts = tuple(part for own in chosen.parts for part in own)
        examples = tuple(
            Example(str(i), questions[number], part.text, ())
            for i, (number, part) in enumerate(zip(question_of, parts, strict=True))
        )
        return PreparedQuestions(
            questions=tuple(questions),
            documents=chosen.documents,
            parts=parts,
            n_characters=chosen.n_characters,
            notes=chosen.notes,
            question_of=question_of,
            examples=examples,
            features=make_features(examples, self._loaded.tokenizer, self._windows),
        )

    def replies(self, prepared: PreparedQuestions, logits: Sequence[Any], n_best: int = 5) -> list[Reply]:
        """Read the replies out of what the model said.

        Args:
            prepared: as `prepare` made it.
            logits: for each feature in order an array ``(n_tokens, 2)`` of start and end logits; None if it was not
                read, which the reply's ``read_share`` and its notes tell of.
            n_best: most candidates in a reply.

        """
        return self._replies(prepared, example_windows(prepared.features, logits), n_best)

    def _replies(
        self, prepared: PreparedQuestions, windows: Iterable[tuple[Sequence[WindowLogits], float]], n_best: int
    ) -> list[Reply]:
        """One reply a question; ``windows`` are each example's, in order, and the share of them that was read."""
        found: list[list[ReadPart]] = [[] for _ in prepared.questions]
        is_whole = [True] * len(prepared.questions)
        replies = []
        cut = {prepared.question_of[i] for i in prepared.features.truncated_examples.tolist()}
        for i, (own, share) in enumerate(windows):
            number = prepared.question_of[i]
            is_whole[number] = is_whole[number] and share == 1.0
            if own:
                found[number].append(self._read(prepared.parts[i], own, share, n_best))
            if i + 1 == len(prepared.parts) or prepared.question_of[i + 1] != number:
                reply = self._reply(prepared, number, found[number], n_best)
                notes = [
                    *prepared.notes[number],
                    cut_note(self._windows.max_question_tokens) if number in cut else "",
                    "" if is_whole[number] else unread_note(reply.read_share),
                    uncovered_note(reply.question, self._loaded.tokenizer),
                    ALWAYS_ANSWERS if self.null_threshold is None and reply.answer is not None else "",
                ]
                replies.append(replace(reply, notes=tuple(filter(None, notes))))
                found[number] = []
        return replies

    def _read(self, part: DocumentPart, windows: Sequence[WindowLogits], share: float, n_best: int) -> ReadPart:
        """The best candidates of one part: the first of all, and the best that share no character."""
        decoded = decode(part.text, windows, max_answer_tokens=self.max_answer_tokens, n_best=POOL_SIZE, n_apart=n_best)
        return ReadPart(part, decoded.apart, decoded.candidates, decoded.log_total, share * len(part.text))

    def _reply(self, prepared: PreparedQuestions, number: int, read: Sequence[ReadPart], n_best: int) -> Reply:
        candidates, no_answer_confidence = found_answers(prepared.documents, read, n_best, self.temperature)
        best = max((each.best[0].score for each in read if each.best), default=-math.inf)
        says_none = best > -math.inf and self.null_threshold is not None and -best > self.null_threshold
        return Reply(
            question=prepared.questions[number],
            answer=None if says_none or not candidates else candidates[0],
            candidates=candidates,
            no_answer_confidence=no_answer_confidence if read else 0.0,
            no_answer_probability=math.exp(-weigh_together([each.log_total for each in read])) if read else 0.0,
            read_share=sum(each.n_characters for each in read) / prepared.n_characters,
            can_decline=self.null_threshold is not None,
        )


def _check_questions(questions: Sequence[str], first_number: int) -> None:
    """Check that each asks something; they are counted from ``first_number``.

    Raises:
        DataError: if one does not, naming its number.

    """
    for number, question in enumerate(questions, start=first_number):
        problem = text_problem(question, "question")
        if problem is not None:
            raise DataError(problem.message, where=f"question {number}", fix="ask something")


class _Asking(BaseModel):
    """The bounds of what is asked for with a question."""

    n_best: Positive
    passages: Count


def _windows(stored: Mapping[str, int], limit: int, given: Mapping[str, int]) -> WindowSettings:
    """The windows asked for, filled up with those stored; cut down to the model's positions."""
    windows = fill_question_windows(given, stored, limit)
    most = windows["max_length"] - 3 - 2  # [CLS] question [SEP] context [SEP], a token of the question, and one more
    if windows["stride"] > most:
        raise RecipeError(
            f"stride is {windows['stride']}, and windows of {windows['max_length']} tokens cannot move on with it.",
            where="argument: stride",
            fix=f"give a value at most {most}, or a longer max_length",
        )
    try:
        return WindowSettings(**windows)
    except ValueError as error:
        raise RecipeError(
            f"Windows cannot be cut: {error}.",
            where=f"argument: {', '.join(given)}",
            fix="give a longer max_length, a shorter stride or fewer max_question_tokens",
        ) from error


def _short(text: str, most: int = 60) -> str:
    """A text on one line, cut short."""
    folded = " ".join(text.split())
    return folded if len(folded) <= most else folded[: most - 1] + "…"
