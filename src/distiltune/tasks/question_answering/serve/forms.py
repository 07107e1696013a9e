"""What is asked and answered over HTTP, as JSON: our own form, and the one of Hugging Face."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from distiltune.errors import DataError
from distiltune.inference.certainty import certainty
from distiltune.serving.asking import NOT_BLANK, AboutOut
from distiltune.serving.corrections import Correctable
from distiltune.serving.server import TAGS
from distiltune.tasks.question_answering.answerer import Reply
from distiltune.tasks.question_answering.documents import Document
from distiltune.tasks.question_answering.found_answers import FoundAnswer

MAX_QUESTIONS: Final = 32
MAX_DOCUMENTS: Final = 64
MAX_PAGES: Final = 20_000
MAX_NAME: Final = 5_000
"""Characters of a document's name: its path in the folder, of which systems take 4,096 bytes."""

MAX_NAMES: Final = 1_000
"""Names of the folder's documents in one list."""

_VERSION_DIGITS: Final = 16

AUTOMATIC_CHARACTERS: Final = 60_000
"""Longer texts are read passage-wise unless the request says otherwise."""

AUTOMATIC_PASSAGES: Final = 32

_Text = Annotated[str, Field(min_length=1, pattern=NOT_BLANK)]
_Question = Annotated[str, Field(min_length=1, max_length=2_000, pattern=NOT_BLANK)]


def _whole(value: object) -> object:
    """JSON knows one kind of number: 5.0 is a whole one too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_AS_WHOLE: Final = BeforeValidator(_whole)  # to be named last, or the description loses the bounds


class DocumentIn(BaseModel):
    """A text to look in."""

    model_config = ConfigDict(strict=True, extra="forbid")

    text: _Text
    name: Annotated[str, Field(max_length=300)] = ""
    pages: Annotated[
        list[Annotated[int, Field(ge=0), _AS_WHOLE]],
        Field(max_length=MAX_PAGES, description="Where each page begins, in code points, as /api/text says it."),
    ] = Field(default=[])


_Questions = Annotated[list[_Question], Field(min_length=1, max_length=MAX_QUESTIONS)]
_OwnDocuments = Annotated[list[DocumentIn], Field(min_length=1, max_length=MAX_DOCUMENTS)]
_Best = Annotated[int, Field(ge=1, le=20, description="Most candidates in a reply."), _AS_WHOLE]
_PASSAGES: Final = (
    "Read only so many passages, the likeliest for each question by BM25; 0: read everything. "
    f"Left out: everything, but {AUTOMATIC_PASSAGES} passages of over {AUTOMATIC_CHARACTERS:,} characters"
)


class AskIn(BaseModel):
    """Questions and the texts to look in."""

    model_config = ConfigDict(strict=True, extra="forbid")

    questions: _Questions
    documents: _OwnDocuments
    n_best: _Best = 5
    passages: Annotated[int | None, Field(ge=0, le=1_000, description=f"{_PASSAGES}."), _AS_WHOLE] = None


class AskFolderIn(BaseModel):
    """Questions, and the texts to look in where it is not the folder that is served."""

    model_config = ConfigDict(strict=True, extra="forbid")

    questions: _Questions
    documents: Annotated[
        _OwnDocuments | None, Field(description="Left out: the documents of the folder, as /api/documents names them.")
    ] = None
    n_best: _Best = 5
    passages: Annotated[
        int | None,
        Field(ge=0, le=1_000, description=f"{_PASSAGES}; of the folder as it is served."),
        _AS_WHOLE,
    ] = None


class AnswerOut(BaseModel):
    """A possible answer; offsets count Unicode code points of its document, from 0."""

    text: str
    start: int
    end: int
    confidence: Annotated[float, Field(ge=0, le=1, description="Among all candidates and no answer.")]
    certainty: Annotated[str, Field(description="The confidence in a word, as /api/model lists them.")]
    probability: Annotated[float, Field(ge=0, le=1, description="Of start and end in its window.")]
    line: int
    column: int
    sentence: str
    sentence_start: int
    document: Annotated[
        int,
        Field(ge=0, description="Which of the request's documents, or of the reply's if it brought none; from 0."),
    ]
    document_name: str
    page: Annotated[int | None, Field(description="The page that it starts on, from 1; None without pages.")]


class DocumentOut(BaseModel):
    """A document of the folder."""

    name: Annotated[str, Field(description="Its place in the folder; /api/document gives its text.")]
    version: Annotated[str, Field(description="Another one if its text is another.")]


class DocumentTextOut(DocumentOut):
    """A document of the folder with its text, as answers count in it."""

    text: str
    characters: int
    pages: Annotated[list[int], Field(description="Where each page begins, in code points; empty without pages.")]


class DocumentsOut(BaseModel):
    """Documents of the folder, in order."""

    total: Annotated[int, Field(description="How many there are.")]
    names: list[str]


class ReplyOut(BaseModel):
    """What the model says to one question."""

    question: str
    answer: Annotated[
        AnswerOut | None, Field(description="None if the model holds that the texts do not tell; or see `read_share`.")
    ]
    candidates: list[AnswerOut]
    no_answer_confidence: Annotated[float, Field(ge=0, le=1)]
    read_share: Annotated[
        float, Field(ge=0, le=1, description="Share of the characters that were read; 0: none in time.")
    ]
    notes: Annotated[list[str], Field(description="What is remarkable, such as that the question was cut.")]
    documents: Annotated[
        list[DocumentOut],
        Field(description="The folder's documents that candidates are in; empty if the request brought its own."),
    ]


class RepliesOut(BaseModel):
    """One reply a question, in order."""

    replies: list[ReplyOut]
    seconds: float
    complete: Annotated[bool, Field(description="Whether all that was to be read was, before time ran out.")]
    windows_read: int
    windows: Annotated[int, Field(description="What was to be read.")]
    seconds_for_all: Annotated[
        float | None,
        Field(description="What reading the whole texts would take, about; None if they were, or it is not known."),
    ]


class ModelOut(AboutOut):
    """What answers, and what the server takes."""

    calibrated: Annotated[bool, Field(description="Whether its confidence was fitted to validation data.")]
    max_window_tokens: int
    max_questions: int = MAX_QUESTIONS
    max_documents: int = MAX_DOCUMENTS
    folder_documents: Annotated[
        int | None,
        Field(description="Documents of the folder that is asked where a request brings none."),
    ] = None
    automatic_characters: Annotated[int, Field(description="Longer texts are read passage-wise unless told.")] = (
        AUTOMATIC_CHARACTERS
    )


class HuggingFaceIn(BaseModel):
    """A question as Hugging Face's own servers and `pipeline` take it; it is answered in their form."""

    model_config = ConfigDict(strict=True, extra="forbid")

    question: _Question
    context: _Text


