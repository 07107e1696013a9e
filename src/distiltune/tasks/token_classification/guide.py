"""What the model card and the report say of a model that marks words."""

from __future__ import annotations

from collections.abc import Sequence

from distiltune.tasks.guide import MetricLabel, TaskGuide, UsageExample

_METRICS = {
    "f1": MetricLabel("F1", "share", "entities, as seqeval scores them"),
    "precision": MetricLabel("Precision", "share", "of entities"),
    "recall": MetricLabel("Recall", "share", "of entities"),
    "macro_f1": MetricLabel("Macro F1", "share", "mean over the labels"),
    "accuracy": MetricLabel("Accuracy", "share", "share of words, those outside entities included"),
    "n": MetricLabel("Texts", "count"),
    "n_entities": MetricLabel("Entities", "count"),
    "loss": MetricLabel("Loss", "nats", "nats a word"),
}

_PREDICT = """\
distiltune predict --model . --data texts.jsonl --output entities
"""

_MARKER = """\
from distiltune import EntityMarker

marker = EntityMarker(".")
for entity in marker(["Ada Byron was born in London."])[0]:
    print(entity)
"""

_TRANSFORMERS = """\
from transformers import pipeline

marker = pipeline("token-classification", model=".", tokenizer=".", aggregation_strategy="first")
print(marker("Ada Byron was born in London."))
"""


def token_guide(labels: Sequence[str], max_length: int) -> TaskGuide:
    """The words for a model of this task, which marks these labels in windows of at most so many tokens."""
    names = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
    return TaskGuide(
        sentence=f"marks the words of a text that are one of: {names}",
        pipeline_tag="token-classification",
        tags=("token-classification", "named-entity-recognition"),
        metrics=_METRICS,
        headlines=("f1", "precision", "recall"),
        decisive="f1",
        example="text",
        answers="entities",
        exact="entities that are right",
        hardest="texts with entities that are wrong or missed",
        usage=(
            UsageExample("On the command line", "In the model's directory:", "bash", _PREDICT),
            UsageExample(
                "In Python", "Long texts are read in windows; entities are spans of characters:", "python", _MARKER
            ),
            UsageExample("With transformers", "For texts of one window:", "python", _TRANSFORMERS),
        ),
        limits=(
            "Entities do not overlap, and each is a stretch of whole words.",
            f"Longer texts were read in windows of at most {max_length} tokens, cut between words; what can only be "
            "understood from farther apart is lost.",
            "Names of kinds that its training data does not mark are passed over.",
        ),
        figures="Loss is in nats, accuracies are shares of the words.",
    )
