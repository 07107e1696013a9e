"""Evidence of a run → what ails it, ranked: the sickness, the evidence for it, and the command that helps.

Pure functions over recorded figures. The first piece of advice is the one to act on; causes that lie in the data come
before those that lie in the settings, since no setting mends wrong data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from distiltune.checks.concerns import LEAKED, Severity
from distiltune.coach.answers import LEAST_LOSS, answers, epoch_against_score, predicts_nothing, validation_size
from distiltune.coach.evidence import Evidence
from distiltune.coach.learning import diverged, learning_rate, memorising, not_learning, underfitting
from distiltune.coach.overfitting import Turn, find_turn, is_sure, will_last
from distiltune.coach.sickness import Advice, Rule

ONE_SIDE_LEARNED, ONE_SIDE_DEAD = 0.3, 0.25
"""An accuracy of the first with another below this share of it: only one side of the answer is learned."""


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
    if evidence.probe is not None or evidence.has_learned:
        return False
    return any(advice.sickness in _OPEN for advice in advise(evidence))


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
    meant = evidence.facts.still_parts
    return [part.name for part in last.parts if part.update_ratio == 0.0 and part.name not in meant]


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


def _overfitting(evidence: Evidence) -> Iterable[Advice]:
    """The turning point."""
    train, validation = evidence.losses()
    turn = find_turn(train, validation)
    if turn is None or turn.overfits_from is None or turn.rise < 0.05:
        return
    if not evidence.ended and not will_last(evidence, turn):
        return  # it may come back
    yield _turned(evidence, turn, is_sure(evidence, turn))


def _turned(evidence: Evidence, turn: Turn, sure: bool) -> Advice:
    """Which epoch is best, and what to do about those behind it."""
    train, validation = evidence.losses()
    best, kept, n = turn.best_epoch, evidence.kept_epoch, len(validation)
    shown = (
        f"lowest after epoch {best} (validation loss {validation[best]:.4f}); by epoch {n - 1} it rose by "
        f"{turn.rise:.0%} to {validation[-1]:.4f} while the training loss fell from {train[best]:.4f} "
        f"to {train[-1]:.4f}"
    )
    if not sure:
        shown += f"; {evidence.facts.n_validation:,} validation examples do not tell that from chance"
    message = f"{'' if sure else 'perhaps '}overfitting from epoch {turn.overfits_from} on; "
    cure = "regularise: more training examples, --weight-decay 0.01, a little more --dropout"
    if kept == best:
        message += f"the best epoch is {best}, which is the one kept"
        command = f"stop there (--epochs {best + 1}, or --patience 1) or {cure}"
    else:
        message += f"the validation loss is lowest after epoch {best}, and {kept} is kept, by {evidence.facts.monitor}"
        command = f"stop earlier (--epochs {max(best, kept) + 1}) or {cure}"
    if kept == n - 1 or _score_gains(evidence, best):  # where the score still improves, stopping would cost
        return Advice("note", "overfitting", message, shown, f"if its confidence matters too, {cure}")
    hurts = sure and not _score_holds(evidence)
    return Advice("warning" if hurts else "note", "overfitting", message, shown, command)


def _score_holds(evidence: Evidence) -> bool:
    """Whether a score chooses the epoch, and the last epoch's is below that of the one kept by no more than chance.

    Then the later epochs took time and nothing else.
    """
    for blind in evidence.facts.blind_scores[:1]:
        if evidence.facts.monitor != blind.metric:
            return False
        scores = {epoch.epoch: epoch.validation.get(blind.metric, math.nan) for epoch in evidence.epochs}
        kept, last = scores.get(evidence.kept_epoch, math.nan), scores[evidence.epochs[-1].epoch]
        return kept - last <= max(LEAST_LOSS * blind.whole, blind.margin_at(kept))
    return False


def _score_gains(evidence: Evidence, best: int) -> bool:
    """Whether an epoch behind the one with the lowest loss has a better main score: then stopping there would cost."""
    scores = [epoch.validation for epoch in evidence.epochs if "loss" in epoch.validation]
    names = [blind.metric for blind in evidence.facts.blind_scores[:1]]
    return any(later.get(name, 0.0) > scores[best].get(name, 0.0) for name in names for later in scores[best + 1 :])


_RULES: Sequence[Rule] = (
    _data,
    _frozen,
    diverged,
    learning_rate,
    not_learning,
    _one_sided,
    epoch_against_score,
    _overfitting,
    memorising,
    predicts_nothing,
    answers,
    underfitting,
    validation_size,
)
_OPEN = frozenset({"not_learning", "predicts_nothing", "one_class", "all_null"})
"""What may have deeper causes, where nothing was learned."""
_FINAL = (_frozen, diverged, learning_rate, not_learning, memorising)
