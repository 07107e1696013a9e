"""distiltune: fine-tune DistilBERT to answer questions from your own texts, and put the model to work.

>>> import distiltune
>>> run = distiltune.fine_tune(train="train.json", validation="dev.json", output="runs/mine")
>>> distiltune.evaluate(run.model, "dev.json").metrics["f1"]
>>> distiltune.Answerer(run.model)("Who signs the lease?", open("handbook.txt").read()).text
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from distiltune.version import __version__

if TYPE_CHECKING:
    from distiltune.errors import DistiltuneError
    from distiltune.recipe.recipe import Recipe
    from distiltune.runs.evaluate import evaluate, predict
    from distiltune.runs.fine_tune import fine_tune, resume
    from distiltune.tasks.question_answering.answerer import Answerer
    from distiltune.tasks.question_answering.pipeline import pipeline
    from distiltune.tasks.text_classification.classifier import TextClassifier
    from distiltune.tasks.token_classification.marker import EntityMarker

__all__ = [
    "Answerer",
    "DistiltuneError",
    "EntityMarker",
    "Recipe",
    "TextClassifier",
    "__version__",
    "evaluate",
    "fine_tune",
    "pipeline",
    "predict",
    "resume",
]

_HOMES = {
    "Answerer": "distiltune.tasks.question_answering.answerer",
    "DistiltuneError": "distiltune.errors",
    "EntityMarker": "distiltune.tasks.token_classification.marker",
    "Recipe": "distiltune.recipe.recipe",
    "TextClassifier": "distiltune.tasks.text_classification.classifier",
    "evaluate": "distiltune.runs.evaluate",
    "fine_tune": "distiltune.runs.fine_tune",
    "pipeline": "distiltune.tasks.question_answering.pipeline",
    "predict": "distiltune.runs.evaluate",
    "resume": "distiltune.runs.fine_tune",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import distiltune` does not wait for PyTorch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'distiltune' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
