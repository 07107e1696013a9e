"""Evidence of a run → what ails it, ranked: the sickness, the evidence for it, and the command that helps.

Pure functions over recorded figures. The first piece of advice is the one to act on; causes that lie in the data come
before those that lie in the settings, since no setting mends wrong data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from distiltune.checks.concerns import LEAKED, Severity
from distiltune.coach.evidence import Evidence
from distiltune.coach.overfitting import STILL_IMPROVING, find_turn, rise_by_chance

LOW_UPDATE, HIGH_UPDATE = 1e-5, 1e-2
"""Update-to-weight ratios (norm of a step's update over the weights' norm) between which fine-tuning goes well; the
recipe's 2e-5 makes about 4e-4."""
HIGH_DROPOUT = 0.4
NOT_LEARNING = 0.9
"""A training loss above this share of what blind guessing gives has learned nothing to speak of."""
FEW_EXAMPLES = 100
"""From fewer nobody expects that anything carries over."""
FEW_STEPS = 30
"""After fewer steps than this nobody can say that labels are wrong."""
ONE_SIDE_LEARNED, ONE_SIDE_DEAD = 0.3, 0.25
"""An accuracy of the first with another below this share of it: only one side of the answer is learned."""
MUCH_LEFT = 0.1
"""A fall of the validation loss in the last epoch, as a share, that means the run was broken off."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that ails a run, or (note) is good to know.

    Attributes:
        severity: error: the run is worth little; warning: it could be clearly better; note: for information.
        sickness: a short machine-readable name such as ``overfitting``.
        message: what it is, in a sentence.
        evidence: the figures that say so.
        command: what to run or to change; empty if nothing has to be done.

    """

    severity: Severity
    sickness: str
    message: str
    evidence: str
    command: str = ""

    def as_json(self) -> dict[str, Any]:
        """The advice as plain values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The advice for a terminal."""
        lines = [f"coach: {self.message}", f"  why: {self.evidence}"]
        return [*lines, f"  what to do: {self.command}"] if self.command else lines


Rule = Callable[[Evidence], Iterable[Advice]]


def advise(evidence: Evidence) -> tuple[Advice, ...]:
    """All advice that the evidence calls for, the first thing to do first."""
    found: list[Advice] = []
    for rule in _RULES:
        found += rule(evidence)
        # Who does not learn for one reason does not for another: the rules behind would only name consequences.
        # A leak explains nothing of the kind: it only makes the figures too good.
        errors = [advice for advice in found if advice.severity == "error" and not advice.sickness.endswith(LEAKED)]
        if rule in _FINAL and errors:
            break
    order: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}
    kinds: dict[str, Advice] = {}
    for advice in sorted(found, key=lambda advice: order[advice.severity]):
        kinds.setdefault(advice.sickness, advice)
    return tuple(kinds.values())


def needs_probe(evidence: Evidence) -> bool:
    """Whether learning a few examples by heart would tell apart what the figures do not."""
    return any(advice.sickness == "not_learning" for advice in advise(evidence))


def _data(evidence: Evidence) -> Iterable[Advice]:
    """What was wrong before the first step; the task has left out what does not matter to a training."""
    for concern in evidence.facts.concerns:
        yield Advice(
            concern.severity,
            concern.kind,
            f"the data: {concern.headline or concern.message}",
            f"{concern.count:,} of {concern.of:,} ({concern.share:.1%}): {concern.message}"
            if concern.count
            else concern.message,
            f"train on what this leaves: {evidence.facts.check} --fix clean.json"
            if concern.fixable
            else concern.repair,
        )


def _frozen(evidence: Evidence) -> Iterable[Advice]:
    """Parts that do not move."""
    share = evidence.facts.frozen_share
    still = _still_parts(evidence)
    if share < 0.05 and not still:
        return
    shown = f"{share:.0%} of the weights are not trained" if share >= 0.05 else f"no update reaches {', '.join(still)}"
    head_still = any("head" in part for part in still)
    yield Advice(
        "error",
        "dead_head" if head_still else "frozen",
        f"{'the head' if head_still else 'a part of the model'} is frozen: its weights never change",
        shown,
        "let all weights be trained (requires_grad), unless this is meant",
    )


def _still_parts(evidence: Evidence) -> list[str]:
    if not evidence.vitals:
        return []
    last = evidence.vitals[-1]
    if all(part.update_ratio == 0.0 for part in last.parts):
        return []
    return [part.name for part in last.parts if part.update_ratio == 0.0]


