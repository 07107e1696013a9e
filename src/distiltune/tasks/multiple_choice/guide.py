"""What the model card and the report say of a model that chooses."""

from __future__ import annotations

from collections.abc import Mapping

from distiltune.tasks.guide import MetricLabel, TaskGuide, UsageExample

_METRICS = {
    "accuracy": MetricLabel("Accuracy", "share", "share of questions with the right choice"),
    "calibration_error": MetricLabel("Calibration error", "share", "mean distance of confidence and share right"),
    "n": MetricLabel("Questions", "count"),
    "loss": MetricLabel("Loss", "nats", "nats a question"),
}

_PREDICT = """\
distiltune predict --model . --data questions.jsonl --output choices
"""

_CHOOSER = """\
from distiltune import ChoiceAnswerer

chooser = ChoiceAnswerer(".")
print(chooser([("Where do fish live?", ["in water", "in trees"])]))
"""

_TRANSFORMERS = """\
import torch
from transformers import AutoModelForMultipleChoice, AutoTokenizer

model = AutoModelForMultipleChoice.from_pretrained(".").eval()
tokenizer = AutoTokenizer.from_pretrained(".")
question, choices = "Where do fish live?", ["in water", "in trees"]
pairs = tokenizer([question] * len(choices), choices, padding=True, return_tensors="pt")
with torch.no_grad():
    print(model(**{{name: each[None] for name, each in pairs.items() if name != "token_type_ids"}}).logits.softmax(-1))
"""


def choice_guide(metrics: Mapping[str, float], max_length: int) -> TaskGuide:
    """The words for a model of this task.

    Args:
        metrics: what it reached on the validation data; may be empty.
        max_length: most tokens in what is read of a text and a choice together.

    """
    return TaskGuide(
        sentence="says which of several choices answers a question, or goes on from a text",
        pipeline_tag="multiple-choice",
        tags=("multiple-choice",),
        metrics=_METRICS,
        headlines=("accuracy",),
        decisive="accuracy",
        usage=(
            UsageExample("On the command line", "In the model's directory:", "bash", _PREDICT),
            UsageExample("In Python", "", "python", _CHOOSER),
            UsageExample("With transformers", "", "python", _TRANSFORMERS.format()),
        ),
        limits=(
            "It chooses one in any case: also where none of the choices is right, or several are.",
            f"A text and a choice were read up to {max_length} tokens together; the longer of the two was cut off.",
            *(("How sure it is was not measured.",) if "calibration_error" not in metrics else ()),
        ),
        figures="Loss is in nats, accuracies are shares of the questions.",
    )
