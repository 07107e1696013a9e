"""distiltune: fine-tune DistilBERT to answer questions from your own texts, and put the model to work.

>>> import distiltune
>>> run = distiltune.fine_tune(train="train.json", validation="dev.json", output="runs/mine")
>>> run = distiltune.fine_tune(train=frame, columns={"text": "tweet", "label": "mood"}, output="runs/moods")
>>> distiltune.evaluate(run.model, "dev.json").metrics["f1"]
>>> distiltune.Answerer(run.model)("Who signs the lease?", open("handbook.txt").read()).text
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from distiltune.version import __version__

if TYPE_CHECKING:
    from distiltune.errors import DistiltuneError
    from distiltune.python.asking import (
        Answerer,
        ChoiceAnswerer,
        EntityMarker,
        Folder,
        Labelling,
        TextClassifier,
        pipeline,
    )
    from distiltune.python.check import check
    from distiltune.python.estimators import DistilBertClassifier as DistilBertClassifier
    from distiltune.python.estimators import DistilBertRegressor as DistilBertRegressor
    from distiltune.python.estimators import DistilBertTagger as DistilBertTagger
    from distiltune.python.label import label
    from distiltune.python.making import make_questions
    from distiltune.python.models import convert, export_onnx, push
    from distiltune.python.serve import ServingLimits, serve
    from distiltune.python.studies import compare, cross_validate, find_lr, tune
    from distiltune.python.training import adapt, distill, fine_tune, resume
    from distiltune.python.using import embed, evaluate, predict
    from distiltune.recipe.recipe import Recipe
    from distiltune.training.loop import EpochReport, StepReport, Watcher

__all__ = [
    "Answerer",
    "ChoiceAnswerer",
    "DistiltuneError",
    "EntityMarker",
    "EpochReport",
    "Folder",
    "Labelling",
    "Recipe",
    "ServingLimits",
    "StepReport",
    "TextClassifier",
    "Watcher",
    "__version__",
    "adapt",
    "check",
    "compare",
    "convert",
    "cross_validate",
    "distill",
    "embed",
    "evaluate",
    "export_onnx",
    "find_lr",
    "fine_tune",
    "label",
    "make_questions",
    "pipeline",
    "predict",
    "push",
    "resume",
    "serve",
    "tune",
]

_HOMES = {
    "Answerer": "distiltune.python.asking",
    "ChoiceAnswerer": "distiltune.python.asking",
    "DistiltuneError": "distiltune.errors",
    "EntityMarker": "distiltune.python.asking",
    "EpochReport": "distiltune.training.loop",
    "Folder": "distiltune.python.asking",
    "Labelling": "distiltune.python.asking",
    "Recipe": "distiltune.recipe.recipe",
    "ServingLimits": "distiltune.python.serve",
    "StepReport": "distiltune.training.loop",
    "TextClassifier": "distiltune.python.asking",
    "Watcher": "distiltune.training.loop",
    "adapt": "distiltune.python.training",
    "check": "distiltune.python.check",
    "compare": "distiltune.python.studies",
    "convert": "distiltune.python.models",
    "cross_validate": "distiltune.python.studies",
    "distill": "distiltune.python.training",
    "embed": "distiltune.python.using",
    "evaluate": "distiltune.python.using",
    "export_onnx": "distiltune.python.models",
    "find_lr": "distiltune.python.studies",
    "fine_tune": "distiltune.python.training",
    "label": "distiltune.python.label",
    "make_questions": "distiltune.python.making",
    "pipeline": "distiltune.python.asking",
    "predict": "distiltune.python.using",
    "push": "distiltune.python.models",
    "resume": "distiltune.python.training",
    "serve": "distiltune.python.serve",
    "tune": "distiltune.python.studies",
}

_ESTIMATORS = ("DistilBertClassifier", "DistilBertRegressor", "DistilBertTagger")
"""The names that need scikit-learn. They are not in `__all__`: ``from distiltune import *`` must do without it."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import distiltune` does not wait for PyTorch."""
    if name in _ESTIMATORS:
        return getattr(_estimators(name), name)
    if name not in _HOMES:
        raise AttributeError(f"module 'distiltune' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def _estimators(name: str) -> ModuleType:
    """The module of the estimators.

    Raises:
        InstallationError: if scikit-learn is missing.

    """
    try:
        return import_module("distiltune.python.estimators")
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "sklearn":
            raise
        from distiltune.errors import InstallationError, install_extra

        raise InstallationError(
            f"{name} needs scikit-learn.", where=f"distiltune.{name}", fix=install_extra("sklearn")
        ) from error


def __dir__() -> list[str]:
    return sorted([*__all__, *(_ESTIMATORS if find_spec("sklearn") else ())])