class HuggingFaceOut(BaseModel):
    """The answer in Hugging Face's form: empty, with the score of that, where the text does not tell."""

    answer: str
    score: float
    start: int
    end: int


def _unwrapped(value: object) -> object:
    """What is in ``{"inputs": …}``, as Hugging Face's clients send it."""
    if isinstance(value, Mapping) and "inputs" in value and not value.get("parameters"):
        others = {name: each for name, each in value.items() if name not in ("inputs", "parameters")}
        if not others:
            return value["inputs"]
    return value


def _form(value: object) -> str:
    """Which of `TAGS` a body is of."""
    is_theirs = isinstance(value, HuggingFaceIn) or (
        isinstance(value, Mapping)
        and not {"questions", "documents"} & value.keys()
        and {"question", "context"} & value.keys()
    )
    return TAGS[1] if is_theirs else TAGS[0]


_Theirs = Annotated[HuggingFaceIn, Tag(TAGS[1])]
Asked = Annotated[Annotated[AskIn, Tag(TAGS[0])] | _Theirs, Discriminator(_form), BeforeValidator(_unwrapped)]
"""A body in either form."""

AskedOfFolder = Annotated[
    Annotated[AskFolderIn, Tag(TAGS[0])] | _Theirs, Discriminator(_form), BeforeValidator(_unwrapped)
]
"""The same where there is a folder."""


def as_ours(asked: AskIn | AskFolderIn | HuggingFaceIn) -> AskIn | AskFolderIn:
    """The same in our form."""
    if isinstance(asked, AskIn | AskFolderIn):
        return asked
    return AskIn(questions=[asked.question], documents=[DocumentIn(text=asked.context)], n_best=1)


