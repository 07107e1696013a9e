"""Texts about which questions are to be asked and answered, and questions that want their answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from distiltune.data.first_columns import first_columns
from distiltune.data.row_findings import RowFindings
from distiltune.data.sources import STARTER, find_source
from distiltune.errors import DataError
from distiltune.labelling.offered import Answer, KeptAnswer, LabelTask, ReadText, ReadTexts, Row
from distiltune.tasks.dataset import file_form
from distiltune.tasks.label_sources import checked_place, notes_of, read_to_label, source_name, text_in
from distiltune.tasks.question_answering.answerer import Answerer, Reply
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.making.make import MakingSettings, make_questions
from distiltune.tasks.question_answering.making.texts import Passage, Passages, read_passages
from distiltune.tasks.question_answering.names import NAME
from distiltune.tasks.question_answering.question_rows import ColumnMap
from distiltune.tasks.question_answering.read import read_examples
from distiltune.tasks.question_answering.settings import QuestionAnsweringSettings

N_SUGGESTED: Final = 3
"""Answers that the page offers by the digits 1, 2 and 3."""
_MOST_HINTED: Final = 500
"""Passages that questions are thought up for: more would keep the page waiting at the start."""
_SHORTEST_PASSAGE: Final = 40
_WITH_QUESTIONS: Final = frozenset({"paragraphs", "qas", "questions", "query", "data.question"})
"""Columns of the forms that hold questions under other names."""

Place = Annotated[int, Field(ge=0, le=10_000_000)]


class PlaceIn(BaseModel):
    """Where an answer stands, in code points."""

    model_config = ConfigDict(strict=True, extra="forbid")

    start: Place
    end: Place


class AskedIn(BaseModel):
    """A question, and where its answer stands; nowhere: the text does not tell."""

    model_config = ConfigDict(strict=True, extra="forbid")

    question: Annotated[str, Field(min_length=1, max_length=10_000, pattern=r"\S")]
    answers: Annotated[list[PlaceIn], Field(max_length=100)]


class QuestionsIn(BaseModel):
    """All questions about a text."""

    model_config = ConfigDict(strict=True, extra="forbid")

    questions: Annotated[list[AskedIn], Field(min_length=1, max_length=1_000)]


def label_task(sources: Sequence[str], settings: QuestionAnsweringSettings, labels: Sequence[str]) -> LabelTask:
    """What `distiltune label` asks of these texts; ``labels`` mean nothing here.

    Raises:
        DataError: if they cannot be read.

    """
    read = read_to_label(sources, settings.encoding, lambda data: _read_rows(data, settings), in_passages=True)
    return LabelTask(
        name=NAME,
        texts=read,
        labels=(),
        page=files("distiltune.tasks.question_answering").joinpath("label_page"),
        form=QuestionsIn,
        rows=_rows,
        kept=_kept,
        joined=lambda answers: {"questions": [each for answer in answers for each in answer["questions"]]},
        labels_in=lambda answer: (),
        load=lambda model: _Suggester(_answerer(model, settings)),
        sample={"questions": [{"question": "Who signs the lease?", "answers": [{"start": 23, "end": 36}]}]},
        has_labels=False,
        hints=_hints,
    )


def _answerer(model: str, settings: QuestionAnsweringSettings) -> Answerer:
    return Answerer(model, device=settings.device, threads=settings.threads, precision="auto")


def _read_rows(sources: Sequence[str], settings: QuestionAnsweringSettings) -> ReadTexts:
    """Questions where the data has some, else its texts, cut into passages."""
    if not all(_has_questions(source, settings) for source in sources):
        found = read_passages(sources, settings.columns, file_form(settings), settings.max_rejected_share)
        texts = (ReadText(each.text, document=source_name(each.where)) for each in found.passages)
        return ReadTexts(tuple(texts), notes_of(found.findings))
    read = read_examples(
        sources,
        split="train",
        columns=ColumnMap.parse(settings.columns),
        max_rejected_share=settings.max_rejected_share,
        use="prediction",
        no_answer=settings.no_answer,
        form=file_form(settings),
    )
    texts = (ReadText(each.context, each.question, each.id, _given(each), each.title) for each in read.examples)
    n_nowhere = sum(bool(each.unplaced) for each in read.examples)
    notes = [f"the answers of {n_nowhere:,} questions stand nowhere in their text: give them anew"] * (n_nowhere > 0)
    return ReadTexts(tuple(texts), (*notes_of(read.findings), *notes))


def _has_questions(source: str, settings: QuestionAnsweringSettings) -> bool:
    if source == STARTER:
        return True
    columns = {
        name for file in find_source(source, "train", Path()).files for name in first_columns(file, file_form(settings))
    }
    names = ColumnMap.parse(settings.columns)
    return bool({names.question, *_WITH_QUESTIONS} & set(columns))


def _given(example: Example) -> Answer | None:
    """What the data say; nothing where they say nothing, or only what is not found."""
    if not example.has_gold or (example.unplaced and not example.answers):
        return None
    places = [{"start": each.start, "end": each.end} for each in example.answers]
    return {"questions": [{"question": example.question, "answers": places}]}


def _rows(text: str, prompt: str, name: str, answer: Answer | None) -> list[Row]:
    """The rows that `train` reads, one a question.

    Raises:
        DataError: if an answer lies outside the text, or another question is answered than was asked.

    """
    if answer is None:
        return [{"id": name, "question": prompt, "context": text}]
    asked = answer["questions"]
    if prompt and [each["question"] for each in asked] != [prompt]:
        raise DataError("Another question is answered than is asked here.", where="questions", fix="answer the one")
    for number, each in enumerate(asked):
        for place in each["answers"]:
            checked_place(text, place["start"], place["end"], f"questions.{number}.answers")
    return [
        {
            "id": name if number == 0 else f"{name}-{number + 1}",
            "question": each["question"],
            "context": text,
            "answers": {
                "text": [text[place["start"] : place["end"]] for place in each["answers"]],
                "answer_start": [place["start"] for place in each["answers"]],
            },
        }
        for number, each in enumerate(asked)
    ]


def _kept(row: Row) -> KeptAnswer | None:
    text, question, answers = text_in(row, "context"), text_in(row, "question"), row.get("answers")
    if text is None:
        return None
    if question is None or not isinstance(answers, dict):
        return KeptAnswer(text, question or "", None)
    pairs = zip(answers.get("text", ()), answers.get("answer_start", ()), strict=False)
    places = [{"start": start, "end": start + len(said)} for said, start in pairs]
    return KeptAnswer(text, question, {"questions": [{"question": question, "answers": places}]})


def _hints(texts: Sequence[str]) -> Mapping[str, Any]:
    """Questions that can be thought up without a model, by the text that answers them."""
    long_enough = (text for text in texts[:_MOST_HINTED] if len(text) >= _SHORTEST_PASSAGE)
    passages = tuple(Passage(text, str(number)) for number, text in enumerate(long_enough))
    try:
        made = make_questions(Passages(passages, RowFindings()), MakingSettings(10 * _MOST_HINTED, 0.0))
    except DataError:  # no two passages have anything in common
        return {}
    hints: dict[str, list[Answer]] = {}
    for row in made.rows:
        found = _kept(row)
        if found is not None and found.answer is not None:
            hints.setdefault(found.text, []).extend(found.answer["questions"])
    return {text: {"questions": questions[:N_SUGGESTED]} for text, questions in hints.items()}


@dataclass(frozen=True, slots=True)
class _Suggester:
    answerer: Answerer

    def suggest(self, text: str, prompt: str) -> Mapping[str, Any]:
        """The model's three likeliest answers to the question, and how likely it is that there is none."""
        if not prompt.strip():
            return {"answers": [], "none": 0.0}
        reply = self.answerer.ask([prompt], text, n_best=2 * N_SUGGESTED)[0]
        places = [
            {"start": each.start, "end": each.end, "score": round(min(1.0, each.confidence), 4)}
            for each in reply.candidates
            if any(map(str.isalnum, each.text))  # a mark of punctuation alone is nobody's answer
        ][:N_SUGGESTED]
        return {
            "answers": places,
            "none": round(min(1.0, reply.no_answer_confidence), 4) if reply.can_decline else 0.0,
            "declines": reply.answer is None,
        }

    def doubts(self, texts: Sequence[tuple[str, str]]) -> list[float]:
        """How even the odds of the likeliest answer are: against no answer, or else against the next likeliest."""
        return [
            _doubt(self.answerer.ask([question], text, n_best=2)[0]) if question else float("nan")
            for text, question in texts
        ]


def _doubt(reply: Reply) -> float:
    best = reply.candidates[0].probability if reply.candidates else 0.0
    if reply.can_decline:
        against = reply.no_answer_probability
    else:
        against = reply.candidates[1].probability if len(reply.candidates) > 1 else 0.0
    return 1 - abs(best - against) / max(1e-12, best + against)
