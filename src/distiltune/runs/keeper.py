"""Watches the training loop: logs each report, keeps checkpoints and the best epoch, decides when to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from distiltune.errors import DivergedError
from distiltune.progress import TRAINING, OnceASecond
from distiltune.runs.directory import RunDirectory
from distiltune.training.checkpoint import Position
from distiltune.training.checkpoint_writer import CheckpointWriter
from distiltune.training.early_stopping import BestEpoch, monitored
from distiltune.training.finite import MAX_SKIPPED_IN_A_ROW, BadStep
from distiltune.training.interruption import Interruption
from distiltune.training.loop import EpochReport, LoopState, StepReport
from distiltune.training.reporter import Reporter
from distiltune.training.run_log import RunLog

NameFeatures = Callable[[Sequence[int]], list[str]]
"""From numbers of features to the ids that the data gave their examples."""

_SHOWN_IDS = 32


@dataclass(slots=True)
class BadSteps:
    """What happens at a step whose numbers are not finite: an error, or it is skipped and counted."""

    skip: bool
    name_features: NameFeatures
    where: str
    n_in_a_row: int = 0
    last: int = -2

    def on_bad_step(self, bad: BadStep) -> str:
        """What to say of a step that is skipped.

        Raises:
            DivergedError: if it is not to be skipped, or too many before it were.

        """
        self.n_in_a_row = self.n_in_a_row + 1 if bad.step == self.last + 1 else 1
        self.last = bad.step
        names = self.name_features(bad.feature_ids[:_SHOWN_IDS])
        more = f" and {len(bad.feature_ids) - _SHOWN_IDS} more" if len(bad.feature_ids) > _SHOWN_IDS else ""
        what = (
            f"The loss or a gradient is not a finite number at step {bad.step} (epoch {bad.epoch}, learning rate "
            f"{bad.learning_rate:.3g}). The step's examples: {', '.join(names)}{more}."
        )
        if self.skip and self.n_in_a_row <= MAX_SKIPPED_IN_A_ROW:
            return what
        if self.skip:
            what = f"{self.n_in_a_row} steps in a row had to be skipped. {what}"
        raise DivergedError(
            what,
            where=self.where,
            fix="nothing of this step is in the weights or in a checkpoint; lower --learning-rate, look at these "
            "examples, or leave such steps out with --non-finite skip (also with --resume)",
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """By what a run judges its epochs.

    Attributes:
        monitor: the metric that decides which epoch is best.
        patience: epochs without an improvement of it after which the run ends; 0: none.
        go_on: asked after each epoch, when all is written of it, whether to train on.

    """

    monitor: str
    patience: int = 0
    go_on: Callable[[EpochReport], bool] = lambda report: True


@dataclass(slots=True)
class Follower:
    """The loop's ``Keeper`` in a process that writes nothing and decides as the one that does."""

    best: BestEpoch
    judgement: Judgement
    interruption: Interruption
    bad_steps: BadSteps
    epochs: list[EpochReport] = field(default_factory=list)

    def remember(self, state: Mapping[str, Any]) -> None:
        """Take up what the checkpoint that is resumed knows."""
        self.epochs = [EpochReport(**report) for report in state["epochs"]]
        self.best = self.best.remembering(state["best"])

    def on_step(self, report: StepReport) -> None:
        """Nothing to do."""

    def on_bad_step(self, bad: BadStep) -> None:
        """Raise, or let it be skipped."""
        self.bad_steps.on_bad_step(bad)

    def between_steps(self, step: int, state: Callable[[], LoopState]) -> None:
        """Stop where all stop."""
        if number := self.interruption.agreed():
            self.interruption.stop(number)

    def before_evaluation(self, state: LoopState) -> None:
        """Nothing to do."""

    def on_broken_off(self, state: LoopState) -> None:
        """Nothing to do."""

    def on_epoch(self, report: EpochReport) -> None:
        """See whether it is the best."""
        self.epochs.append(report)
        self.best = self.best.after(report.epoch, monitored(report, self.judgement.monitor))

    def after_epoch(self, state: LoopState) -> bool:
        """Whether to go on."""
        return not self.is_finished

    @property
    def is_finished(self) -> bool:
        """Whether early stopping has ended the run."""
        return self.best.should_stop(self.judgement.patience)


@dataclass(frozen=True, slots=True)
class Files:
    """What a keeper writes to: the run directory, its log, its checkpoints."""

    run: RunDirectory
    log: RunLog
    checkpoints: CheckpointWriter