def hugging_face_out(reply: Reply) -> HuggingFaceOut:
    """The same in Hugging Face's form."""
    answer = reply.answer
    if answer is None:
        return HuggingFaceOut(answer="", score=reply.no_answer_confidence, start=0, end=0)
    return HuggingFaceOut(answer=answer.text, score=min(1.0, answer.confidence), start=answer.start, end=answer.end)


def reply_out(reply: Reply, documents: Sequence[Document], *, of_folder: bool) -> ReplyOut:
    """A reply as JSON; ``documents`` are those that it counts, of the folder or of the request."""
    named = list(dict.fromkeys(each.document for each in reply.candidates)) if of_folder else range(len(documents))
    order = {number: i for i, number in enumerate(named)}

    def out(answer: FoundAnswer) -> AnswerOut:
        return _answer_out(answer, order[answer.document], documents[answer.document].pages)

    return ReplyOut(
        question=reply.question,
        answer=out(reply.answer) if reply.answer is not None else None,
        candidates=[out(candidate) for candidate in reply.candidates],
        no_answer_confidence=reply.no_answer_confidence,
        read_share=min(1.0, reply.read_share),
        notes=list(reply.notes),
        documents=[
            DocumentOut(name=documents[number].name, version=_version(documents[number].text))
            for number in (named if of_folder else ())
        ],
    )


def document_out(document: Document) -> DocumentTextOut:
    """A document of the folder as JSON."""
    return DocumentTextOut(
        name=document.name,
        version=_version(document.text),
        text=document.text,
        characters=len(document.text),
        pages=list(document.pages),
    )


def _version(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_VERSION_DIGITS]


def _answer_out(answer: FoundAnswer, document: int, pages: Sequence[int]) -> AnswerOut:
    page = sum(start <= answer.start for start in pages)
    return AnswerOut(
        text=answer.text,
        start=answer.start,
        end=answer.end,
        confidence=min(1.0, answer.confidence),
        certainty=certainty(answer.confidence),
        probability=min(1.0, answer.probability),
        line=answer.line,
        column=answer.column,
        sentence=answer.sentence,
        sentence_start=answer.sentence_start,
        document=document,
        document_name=answer.document_name,
        page=page or None,
    )


class AnswerSpanIn(BaseModel):
    """A part of one of the documents, in code points."""

    model_config = ConfigDict(strict=True, extra="forbid")

    document: Annotated[int, Field(ge=0), _AS_WHOLE] = 0
    start: Annotated[int, Field(ge=0), _AS_WHOLE]
    end: Annotated[int, Field(ge=1), _AS_WHOLE]


class RightAnswerIn(BaseModel):
    """A question with its right answer."""

    model_config = ConfigDict(strict=True, extra="forbid")

    question: _Question
    documents: Annotated[list[DocumentIn], Field(min_length=1, max_length=MAX_DOCUMENTS)]
    answer: Annotated[AnswerSpanIn | None, Field(description="null: the texts do not tell.")]


def correction_rows(correction: RightAnswerIn) -> list[dict[str, Any]]:
    """The rows that `train` reads: one with the answer's document, or one without an answer for each document.

    Raises:
        DataError: if there is nothing to read where the answer is said to be.

    """
    span = correction.answer
    if span is None:
        return [_row(correction.question, each.text, None) for each in correction.documents]
    if span.document >= len(correction.documents):
        raise DataError(
            f"There is no document {span.document}.", where="answer.document", fix="count the documents from 0"
        )
    text = correction.documents[span.document].text
    if not span.start < span.end <= len(text) or not text[span.start : span.end].strip():
        raise DataError(
            f"Nothing can be read from code point {span.start} to {span.end} of that document.",
            where="answer",
            fix=f"give places from 0 to {len(text)} with the answer between them",
        )
    return [_row(correction.question, text, span)]


def _row(question: str, text: str, span: AnswerSpanIn | None) -> dict[str, Any]:
    found = [] if span is None else [(text[span.start : span.end], span.start)]
    return {
        "id": f"correction-{secrets.token_hex(8)}",
        "question": question,
        "context": text,
        "answers": {"text": [each for each, _ in found], "answer_start": [start for _, start in found]},
    }


CORRECTABLE: Final = Correctable(
    RightAnswerIn,
    correction_rows,
    {
        "question": "Who signs the lease?",
        "documents": [{"text": "The lease is signed by the treasurer, in blue ink."}],
        "answer": {"document": 0, "start": 23, "end": 36},
    },
)
"""How answers to questions are set right."""
