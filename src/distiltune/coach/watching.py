"""The coach beside a run: records what it goes by, says what it sees as it sees it, and sums up at the end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from torch import nn

from distiltune.coach.advice import advise
from distiltune.coach.evidence import Evidence, TrainingFacts
from distiltune.coach.pairs import Losses, Pairs
from distiltune.coach.sickness import Advice
from distiltune.training.loop import EpochReport, StepReport
from distiltune.training.optimiser import Adam
from distiltune.training.run_log import RunLog
from distiltune.training.vitals import STEPS_BETWEEN_VITALS, PartVitals, Vitals, take_vitals

CAME_BACK = "overfitting_came_back"


def taken_back(said: Collection[str], found: Sequence[Advice]) -> tuple[Advice, ...]:
    """What was said of overfitting on the way, where it does not hold at the end."""
    if "overfitting" not in said or any(advice.sickness == "overfitting" for advice in found):
        return ()
    message = "what was said of overfitting on the way does not hold: the validation loss came back"
    return (Advice("note", CAME_BACK, message, "its lowest value is of a later epoch, or the rise is gone"),)


class Coach:
    """A loop's watcher that says what it makes of what it sees."""

    def __init__(
        self, facts: TrainingFacts, model: nn.Module, optimiser: Adam, log: RunLog, say: Callable[[str], None]
    ) -> None:
        self._model, self._optimiser, self._log, self._say = model, optimiser, log, say
        self._next_look = 0
        self._said: set[str] = set()
        self._pairs = Pairs()
        self.evidence = Evidence(facts, ended=False)

    def begin(self) -> None:
        """Say what is known before the first step."""
        self._tell(advise(self.evidence))

    def memory(self) -> dict[str, object]:
        """What a checkpoint keeps, beside the reports of steps and epochs, for ``remember``."""
        return {
            "vitals": [asdict(look) for look in self.evidence.vitals],
            "said": sorted(self._said),
            "pairs": self._pairs.as_json(),
        }

    def remember(self, steps: Sequence[StepReport], epochs: Sequence[EpochReport], memory: Mapping[str, Any]) -> None:
        """Take up what was seen and said before the run was stopped."""
        vitals = tuple(
            Vitals(look["step"], tuple(PartVitals(**part) for part in look["parts"])) for look in memory["vitals"]
        )
        self._said = set(memory["said"])
        self._pairs = Pairs.from_json(memory["pairs"])
        self._next_look = vitals[-1].step + STEPS_BETWEEN_VITALS if vitals else 0
        changes = self._pairs.changes
        self.evidence = replace(self.evidence, steps=tuple(steps), epochs=tuple(epochs), vitals=vitals, changes=changes)

    def on_step(self, report: StepReport) -> None:
        """Record it; now and then look how strongly the parts are trained."""
        vitals = self.evidence.vitals
        if report.step >= self._next_look:
            self._next_look = report.step + STEPS_BETWEEN_VITALS
            vitals = (*vitals, self._look(report.step))
        self.evidence = replace(self.evidence, steps=(*self.evidence.steps, report), vitals=vitals)

    def on_losses(self, losses: Losses | None) -> None:
        """Record what each validation example's loss was, or None, before `on_epoch` is called for the epoch."""
        self._pairs = self._pairs.after(losses)

    def on_epoch(self, report: EpochReport) -> None:
        """Record it, and say what is new."""
        changes = self._pairs.changes
        self.evidence = replace(self.evidence, epochs=(*self.evidence.epochs, report), changes=changes)
        self._tell(advise(self.evidence))

    def end(self, evidence: Evidence) -> None:
        """Say what is new now that all is known, notes included."""
        self.evidence = evidence
        found = advise(evidence)
        self._tell((*taken_back(self._said, found), *found), notes=True)

    def _look(self, step: int) -> Vitals:
        vitals = take_vitals(self._model, self._optimiser, step)
        self._log.write("event", event="vitals", **asdict(vitals))
        return vitals

    def _tell(self, found: tuple[Advice, ...], *, notes: bool = False) -> None:
        """Say what was not said before; what is only good to know waits for the end."""
        for advice in found:
            if (advice.severity == "note" and not notes) or advice.sickness in self._said:
                continue
            self._said.add(advice.sickness)
            self._log.write("event", event="advice", **advice.as_json())
            for line in advice.lines():
                self._say(line)