def _diverged(evidence: Evidence) -> Iterable[Advice]:
    """A loss that is no number, or that rose above knowing nothing and stayed there."""
    losses = [step.loss for step in evidence.steps] or [epoch.train["loss"] for epoch in evidence.epochs]
    if not losses:
        return
    ratio = _update_ratio(evidence)
    ratio_words = f", updates are {ratio:.1e} of the weights" if ratio is not None else ""
    lower = f"--learning-rate {evidence.facts.learning_rate / 10:.0e}, or ask: {evidence.facts.find_lr}"
    broken = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), None)
    uniform = evidence.facts.uniform_loss
    late = losses[len(losses) // 4 :]
    if broken is not None:
        where = f"log line {broken} of {len(losses)}"
        message = "the training diverged: the loss is no longer a number"
        yield Advice("error", "learning_rate_too_high", message, f"from {where} on{ratio_words}", lower)
    elif uniform and len(losses) >= 4 and median(late) > 1.15 * uniform:
        message = "the training diverged: the loss is above that of knowing nothing"
        shown = f"loss {median(late):.2f}, knowing nothing gives {uniform:.2f}{ratio_words}"
        yield Advice("error", "learning_rate_too_high", message, shown, lower)


def _not_learning(evidence: Evidence) -> Iterable[Advice]:
    """A training loss that stays where guessing is: why, told apart by updates, dropout and the probe."""
    if not evidence.epochs:
        return
    facts, last = evidence.facts, evidence.epochs[-1]
    blind, loss = facts.blind_loss, last.train["loss"]
    validation = last.validation.get("loss", math.nan)
    # With much dropout the training loss says little by itself; the validation loss has none.
    if not blind or loss < NOT_LEARNING * blind or validation < 0.8 * NOT_LEARNING * blind:
        return
    if not evidence.ended and len(evidence.epochs) < 2:
        return  # it may yet begin
    ratio = _update_ratio(evidence)
    shown = f"training loss {loss:.2f} after {len(evidence.epochs)} epoch(s), blind guessing gives {blind:.2f}"
    if ratio is not None:
        shown += f"; a step changes the weights by {ratio:.1e} of their size"
    if ratio is not None and ratio < LOW_UPDATE:
        command = f"--learning-rate {_usual_rate(facts.learning_rate, ratio):.0e}, or ask: {facts.find_lr}"
        yield Advice("error", "learning_rate_too_low", "nothing is learned: the updates are too small", shown, command)
    elif facts.dropout >= HIGH_DROPOUT:
        shown += f"; dropout {facts.dropout:g}"
        command = "--dropout 0.1 --attention-dropout 0.1 --head-dropout 0.1"
        yield Advice("error", "dropout_too_high", "nothing is learned: too much is dropped out", shown, command)
    elif ratio is not None and ratio > HIGH_UPDATE:
        command = f"--learning-rate {_usual_rate(facts.learning_rate, ratio):.0e}, or ask: {facts.find_lr}"
        yield Advice("error", "learning_rate_too_high", "nothing is learned: the updates are too large", shown, command)
    else:
        yield _labels_or_budget(evidence, shown)


def _labels_or_budget(evidence: Evidence, shown: str) -> Advice:
    """Updates of a healthy size and nothing learned: wrong labels, too few steps, or a model that cannot learn."""
    probe = evidence.probe
    if probe is not None and not probe.learned:
        shown += f"; {probe.n_features} examples cannot be learned by heart either: {_probe_words(evidence)}"
        message = "nothing is learned, not even by heart: model, head and data do not fit together"
        return Advice("error", "cannot_learn", message, shown, "use a pretrained model; look at its first answers")
    if probe is not None:
        shown += f"; {probe.n_features} examples can be learned by heart: {_probe_words(evidence)}"
    if evidence.facts.from_scratch:
        message = "nothing is learned yet: the model began from random weights, and reading takes far more than this"
        return Advice("error", "no_pretraining", message, shown, "start from a pretrained model: --model")
    if probe is not None and _steps_done(evidence) >= FEW_STEPS:
        message = "nothing is learned although the model moves: the labels do not follow from the texts"
        command = f"read twenty rows yourself, and ask: {evidence.facts.check}"
        return Advice("error", "wrong_labels", message, shown, command)
    message = "nothing is learned yet"
    shown += f"; {_steps_done(evidence)} steps"
    return Advice("error", "not_learning", message, shown, f"train longer: --epochs, or ask: {evidence.facts.find_lr}")


def _probe_words(evidence: Evidence) -> str:
    probe = evidence.probe
    assert probe is not None
    return f"loss {probe.loss_before:.2f} → {probe.loss_after:.2f} in {probe.n_steps} steps"


def _one_sided(evidence: Evidence) -> Iterable[Advice]:
    """One of two accuracies that stays down while the other rises: half of the head is dead, or half of the labels."""
    if len(evidence.epochs) < 2:
        return
    last = evidence.epochs[-1].train
    shares = sorted((value, name) for name, value in last.items() if name.endswith("_accuracy"))
    if len(shares) < 2:
        return
    (low, worse), (high, better) = shares[0], shares[-1]
    if high < ONE_SIDE_LEARNED or low > ONE_SIDE_DEAD * high:
        return
    learned, dead = better.removesuffix("_accuracy"), worse.removesuffix("_accuracy")
    message = f"the model learns the {learned} of an answer and not the {dead}"
    shown = f"accuracy of the {dead} {low:.2f}, of the {learned} {high:.2f} after {len(evidence.epochs)} epochs"
    command = f"look at the head's weights, and ask: {evidence.facts.check}"
    yield Advice("error", "one_sided_head", message, shown, command)


def _memorising(evidence: Evidence) -> Iterable[Advice]:
    """Training that goes well while validation never gets better than guessing: learning by heart, or wrong labels.

    A model that cannot read yet learns right labels by heart just as it does wrong ones, so that only one that was
    pretrained can tell of the labels.
    """
    turn = find_turn(*_losses(evidence))
    if turn is None or not evidence.facts.blind_loss:
        return
    blind = evidence.facts.blind_loss
    train, validation = _losses(evidence)
    if validation[turn.best_epoch] < 0.93 * blind or train[-1] > NOT_LEARNING * blind:
        return
    if not evidence.ended and turn.best_epoch == len(validation) - 1:
        return  # it may yet carry over
    shown = (
        f"training loss {train[0]:.2f} → {train[-1]:.2f}, but the validation loss is {validation[turn.best_epoch]:.2f} "
        f"at best, and blind guessing gives {blind:.2f}"
    )
    if evidence.facts.from_scratch:
        message = "what is learned does not carry over: the model began from random weights, and learns by heart"
        yield Advice("error", "no_pretraining", message, shown, "start from a pretrained model: --model")
    elif evidence.facts.n_train >= FEW_EXAMPLES:  # fewer can only be learned by heart, which overfitting says
        message = (
            "what is learned does not carry over: either the labels do not follow from the texts, or this model would "
            "need more of them"
        )
        shown += f"; {evidence.facts.n_train:,} training examples"
        command = f"read twenty rows yourself; if they are right, add examples; and ask: {evidence.facts.check}"
        yield Advice("error", "wrong_labels", message, shown, command)


def _overfitting(evidence: Evidence) -> Iterable[Advice]:
    """The turning point."""
    train, validation = _losses(evidence)
    turn = find_turn(train, validation)
    if turn is None or turn.overfits_from is None or turn.rise < 0.05:
        return
    n_examples = evidence.facts.n_validation
    is_sure = turn.rise >= rise_by_chance(n_examples)
    best, kept, n = turn.best_epoch, evidence.kept_epoch, len(validation)
    shown = (
        f"best epoch {best} (validation loss {validation[best]:.4f}); by epoch {n - 1} it rose by "
        f"{turn.rise:.0%} to {validation[-1]:.4f} while the training loss fell from {train[best]:.4f} "
        f"to {train[-1]:.4f}"
    )
    if not is_sure:
        shown += f"; {n_examples:,} validation examples do not tell that from chance"
    message = f"{'' if is_sure else 'perhaps '}overfitting from epoch {turn.overfits_from} on; "
    cure = "regularise: more training examples, --weight-decay 0.01, a little more --dropout"
    if kept == best:
        message += f"the best epoch is {best}, which is the one kept"
        command = f"stop there (--epochs {best + 1}, or --patience 1) or {cure}"
    else:
        message += f"the validation loss is lowest after epoch {best}, and {kept} is kept, by {evidence.facts.monitor}"
        command = f"stop earlier (--epochs {max(best, kept) + 1}) or {cure}"
    if kept == n - 1:  # where what the run is judged by still improves, stopping would cost
        yield Advice("note", "overfitting", message, shown, f"if its confidence matters too, {cure}")
    else:
        yield Advice("warning" if is_sure else "note", "overfitting", message, shown, command)


def _underfitting(evidence: Evidence) -> Iterable[Advice]:
    """Still improving when it ended."""
    if not evidence.ended:
        return
    train, validation = _losses(evidence)
    turn = find_turn(train, validation)
    if turn is None or len(validation) < 2 or turn.best_epoch != len(validation) - 1:
        return
    if turn.last_gain < STILL_IMPROVING:
        return
    n = evidence.facts.planned_epochs or len(validation)
    much = turn.last_gain >= MUCH_LEFT and train[-1] > validation[-1]
    yield Advice(
        "warning" if much else "note",
        "underfitting",
        "the run ended while it was still improving",
        f"the last epoch lowered the validation loss by {turn.last_gain:.1%}, from {validation[-2]:.4f} to "
        f"{validation[-1]:.4f}; training loss {train[-1]:.4f}",
        f"--epochs {n + max(1, n // 2)}" if not much else f"--epochs {2 * n}, or a higher --learning-rate",
    )


def _answers(evidence: Evidence) -> Iterable[Advice]:
    """What the answers themselves look like."""
    facts = evidence.answers
    if not facts or facts.get("n", 0) < 20:
        return
    null_share, wanted = facts.get("null_share", 0.0), facts.get("null_share_wanted", 0.0)
    if null_share > 0.95 and wanted < 0.8:
        shown = f"{null_share:.0%} of the answers are “none”, and {wanted:.0%} should be"
        command = "balance answerable and unanswerable questions, or set --null-threshold higher"
        yield Advice("error", "all_null", "the model answers nothing", shown, command)
    one_place = facts.get("one_place_share", 0.0)
    if one_place > 0.8 and null_share < 0.5:
        shown = f"{one_place:.0%} of the answers begin in the same place of their text"
        command = f"ask: {evidence.facts.check}"
        yield Advice("error", "one_place", "the model answers by place, not by question", shown, command)
    # A temperature that is fitted afterwards hides from who asks what the training has done.
    confidence = facts.get("confidence_before", facts.get("confidence", 0.0))
    right = facts.get("right_share", facts.get("score", 100.0) / 100)
    if confidence > 0.9 and right < 0.5:
        by_itself = ", before its temperature is fitted," if "confidence_before" in facts else ""
        shown = f"the model{by_itself} is {confidence:.0%} sure on average, and {right:.0%} right"
        command = "stop earlier (--patience 1), or lower --learning-rate"
        yield Advice(
            "warning", "saturated_head", "the model is sure of nearly everything, and often wrong", shown, command
        )


def _validation_size(evidence: Evidence) -> Iterable[Advice]:
    """How much the figures can be trusted."""
    n, margin = evidence.facts.n_validation, evidence.answers.get("score_margin", 0.0)
    if n == 0 or not margin:
        return
    if margin < 3.0:
        return
    score = evidence.answers.get("score", 0.0)
    yield Advice(
        "warning" if n < 50 else "note",
        "validation_too_small",
        "the validation data is too small to tell small differences",
        f"on {n:,} examples the score of {score:.1f} is known to within ±{margin:.1f} points",
        f"use about {_enough(n, margin):,} validation examples to know it to within ±2 points",
    )


def _enough(n: int, margin: float) -> int:
    return int(-(-(n * (margin / 2.0) ** 2) // 100) * 100)


def _losses(evidence: Evidence) -> tuple[list[float], list[float]]:
    """Training and validation losses of the epochs that have both."""
    both = [epoch for epoch in evidence.epochs if "loss" in epoch.validation]
    return [epoch.train["loss"] for epoch in both], [epoch.validation["loss"] for epoch in both]


def _update_ratio(evidence: Evidence) -> float | None:
    """The usual update-to-weight ratio: the middle one of the parts, at the run's strongest look."""
    ratios = [
        median(part.update_ratio for part in vitals.parts if part.update_ratio > 0)
        for vitals in evidence.vitals
        if any(part.update_ratio > 0 for part in vitals.parts)
    ]
    return max(ratios) if ratios else None


def _usual_rate(learning_rate: float, ratio: float) -> float:
    """A learning rate that would make a usual ratio, in a round figure."""
    return learning_rate * 4e-4 / ratio


def _steps_done(evidence: Evidence) -> int:
    return evidence.steps[-1].step + 1 if evidence.steps else len(evidence.epochs) * evidence.facts.steps_per_epoch


_RULES: Sequence[Rule] = (
    _data,
    _frozen,
    _diverged,
    _not_learning,
    _one_sided,
    _overfitting,
    _memorising,
    _answers,
    _underfitting,
    _validation_size,
)
_FINAL = (_frozen, _diverged, _not_learning, _memorising)
