"""Marked words of a model, what they are worth, and the files that hold them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from distiltune.coach.pairs import Losses
from distiltune.data.conll import write_conll
from distiltune.data.packing import cumulative_lengths
from distiltune.inference.predictor import outputs
from distiltune.system.durable import write_whole, writing_text
from distiltune.tasks.prediction_rows import every_row
from distiltune.tasks.token_classification.examples import Entity, TokenExample
from distiltune.tasks.token_classification.features import TokenData, flat_positions
from distiltune.tasks.token_classification.head import token_loss, token_losses
from distiltune.tasks.token_classification.metrics import EntityCounts, EntityScores
from distiltune.tasks.token_classification.names import PREDICTION_FILES
from distiltune.tasks.token_classification.read import gold_tags
from distiltune.tasks.token_classification.tags import entities_of, iob2

FEATURES_AT_ONCE = 4_096


@dataclass(frozen=True, slots=True)
class Marked:
    """What a model says of texts.

    Attributes:
        tags: ``(all_words,)`` the likeliest tag's id of each word, the words of all examples laid end to end.
        confidence: ``(all_words,)`` its probability.
        loss: mean over the words that have gold tags; NaN without any.
        accuracy: share of these that are right.
        losses: what each example adds to the loss; None without gold tags.

    """

    tags: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    loss: float
    accuracy: float
    losses: Losses | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class FoundEntity:
    """An entity that the model marks: its label, the mean probability of its words' tags, and its words' numbers."""

    entity: Entity
    score: float


@dataclass(frozen=True, slots=True)
class TokenEvaluation:
    """What a model is worth on a set of texts.

    Attributes:
        metrics: overall figures, shares from 0 to 1.
        labels: each label's.
        compared: the tags (IOB2) of each text that has gold, and those that the model gives.
        losses: what each text adds to the mean loss; None without gold tags.

    """

    metrics: dict[str, float]
    labels: dict[str, EntityScores] = field(default_factory=dict)
    compared: tuple[Sequence[list[str]], Sequence[list[str]]] = ((), ())
    losses: Losses | None = field(default=None, compare=False, repr=False)


def mark_words(
    model: nn.Module,
    data: TokenData,
    batch_tokens: int,
    on_progress: Callable[[int], None] = lambda n_done: None,
) -> Marked:
    """Run the texts, dropout off.

    Args:
        model: an encoder with a token head.
        data: the texts and their features.
        batch_tokens: most tokens in a batch.
        on_progress: told how many examples are done.

    """
    features = data.features
    tags = np.zeros(len(features.token_ids), dtype=np.int64)
    confidence = np.zeros(len(features.token_ids))
    sums, by_example = torch.zeros(2, dtype=torch.float64), np.zeros(data.n_examples)
    n_done = 0
    for first in range(0, len(features), FEATURES_AT_ONCE):
        chunk = np.arange(first, min(first + FEATURES_AT_ONCE, len(features)))
        for batch, output in outputs(model, features, chunk, batch_tokens):
            best = output.float().softmax(dim=1).max(dim=1)
            places = flat_positions(features.offsets, batch.feature_ids)
            tags[places] = best.indices.cpu().numpy()
            confidence[places] = best.values.cpu().double().numpy()
            if features.token_labels is not None:
                sums += token_loss(output, batch).metrics.cpu().double()
                losses = token_losses(output, batch).cpu().double().numpy()
                np.add.at(by_example, features.example_of[batch.feature_ids], losses)
            n_done += batch.n_features
            on_progress(round(n_done / len(features) * data.n_examples))
    n_words = features.weight(np.arange(len(features)))
    loss, right = (sums / n_words).tolist() if n_words else (float("nan"), float("nan"))
    place = data.arrays["word_place"]
    each = (by_example / n_words).astype(np.float32) if n_words else None
    return Marked(tags[place], confidence[place], loss, right, each)


def word_probabilities(model: nn.Module, data: TokenData, batch_tokens: int) -> npt.NDArray[np.float64]:
    """``(all_words, n_tags)`` the probability of each tag, dropout off, the words of all examples laid end to end."""
    features = data.features
    shares: list[npt.NDArray[np.float64]] = []
    rows = np.zeros(len(features.token_ids), dtype=np.int64)  # of each token in what is run, batch after batch
    n_run = 0
    for batch, output in outputs(model, features, np.arange(len(features)), batch_tokens):
        shares.append(output.float().softmax(dim=1).cpu().double().numpy())
        places = flat_positions(features.offsets, batch.feature_ids)
        rows[places] = n_run + np.arange(len(places))
        n_run += len(places)
    if not shares:
        return np.zeros((0, 0))
    probabilities: npt.NDArray[np.float64] = np.concatenate(shares)[rows[data.arrays["word_place"]]]
    return probabilities


def marked_by(data: TokenData, scores: npt.NDArray[np.float32]) -> Marked:
    """What ``(all_tokens, n_tags)`` scores of all windows, in order, say; of gold tags nothing is asked."""
    best = torch.from_numpy(scores).softmax(dim=1).max(dim=1)
    place = data.arrays["word_place"]
    return Marked(best.indices.numpy()[place], best.values.double().numpy()[place], float("nan"), float("nan"))


def entities_found(
    data: TokenData, marked: Marked, tags: Sequence[str]
) -> Iterator[tuple[TokenExample, list[FoundEntity]]]:
    """Each example with the entities that its words' tags mark."""
    offsets = cumulative_lengths([len(example.words) for example in data.examples])
    for i, example in enumerate(data.examples):
        first, last = int(offsets[i]), int(offsets[i + 1])
        found = entities_of([tags[tag] for tag in marked.tags[first:last].tolist()])
        confidence = marked.confidence[first:last]
        yield example, [FoundEntity(each, float(confidence[each.start : each.end].mean())) for each in found]


