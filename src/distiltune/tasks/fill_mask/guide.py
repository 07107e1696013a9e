"""What the model card and the report say of a model that has learnt texts by masked words."""

from __future__ import annotations

from distiltune.tasks.guide import MetricLabel, TaskGuide, UsageExample

_FINE_TUNE = """\
distiltune train --model . --train train.csv --output runs/mine
"""

_TRANSFORMERS = """\
from transformers import pipeline

fill = pipeline("fill-mask", model=".")
print(fill("The lease is signed by the [MASK]."))
"""


def fill_mask_guide() -> TaskGuide:
    """The words for an encoder that was adapted to texts."""
    return TaskGuide(
        sentence="finds words that are masked in a text; it was adapted to texts of its user's, before a fine-tuning",
        pipeline_tag="fill-mask",
        tags=("adapted",),
        metrics={
            "loss": MetricLabel("Masked loss", "nats", "mean over the word pieces asked for"),
            "accuracy": MetricLabel("Found", "share", "of the word pieces asked for"),
        },
        headlines=("loss", "accuracy"),
        usage=(
            UsageExample("On the command line", "To fine-tune it on your labels:", "bash", _FINE_TUNE),
            UsageExample("With transformers", "The words themselves:", "python", _TRANSFORMERS),
        ),
        limits=(
            "It answers nothing by itself: it is where a fine-tuning starts.",
            "It may repeat words of the texts that it was adapted to.",
        ),
        figures="Loss is in nats a word piece asked for, accuracies are shares of these.",
        example="text",
    )
