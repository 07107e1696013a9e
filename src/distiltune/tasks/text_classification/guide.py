"""What the model card and the report say of a model that classifies texts."""

from __future__ import annotations

from collections.abc import Mapping

from distiltune.tasks.guide import MetricLabel, TaskGuide, UsageExample
from distiltune.tasks.text_classification.targets import Targets

_METRICS = {
    "accuracy": MetricLabel("Accuracy", "share", "share of texts with all labels right"),
    "macro_f1": MetricLabel("Macro F1", "share", "mean over the labels"),
    "micro_f1": MetricLabel("Micro F1", "share", "over all labels of all texts"),
    "macro_precision": MetricLabel("Macro precision", "share", "mean over the labels"),
    "macro_recall": MetricLabel("Macro recall", "share", "mean over the labels"),
    "pearson": MetricLabel("Pearson correlation"),
    "spearman": MetricLabel("Spearman correlation", "score", "of the ranks"),
    "mean_absolute_error": MetricLabel("Mean absolute error", "score", "in the labels' own unit"),
    "calibration_error": MetricLabel("Calibration error", "share", "mean distance of confidence and share right"),
    "n": MetricLabel("Texts", "count"),
    "loss": MetricLabel("Loss", "nats", "nats a text"),
}

_PREDICT = """\
distiltune predict --model . --data texts.jsonl --output labels
"""

_CLASSIFIER = """\
from distiltune import TextClassifier

classifier = TextClassifier(".")
for found in classifier(["What a lovely day.", "The lift is out of order again."]):
    print(found)
"""

_TRANSFORMERS = """\
from transformers import pipeline

classifier = pipeline("text-classification", model=".", tokenizer=".")
print(classifier(["What a lovely day."], truncation=True, max_length={max_length}))
"""


def text_guide(metrics: Mapping[str, float], targets: Targets, max_length: int, *, truncate: bool) -> TaskGuide:
    """The words for a model of this task.

    Args:
        metrics: what it reached on the validation data; may be empty.
        targets: what it predicts.
        max_length: most tokens in a window.
        truncate: whether longer texts were cut off.

    """
    names = ", ".join(targets.labels[:20]) + (", …" if len(targets.labels) > 20 else "")
    says = {
        "single-label": f"gives a text one of {len(targets.labels)} labels: {names}",
        "multi-label": f"gives a text any number of {len(targets.labels)} labels: {names}",
        "regression": "gives a text a number",
    }
    long = "what is beyond was cut off" if truncate else "longer ones were read in windows, their scores averaged"
    return TaskGuide(
        sentence=says[targets.problem],
        pipeline_tag="text-classification",
        tags=("text-classification",),
        metrics=_METRICS,
        headlines=("pearson", "spearman") if targets.is_regression else ("accuracy", "macro_f1"),
        decisive={"single-label": "accuracy", "multi-label": "macro_f1", "regression": "pearson"}[targets.problem],
        example="text",
        answers="numbers" if targets.is_regression else "labels",
        exact="texts with all labels right",
        hardest="texts with wrong labels",
        usage=(
            UsageExample("On the command line", "In the model's directory:", "bash", _PREDICT),
            UsageExample("In Python", "", "python", _CLASSIFIER),
            UsageExample(
                "With transformers",
                f"What is beyond {max_length} tokens is cut off:",
                "python",
                _TRANSFORMERS.format(max_length=max_length),
            ),
        ),
        limits=(
            "It knows no labels but these: a text that fits none of them gets one all the same."
            if targets.problem == "single-label"
            else "It was measured on texts like those of its validation data only.",
            f"Texts were read up to {max_length} tokens; {long}.",
            *(("How sure it is was not measured.",) if "calibration_error" not in metrics else ()),
        ),
        figures="Loss is a squared error in units of the training numbers' spread, the mean of the texts."
        if targets.is_regression
        else "Loss is in nats, accuracies are shares of the texts.",
    )