def evaluate_marked(data: TokenData, marked: Marked, tags: Sequence[str]) -> TokenEvaluation:
    """What the marks are worth against the gold entities; nothing where there are none."""
    counts = EntityCounts()
    gold: list[list[str]] = []
    given: list[list[str]] = []
    for example, found in entities_found(data, marked, tags):
        if example.gold is not None:
            counts.add(example.gold, (each.entity for each in found))
            gold.append(gold_tags(example))
            given.append(iob2(len(example.words), [each.entity for each in found]))
    if not gold:
        return TokenEvaluation({})
    own = {"loss": marked.loss, "accuracy": marked.accuracy, "n": float(len(gold))}
    return TokenEvaluation({**own, **counts.metrics()}, counts.by_label(), (gold, given), marked.losses)


def as_spans(example: TokenExample, found: Sequence[FoundEntity]) -> list[dict[str, Any]]:
    """The entities as spans of characters of the example's text."""
    return [{**span(example, each.entity), "score": round(each.score, 6)} for each in found]


def span(example: TokenExample, entity: Entity) -> dict[str, Any]:
    """An entity's label, where it begins and ends in code points, and its text."""
    start, end = example.words[entity.start][0], example.words[entity.end - 1][1]
    return {"label": entity.label, "start": start, "end": end, "text": example.text[start:end]}


def write_predictions(
    directory: Path, data: TokenData, marked: Marked, tags: Sequence[str], evaluation: TokenEvaluation
) -> None:
    """Write `PREDICTION_FILES` as far as there is something to write."""
    found = list(entities_found(data, marked, tags))
    lines = [(example.where, _line(example, entities)) for example, entities in found]
    with writing_text(directory / PREDICTION_FILES[0]) as file:
        for line in every_row(lines, data.findings, {"text": None, "entities": None}):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    sentences = (_columns(example, [each.entity for each in entities]) for example, entities in found)
    text = "\n".join(write_conll(sentences))
    write_whole(directory / PREDICTION_FILES[1], text + "\n")
    if evaluation.labels:
        by_label = {label: asdict(each) for label, each in evaluation.labels.items()}
        write_whole(directory / PREDICTION_FILES[2], json.dumps(by_label, indent=1, ensure_ascii=False) + "\n")


def _line(example: TokenExample, found: Sequence[FoundEntity]) -> dict[str, Any]:
    """What is written of a text: the entities that the model marks, and the gold ones if there are some."""
    line: dict[str, Any] = {"id": example.id, "text": example.text, "entities": as_spans(example, found)}
    if example.gold is not None:
        line["gold"] = [span(example, each) for each in example.gold]
    return line


def _columns(example: TokenExample, found: Sequence[Entity]) -> tuple[list[str], list[list[str]]]:
    """Words, and their tags in columns: the gold ones, if there are some, and the model's."""
    words = [example.word(i) for i in range(len(example.words))]
    given = iob2(len(words), found)
    return words, [given] if example.gold is None else [gold_tags(example), given]
