"""What a run was and came to, as one record: what the curves, the model card and the page are made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from distiltune.coach.scores import BlindScore
from distiltune.coach.sickness import Advice
from distiltune.data.sources import has_splits
from distiltune.model.source import PACKAGED
from distiltune.system.device import Machine
from distiltune.tasks.analysis import Analysis, ScoredAnswer
from distiltune.tasks.guide import TaskGuide
from distiltune.training.loop import EpochReport, StepReport
from distiltune.training.objective import TableColumn
from distiltune.training.plan import StepPlan


@dataclass(frozen=True, slots=True)
class DataSummary:
    """One set of examples, training or validation.

    Attributes:
        sources: what the examples were read from, as the user named it (`Dataset.sources`).
        n_rows: rows read (`RowFindings.n_rows`); 0 if unknown or if the set was parted from another one.
        n_examples: examples that could be used and were.
        n_features: windows that they make.
        fingerprint: hash of the content and of the selection (`Dataset.fingerprint`).
        findings: how many findings of each kind, such as ``{"rejected/answer_not_found": 3}``
            (`RowFindings.counts`).

    """

    sources: tuple[str, ...]
    n_rows: int
    n_examples: int
    n_features: int
    fingerprint: str
    findings: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecipeEntry:
    """One setting as it was run: its name, its value, and a sentence on it, which may hold `code`."""

    name: str
    value: object
    description: str


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A finished run.

    Attributes:
        name: the run's name, which titles its card and page; usually the run directory's own name.
        task: the task's name, as the recipe has it.
        guide: the task's words on its metrics, use and limits.
        architecture: the class of transformers that loads the model directory.
        base_model: the model that the run started from, as the user named it.
        train: the training data.
        validation: the validation data, None if there is none.
        recipe: every setting, in the recipe's order.
        precision: the number format of the training, such as ``float32``.
        columns: the epoch table's columns after the epoch's number (`Task.table`).
        epochs: the epochs run, in order.
        steps: the log lines of the training, in order; may be empty.
        plan: how many steps each epoch has, which places the log lines between the epochs.
        best_epoch: number of the epoch that the model directory holds.
        monitor: the recipe's ``monitor``, which chose it; without validation data the last epoch is kept.
        epoch_choice: the recipe's, how near to the best it may be.
        final_metrics: all metrics of the best epoch on the validation data; empty without such data.
        train_seconds: spent in training steps, all epochs.
        validation_seconds: spent in evaluations, all epochs.
        total_seconds: from the start of the run to its end, reading included; of a resumed one without the pauses and
            what was lost beyond a checkpoint.
        machine: what it ran on.
        versions: package → version.
        git_revision: of the code, empty if unknown.
        hub_names: those of the names above that mean a repository on the Hugging Face hub, as
            `find_hub_names` finds them. They are shown whole; of any other path only the last part is.
        notes: sentences that a reader should know, such as the data's and the model's notes.
        n_parameters: numbers in the model as it was trained, None if unknown.
        analysis: where the best epoch's answers are right and where wrong, None if unknown.
        advice: what the coach says, the first thing to do first.
        warm_up: the data that was read before the training data or among it, None if there is none.
        answers: what was given and wanted of each validation example, empty if unknown.
        baselines: what the validation scores come to for who knows nothing of the texts; empty if unknown.

    """

    name: str
    task: str
    guide: TaskGuide
    architecture: str
    base_model: str
    train: DataSummary
    validation: DataSummary | None
    recipe: tuple[RecipeEntry, ...]
    precision: str
    columns: tuple[TableColumn, ...]
    epochs: tuple[EpochReport, ...]
    steps: tuple[StepReport, ...]
    plan: StepPlan
    best_epoch: int
    monitor: str
    epoch_choice: str
    final_metrics: Mapping[str, float]
    train_seconds: float
    validation_seconds: float
    total_seconds: float
    machine: Machine
    versions: Mapping[str, str]
    git_revision: str = ""
    hub_names: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    n_parameters: int | None = None
    analysis: Analysis | None = None
    advice: tuple[Advice, ...] = ()
    warm_up: DataSummary | None = None
    answers: tuple[ScoredAnswer, ...] = ()
    baselines: tuple[BlindScore, ...] = ()

    @property
    def data(self) -> dict[str, DataSummary]:
        """The sets by what they were for: "Training", then "Warm-up" and "Validation" if there is any."""
        sets = {"Training": self.train, "Warm-up": self.warm_up, "Validation": self.validation}
        return {name: data for name, data in sets.items() if data is not None}


def find_hub_names(names: Iterable[str]) -> frozenset[str]:
    """Which names of models or data mean a repository on the hub: no path that exists, and none of the package.

    It looks at the disk, so it is to be asked where the names were used; nothing is fetched.
    """
    return frozenset(name for name in names if name not in PACKAGED and has_splits(name))
