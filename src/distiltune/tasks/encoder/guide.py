"""What the model card and the report say of a distilled encoder."""

from __future__ import annotations

from dataclasses import replace

from distiltune.tasks.guide import MetricLabel, TaskGuide, UsageExample

_FINE_TUNE = """\
distiltune train --model . --train train.json --output runs/mine
"""

_TRANSFORMERS = """\
from transformers import AutoModel, AutoTokenizer

model = AutoModel.from_pretrained(".").eval()
tokenizer = AutoTokenizer.from_pretrained(".")
hidden = model(**tokenizer("The lease is signed by the tenant.", return_tensors="pt")).last_hidden_state
"""


def encoder_guide(teacher: str) -> TaskGuide:
    """The words for an encoder distilled from ``teacher``, as the user named it."""
    return TaskGuide(
        sentence=f"reads a text and gives a vector for each of its tokens, as its teacher ({_last(teacher)}) does; "
        "fine-tuning makes it answer questions",
        pipeline_tag="",
        tags=("distillation",),
        metrics={
            "loss": MetricLabel("Loss", "score", "weighted sum of the two below"),
            "hidden": MetricLabel("Hidden states", "share", "share of the teacher's variance not explained"),
            "relations": MetricLabel("Relations", "nats", "divergence from the teacher's attention, nats a token"),
        },
        headlines=("hidden", "relations"),
        usage=(
            UsageExample("On the command line", "To fine-tune it on your questions:", "bash", _FINE_TUNE),
            UsageExample("With transformers", "The vectors themselves:", "python", _TRANSFORMERS),
        ),
        limits=("It answers nothing by itself: it is where a fine-tuning starts.",),
    )


def bare_encoder_guide() -> TaskGuide:
    """The words for an encoder of any origin."""
    sentence = "reads a text and gives a vector for each of its tokens; fine-tuning makes it answer questions"
    return replace(encoder_guide(""), sentence=sentence, tags=(), metrics={}, headlines=())


def _last(name: str) -> str:
    return name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