class RunKeeper:
    """The loop's ``Keeper`` in the process that writes: it keeps what the run directory is to hold."""

    def __init__(
        self,
        files: Files,
        reporter: Reporter,
        best: BestEpoch,
        judgement: Judgement,
        interruption: Interruption,
        bad_steps: BadSteps,
        more_state: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """Keep a run from its beginning, ``best`` being before the first epoch.

        What ``more_state`` returns is kept in every checkpoint too.
        """
        self._run, self._log, self._checkpointer = files.run, files.log, files.checkpoints
        self._reporter, self._best, self._judgement = reporter, best, judgement
        self._interruption, self._bad_steps, self._more_state = interruption, bad_steps, more_state
        self.epochs: list[EpochReport] = []
        self.steps: list[StepReport] = []
        self._tell = OnceASecond()

    def remember(self, state: Mapping[str, Any]) -> None:
        """Take up what the checkpoint that is resumed knows."""
        self.epochs = [EpochReport(**report) for report in state["epochs"]]
        self.steps = [StepReport(**report) for report in state["steps"]]
        self._best = self._best.remembering(state["best"])

    @property
    def is_finished(self) -> bool:
        """Whether early stopping has ended the run."""
        return self._best.should_stop(self._judgement.patience)

    def on_step(self, report: StepReport) -> None:
        """Log it and show it."""
        self.steps.append(report)
        self._log.write("step", **asdict(report))
        self._reporter.step(report)

    def on_bad_step(self, bad: BadStep) -> None:
        """Raise, or log what is skipped."""
        message = self._bad_steps.on_bad_step(bad)
        self._log.write(
            "event",
            event="step_skipped",
            step=bad.step,
            learning_rate=bad.learning_rate,
            examples=self._bad_steps.name_features(bad.feature_ids),
        )
        self._reporter.note(f"skipped: {message}")

    def between_steps(self, step: int, state: Callable[[], LoopState]) -> None:
        """Save where it is time to; save and stop where a signal asks for it. Tell how far the run is."""
        self._tell(TRAINING, "steps", step)
        number = self._interruption.agreed()
        if self._checkpointer.is_due(step) or number:
            self._save(state())
        if number:
            self._checkpointer.wait()
            self._interruption.stop(number)

    def before_evaluation(self, state: LoopState) -> None:
        """Save, unless it was done a moment ago: of a tiny epoch two checkpoints may cost more than the epoch."""
        if not self._checkpointer.is_fresh():
            self._save(state)

    def on_broken_off(self, state: LoopState) -> None:
        """The state was saved before the evaluation began, or shortly before; gone with its directory, it is again."""
        self._checkpointer.wait()
        if not self._checkpointer.is_there():
            self._save(state)
            self._checkpointer.wait()

    def on_epoch(self, report: EpochReport) -> None:
        """Log it, and keep the checkpoint."""
        self.epochs.append(report)
        self._best = self._best.after(report.epoch, monitored(report, self._judgement.monitor))
        is_best = self._best.epoch == report.epoch
        self._log.write("epoch", **asdict(report), best=is_best)
        if report.validation:
            self._log.write("evaluation", epoch=report.epoch, metrics=dict(report.validation))
        message = ""
        if self.is_finished:
            message = (
                f"stopped after epoch {report.epoch}: {self._judgement.monitor} has not improved for "
                f"{self._best.n_since} epoch(s); epoch {self._best.epoch} is kept"
            )
            self._log.write("event", event="early_stop", message=message)
        if is_best:
            self._checkpointer.save_best(report.epoch, self._run.new_prediction_files(), {"epoch": report.epoch})
            self._run.keep_predictions()
        self._run.drop_new_predictions()
        self._reporter.epoch(report, is_best)
        if message:
            self._reporter.note(message)

    def after_epoch(self, state: LoopState) -> bool:
        """Save: all that is known of the epoch is in the log. Whether to go on, which is asked after every epoch."""
        wanted = self._judgement.go_on(self.epochs[-1])
        self._save(state)
        return wanted and not self.is_finished

    @property
    def has_best(self) -> bool:
        """Whether an epoch has a monitored value that is a number."""
        return self._best.epoch >= 0

    def best_epoch(self) -> int:
        """The epoch that is kept as the best.

        Raises:
            DivergedError: if no epoch has a monitored value that is a number.

        """
        if not self.has_best:
            raise DivergedError(
                f"No epoch has a {self._judgement.monitor} that is a number, so there is no model to keep.",
                where=str(self._run.log),
                fix="lower --learning-rate",
            )
        return self._best.epoch

    def why_best(self) -> str:
        """Why that epoch, in words."""
        if not self.epochs[-1].validation:
            return "the last epoch; there is no validation data to choose by"
        kept, name = self._best, self._judgement.monitor
        if kept.value == kept.top:
            return f"best {name}: {kept.value:.4f}"
        return f"{name} {kept.value:.4f}, the latest within a standard error of the best, {kept.top:.4f}"

    def _save(self, state: LoopState) -> None:
        self._checkpointer.save(
            Position(state.step, state.epoch),
            self._best.epoch,
            {
                "loop": asdict(state),
                "best": self._best.memory(),
                "epochs": [asdict(report) for report in self.epochs],
                "steps": [asdict(report) for report in self.steps],
                "log_bytes": self._log.n_bytes,
                **self._more_state(),
            },
        )
