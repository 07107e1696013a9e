"""Questions from their files to features: read, drawn, parted, windowed, cached."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from tokenizers import Tokenizer

from distiltune.data.cache import Arrays, load_or_make
from distiltune.data.feature_set import FeatureSet
from distiltune.data.file_form import AS_USUAL, FileForm
from distiltune.data.hub import Split
from distiltune.data.reading import Use
from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.data.stored import OnDisk
from distiltune.tasks.dataset import with_sample_weights
from distiltune.tasks.question_answering.examples import Example, weights_of
from distiltune.tasks.question_answering.features import QuestionFeatures, WindowSettings, make_features
from distiltune.tasks.question_answering.read import ColumnMap, QuestionSet, read_examples


@dataclass(frozen=True, slots=True)
class QuestionData:
    """A set of questions and its features; a ``Dataset`` for the engine."""

    examples: Sequence[Example]
    question_features: QuestionFeatures
    findings: RowFindings
    fingerprint: str
    sources: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def features(self) -> FeatureSet:
        """What the engine trains on."""
        return self.question_features.features

    @property
    def n_examples(self) -> int:
        """How many questions."""
        return len(self.examples)

    def example_id(self, index: int) -> str:
        """The question's id."""
        return self.examples[index].id


def load_examples(
    sources: Sequence[str],
    split: Split,
    columns: str,
    max_rejected_share: float,
    use: Use = "training",
    no_answer: str = "",
    form: FileForm = AS_USUAL,
) -> QuestionSet:
    """Read the examples of all sources, mixed in the order named; arguments and errors as `read_examples`."""
    return read_examples(
        sources,
        split=split,
        columns=ColumnMap.parse(columns),
        max_rejected_share=max_rejected_share,
        use=use,
        no_answer=no_answer,
        form=form,
    )


def featurise(examples: QuestionSet, tokenizer: Tokenizer, settings: WindowSettings) -> QuestionData:
    """Features of the examples, from the cache if these files, this tokenizer and these settings made some before."""
    notes: list[str] = []
    parts = {
        "task": "question-answering",
        "data": examples.fingerprint,
        "examples": _fingerprint(examples.examples),
        "tokenizer": hashlib.sha256(tokenizer.to_str().encode()).hexdigest(),
        "max_length": settings.max_length,
        "stride": settings.stride,
        "max_question_tokens": settings.max_question_tokens,
    }
    arrays, _ = load_or_make(
        parts, lambda: _as_arrays(make_features(examples.examples, tokenizer, settings)), on_problem=notes.append
    )
    features = _from_arrays(arrays)
    return QuestionData(
        examples=examples.examples,
        question_features=features,
        findings=_with_truncations(examples, features, settings.max_question_tokens),
        fingerprint=examples.fingerprint,
        sources=examples.sources,
        notes=tuple(notes),
    )


def weighed(data: QuestionData) -> QuestionData:
    """The same for a training, in which a question weighs what its row says."""
    made = data.question_features
    features = with_sample_weights(made.features, weights_of(data.examples))
    return replace(data, question_features=replace(made, features=features))


def _fingerprint(examples: Sequence[Example]) -> str:
    """Hash of everything about the examples that features depend on, which the reading code decides too."""
    if isinstance(examples, OnDisk):
        return examples.fingerprint(("question", "context", "gold"))
    digest = hashlib.sha256()
    hashes: dict[str, str] = {}  # contexts repeat; each is hashed once
    for example in examples:
        context = hashes.get(example.context)
        if context is None:
            context = hashlib.sha256(example.context.encode("utf-8", "replace")).hexdigest()
            hashes[example.context] = context
        spans = ",".join(f"{answer.start}+{len(answer.text)}" for answer in example.answers[:1])
        if not example.answers and not example.is_unanswerable:
            spans = "?"
        digest.update(f"{example.question}\x1f{context}\x1f{spans}\x1e".encode("utf-8", "replace"))
    return digest.hexdigest()


def _with_truncations(examples: QuestionSet, features: QuestionFeatures, limit: int) -> RowFindings:
    findings = RowFindings(n_rows=examples.findings.n_rows, items=list(examples.findings.items))
    for index in features.truncated_examples.tolist():
        example = examples.examples[index]
        findings.add(
            RowFinding(
                outcome="noted",
                kind="question_truncated",
                where=f"#{example.id}",
                row_id=example.id,
                message=f"the question is longer than {limit} tokens; only its first {limit} are used",
            )
        )
    return findings


def _as_arrays(features: QuestionFeatures) -> Arrays:
    return {
        "token_ids": features.features.token_ids.astype(np.int32, copy=False),
        "offsets": features.features.offsets,
        "labels": features.features.labels,
        "example_of": features.features.example_of,
        "first_context_token": features.first_context_token,
        "window_start": features.window_start,
        "char_starts": features.char_starts,
        "char_ends": features.char_ends,
        "truncated_examples": features.truncated_examples,
    }


def _from_arrays(arrays: Arrays) -> QuestionFeatures:
    return QuestionFeatures(
        features=FeatureSet(
            token_ids=arrays["token_ids"],
            offsets=arrays["offsets"],
            labels=arrays["labels"],
            example_of=arrays["example_of"],
        ),
        first_context_token=arrays["first_context_token"],
        window_start=arrays["window_start"],
        char_starts=arrays["char_starts"],
        char_ends=arrays["char_ends"],
        truncated_examples=arrays["truncated_examples"],
    )
