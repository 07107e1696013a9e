"""What a user's own functions add to a training: figures of the validation data, and a loss.

The recipe keeps their names, so that a run that is gone on with asks for them again; the functions are Python's alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, runtime_checkable

from torch import Tensor

from distiltune.data.packing import PackedBatch
from distiltune.errors import RecipeError, TrainingError
from distiltune.tasks.base import D, Evaluation, Lesson
from distiltune.training.objective import Objective, StepSums, TableColumn

Metric = Callable[[Sequence[Any], Sequence[Any]], float]
"""What is right and what the model says, example by example, → a figure, as scikit-learn's ``metric(y_true, y_pred)``.

Texts: their labels by name, of several labels arrays of 0 and 1 ``(n, n_labels)``, or numbers. Words: a list of tags
(IOB2) each. Questions: a tuple of the texts that are right, empty if there is no answer, and the text that is given.
"""

Loss = Callable[[Tensor, Tensor], Tensor]
"""Scores and labels → ``(n,)``, a loss each; weights and the mean are taken after it.

Texts: ``(n, n_labels)`` and ``(n,)`` ids, or zeros and ones ``(n, n_labels)``; of numbers twice ``(n,)``, in units of
their spread. Words: ``(n_tokens, n_tags)`` and ``(n_tokens,)`` ids; what it says of tokens without a label is left out.
Questions: ``(n, 2, n_tokens)``, minus infinity behind a window's end, and ``(n, 2)`` starts and ends. It is called from
several threads at once, and on a GPU recorded, so it may only compute with tensors.
"""


@runtime_checkable
class Compared(Protocol):
    """What an evaluation has that figures of one's own can be taken of."""

    @property
    def compared(self) -> tuple[Sequence[Any], Sequence[Any]]:
        """What is right and what the model says, of the examples with gold, as `Metric` has it."""


@runtime_checkable
class Judged(Protocol):
    """What a task has whose models can be trained with another loss."""

    def item_losses(self, loss: Loss) -> Callable[[Tensor, PackedBatch], Tensor]:
        """The head's output and its batch → the weighed sum of such losses."""


@dataclass(frozen=True, slots=True)
class Own:
    """Functions of one's own; ``metrics`` by name, ``loss`` None for the task's."""

    metrics: Mapping[str, Metric] = field(default_factory=dict)
    loss: Loss | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What the recipe keeps of them; of what is not given, nothing.

        Raises:
            RecipeError: if something given is no function.

        """
        named = dict(self.metrics)
        for name, function in {**named, **({"loss": self.loss} if self.loss is not None else {})}.items():
            if not callable(function):
                raise RecipeError(
                    f"{name} is {type(function).__name__}, no function.",
                    where="loss" if name == "loss" else "metrics",
                    fix="give a function" if name == "loss" else "give functions by name, as metrics={'mine': mine}",
                )
        settings: dict[str, Any] = {"metrics": tuple(named)} if named else {}
        if self.loss is not None:
            settings["loss"] = str(getattr(self.loss, "__qualname__", type(self.loss).__qualname__))
        return settings

    def check(self, metrics: Sequence[str], loss: str) -> None:
        """Check that there is a function for each name that the recipe has.

        Raises:
            RecipeError: naming the first that is missing.

        """
        missing = [name for name in metrics if name not in self.metrics]
        if missing:
            raise RecipeError(
                f"The metric {missing[0]} is one of your own, and its function is not given.",
                where="recipe: metrics",
                fix=f"give it in Python: metrics={{{missing[0]!r}: FUNCTION}}, also to distiltune.resume",
            )
        if loss and self.loss is None:
            raise RecipeError(
                f"The loss {loss} is one of your own, and its function is not given.",
                where="recipe: loss",
                fix="give it in Python: loss=FUNCTION, also to distiltune.resume",
            )

    @property
    def columns(self) -> tuple[TableColumn, ...]:
        """The epoch table's further columns."""
        return tuple(
            TableColumn(f"Validation {name.replace('_', ' ').title()}", "validation", name) for name in self.metrics
        )

    def figures(self, evaluation: Evaluation) -> dict[str, float]:
        """The evaluation's figures and one's own; none where nothing was measured.

        Raises:
            TrainingError: if a function fails, gives no number, or is called as one of the task's own figures is.
            RecipeError: if the task says nothing that figures could be taken of.

        """
        found = dict(evaluation.metrics)
        if not self.metrics or not found:
            return found
        if not isinstance(evaluation, Compared):
            raise RecipeError(
                "This task says nothing of single examples, so that no figures of your own can be taken.",
                where="metrics",
                fix="leave them out",
            )
        gold, given = evaluation.compared
        for name, function in self.metrics.items():
            if name in found:
                raise TrainingError(
                    f"There is a figure called {name} already.", where="metrics", fix="give yours another name"
                )
            try:
                found[name] = float(function(gold, given))
            except Exception as error:
                raise TrainingError(
                    f"The metric {name} failed: {type(error).__name__}: {error}",
                    where=f"metrics: {name}, over {len(gold):,} examples",
                    fix="mend the function and go on from there: distiltune.resume(RUN, metrics=...)",
                ) from error
        return found

    def lesson(self, lesson: Lesson[D]) -> Lesson[D]:
        """The lesson with one's own loss, if there is one.

        Raises:
            RecipeError: if the task takes none.

        """
        if self.loss is None:
            return lesson
        if not isinstance(lesson.task, Judged):
            raise RecipeError(
                f"The task {lesson.task.name} takes no loss of your own.", where="recipe: loss", fix="leave it out"
            )
        note = "The loss is one of your own; those that are shown are the task's, so that runs can be compared."
        objective = OwnLoss(lesson.objective, lesson.task.item_losses(self.loss))
        return replace(lesson, objective=objective, notes=(*lesson.notes, note))


NOTHING_OWN: Final = Own()
"""Figures and loss are the task's."""


@dataclass(frozen=True, slots=True)
class OwnLoss:
    """A task's objective whose figures are the task's own, and whose gradients are another loss's."""

    usual: Objective
    losses: Callable[[Tensor, PackedBatch], Tensor]

    def __call__(self, output: Tensor, batch: PackedBatch) -> StepSums:
        """See ``Objective``."""
        return StepSums(self.losses(output, batch), self.usual(output.detach(), batch).metrics)


def checked(losses: Tensor, n_items: int) -> Tensor:
    """What a loss of one's own gave.

    Raises:
        TrainingError: if it is not ``(n_items,)``.

    """
    if not isinstance(losses, Tensor) or losses.shape != (n_items,):
        shape = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
        raise TrainingError(
            f"The loss gave {shape} where ({n_items},) is needed: one for each, not their mean.",
            where="loss",
            fix="take no mean: as PyTorch's losses do with reduction='none'",
        )
    return losses
