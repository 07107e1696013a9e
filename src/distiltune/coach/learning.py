"""Whether a run learned, and if not, or too little, what of: its rate, its length, its labels, or the model.

Learned is what shows in a score beyond chance or in a loss clearly below that of blind guessing, never in one of them
alone. What was changed by too small or too large steps says nothing of the labels, so that the rate comes first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from statistics import median

from distiltune.coach.answers import TOO_FEW, predicts_nothing
from distiltune.coach.evidence import BY_HEART, NOT_LEARNING, Evidence
from distiltune.coach.overfitting import find_turn
from distiltune.coach.sickness import Advice, joined
from distiltune.coach.trends import fall_in_words, fall_of_validation

LOW_UPDATE, HIGH_UPDATE = 1e-5, 1e-2
"""Update-to-weight ratios (norm of a step's update over the weights' norm) between which fine-tuning goes well; the
recipe's 2e-5 makes about 4e-4."""
LOW_RATE, HIGH_RATE = 1 / 2.5, 2.5
"""Shares of the fitting rate outside of which a rate is held to be too low or too high, if the figures agree."""
MUCH_TOO_HIGH = 4.0
"""The same of a run that has learned something all the same."""
RISEN = 1.2
"""A training loss this many times its lowest, in both of the last epochs, has risen by no chance."""
HIGH_DROPOUT = 0.4
FEW_EXAMPLES = 100
"""From fewer nobody expects that anything carries over."""
FEW_STEPS = 60
"""After fewer steps than this nobody can say that labels are wrong."""
MANY_STEPS = 300
"""After so many at a rate that fits, texts whose labels follow from them have taught something."""
MUCH_LEFT = 0.1
"""A fall of the validation loss in the last epoch, as a share, that means the run was broken off."""
NO_GAP = 0.9
"""A training loss above this share of the validation loss, which has no dropout, leaves nothing learned by heart."""
NOTHING_LEFT = 0.05
"""Share of the blind loss below which all is learned that there is."""
HALF_LEFT, MOST_LEFT = 0.5, 0.7
"""Shares of the blind loss that are left in a run which a better rate would bring further."""


def diverged(evidence: Evidence) -> Iterable[Advice]:
    """A loss that is no number, or that rose above knowing nothing and stayed there."""
    losses = [step.loss for step in evidence.steps] or [epoch.train["loss"] for epoch in evidence.epochs]
    if not losses:
        return
    ratio = update_ratio(evidence)
    ratio_words = f"updates are {ratio:.1e} of the weights" if ratio is not None else ""
    command = _again(evidence, _lower_rate(evidence))
    broken = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), None)
    # Of numbers there is no even guess: what knows only their mean stands for it.
    uniform = evidence.facts.uniform_loss or 1.3 * evidence.facts.blind_loss
    late = losses[len(losses) // 4 :]
    if broken is not None:
        shown = joined(f"from log line {broken} of {len(losses)} on", _rate_words(evidence), ratio_words)
        message = "the training diverged: the loss is no longer a number"
        yield Advice("error", "learning_rate_too_high", message, shown, command)
    elif uniform and len(losses) >= 4 and median(late) > 1.15 * uniform:
        shown = f"loss {median(late):.2f}, knowing nothing gives {uniform:.2f}"
        message = "the training diverged: the loss is above that of knowing nothing"
        shown = joined(shown, _rate_words(evidence), ratio_words)
        yield Advice("error", "learning_rate_too_high", message, shown, command)
    elif shown := _came_apart(evidence):
        message = "the training came apart: its own loss rose again, which steps of a fitting size do not let it"
        yield Advice("error", "learning_rate_too_high", message, joined(shown, _rate_words(evidence)), command)


def _came_apart(evidence: Evidence) -> str:
    """A training loss that rises, far and for long, after it had fallen; empty if it did not."""
    losses, blind = [epoch.train["loss"] for epoch in evidence.epochs], evidence.facts.blind_loss
    if len(losses) < 3 or not blind:
        return ""
    lowest = min(range(len(losses)), key=lambda i: losses[i])
    risen = min(losses[-2:]) > RISEN * losses[lowest] and losses[-1] > HALF_LEFT * blind
    if lowest >= len(losses) - 2 or not risen:
        return ""
    return f"training loss {losses[lowest]:.2f} in epoch {lowest}, {losses[-1]:.2f} in epoch {len(losses) - 1}"


def learning_rate(evidence: Evidence) -> Iterable[Advice]:
    """A rate far from the fitting one, where what came of it agrees."""
    facts, share = evidence.facts, _share_of_fitting(evidence)
    if share is None or not evidence.ended or not evidence.epochs:
        return
    learned, falling = evidence.has_learned, fall_in_words(evidence.steps, evidence.epochs)
    left = _loss_left(evidence)
    shown = joined(_rate_words(evidence), falling, _standing(evidence))
    command = _again(evidence, f"--learning-rate {facts.fitting_rate:.1e}")
    if share < LOW_RATE:
        turn = find_turn(*evidence.losses())
        has_turned = turn is not None and turn.overfits_from is not None
        if has_turned or (learned and facts.is_fine_tuned):
            return  # it has learned all that there is for it, however slowly
        if not learned:
            message = "nothing is learned: the learning rate is too low"
            yield Advice("error", "learning_rate_too_low", message, shown, command)
        elif nothing := next(iter(predicts_nothing(evidence)), None):
            # A head that begins at how common the labels are has a loss below that soon, and says nothing for long.
            message = f"{nothing.message}: the learning rate is too low"
            yield Advice("error", "learning_rate_too_low", message, joined(nothing.evidence, shown), command)
        elif falling or (left > HALF_LEFT and _has_no_gap(evidence)):
            message = "the learning rate is low for this model and so few steps: a higher one would bring it further"
            yield Advice("warning", "learning_rate_too_low", message, shown, command)
    elif share > HIGH_RATE and not learned:
        message = "nothing is learned: the learning rate is too high"
        yield Advice("error", "learning_rate_too_high", message, shown, command)
    elif share > MUCH_TOO_HIGH and left > MOST_LEFT:
        message = "the learning rate is high for this model: little is learned"
        yield Advice("warning", "learning_rate_too_high", message, shown, command)


def not_learning(evidence: Evidence) -> Iterable[Advice]:
    """Neither scores nor losses better than blindness: why, told apart by updates, dropout, the trend and the probe."""
    facts = evidence.facts
    if not evidence.epochs or not facts.blind_loss or evidence.has_learned:
        return
    if not evidence.ended and (len(evidence.epochs) < 2 or 2 * len(evidence.epochs) < facts.planned_epochs):
        return  # it may yet begin
    train = min(epoch.train["loss"] for epoch in evidence.epochs)
    if train < NOT_LEARNING * facts.blind_loss and facts.dropout < HIGH_DROPOUT:
        return  # what is learned does not carry over, which is another rule's
    ratio, falling = update_ratio(evidence), fall_in_words(evidence.steps, evidence.epochs)
    shown = joined(
        _standing(evidence),
        f"training loss {evidence.epochs[-1].train['loss']:.2f} after {len(evidence.epochs)} epoch(s), blind guessing "
        f"gives {facts.blind_loss:.2f}",
        f"a step changes the weights by {ratio:.1e} of their size" if ratio is not None else "",
    )
    if facts.dropout >= HIGH_DROPOUT:
        shown = joined(shown, f"dropout {facts.dropout:g}")
        command = _again(evidence, "--dropout 0.1 --attention-dropout 0.1 --head-dropout 0.1")
        yield Advice("error", "dropout_too_high", "nothing is learned: too much is dropped out", shown, command)
    elif ratio is not None and not LOW_UPDATE <= ratio <= HIGH_UPDATE:
        how, size = ("low", "small") if ratio < LOW_UPDATE else ("high", "large")
        rate = facts.fitting_rate or facts.learning_rate * 4e-4 / ratio  # which would make a usual update
        command = f"{_again(evidence, f'--learning-rate {rate:.1e}')}, or ask: {facts.find_lr}"
        yield Advice(
            "error", f"learning_rate_too_{how}", f"nothing is learned: the updates are too {size}", shown, command
        )
    elif evidence.n_steps >= FEW_STEPS and train > facts.blind_loss and any(predicts_nothing(evidence)):
        # A loss that falls towards that of blindness from above learns how rare labels are, not where they stand.
        yield from predicts_nothing(evidence)
    elif evidence.ended and (falling or evidence.n_steps < FEW_STEPS):
        yield _too_few_steps(evidence, joined(shown, falling))
    elif not falling:
        yield _labels_or_budget(evidence, shown)


def _too_few_steps(evidence: Evidence, shown: str) -> Advice:
    n = evidence.facts.planned_epochs or len(evidence.epochs)
    message = f"nothing is learned yet: {evidence.n_steps:,} steps are too few"
    command = _again(evidence, f"--epochs {_more_epochs(evidence, n)}")
    return Advice("error", "too_few_steps", message, shown, command)


def _labels_or_budget(evidence: Evidence, shown: str) -> Advice:
    """Updates of a healthy size and nothing learned: wrong labels, too few steps, or a model that cannot learn."""
    facts, probe = evidence.facts, evidence.probe
    if probe is not None:
        can = "can" if probe.learned(facts.blind_loss) else "cannot yet"
        can = "cannot" if probe.is_stuck(facts.blind_loss) else can
        shown = joined(shown, f"{probe.n_features} examples {can} be learned by heart: {probe.in_words()}")
    if probe is not None and probe.is_stuck(facts.blind_loss):
        message = "nothing is learned, not even by heart: model, head and data do not fit together"
        start = "use a pretrained model (--model); " if facts.from_scratch else ""
        command = f"{start}look whether texts that read the same have other labels: {facts.check}"
        return Advice("error", "cannot_learn", message, joined(shown, "the curve has gone flat"), command)
    if facts.from_scratch:
        message = "nothing is learned yet: the model began from random weights, and reading takes far more than this"
        return Advice("error", "no_pretraining", message, shown, "start from a pretrained model: --model")
    if _rate_works(evidence) and evidence.n_steps >= MANY_STEPS:
        message = "nothing is learned although the rate fits: the labels do not follow from the texts"
        command = f"read twenty rows yourself, and ask: {facts.check}"
        return Advice("error", "wrong_labels", message, joined(shown, _rate_words(evidence)), command)
    if alike := next(iter(predicts_nothing(evidence)), None):
        return replace(alike, evidence=joined(alike.evidence, shown))
    return _not_yet(evidence, shown)


def _not_yet(evidence: Evidence, shown: str) -> Advice:
    """Nothing learned that carries over, and no telling why."""
    n = evidence.facts.planned_epochs or len(evidence.epochs)
    command = f"{_again(evidence, f'--epochs {_more_epochs(evidence, n)}')}, or ask: {evidence.facts.find_lr}"
    return Advice(
        "error", "not_learning", "nothing is learned yet", joined(shown, f"{evidence.n_steps:,} steps"), command
    )


def _rate_works(evidence: Evidence) -> bool:
    """Whether a rate that works was tried: this model learned these labels by heart, or a few of them at such a rate.

    That is what a training on shuffled labels shows, too: labels that follow from nothing can be learned by heart and
    no other way. Where not even that was seen, the rate may be what is wrong.
    """
    share, blind, probe = _share_of_fitting(evidence), evidence.facts.blind_loss, evidence.probe
    if min(epoch.train["loss"] for epoch in evidence.epochs) < BY_HEART * blind:
        return True
    fits = share is not None and LOW_RATE <= share <= HIGH_RATE
    return fits and probe is not None and probe.learned(blind)


def memorising(evidence: Evidence) -> Iterable[Advice]:
    """Training that goes well while validation never gets better than guessing: learning by heart, or wrong labels.

    A model that cannot read yet learns right labels by heart just as it does wrong ones, so that only one that was
    pretrained can tell of the labels.
    """
    facts = evidence.facts
    train, validation = evidence.losses()
    turn = find_turn(train, validation)
    if turn is None or not facts.blind_loss or evidence.has_learned or min(train) > NOT_LEARNING * facts.blind_loss:
        return
    if 0 < facts.n_validation < TOO_FEW:
        return  # what carries over cannot be told from so few
    if not evidence.ended:
        return  # it may yet carry over, and what the rate can do is only tried at the end
    shown = joined(
        f"training loss {train[0]:.2f} → {train[-1]:.2f}, but the validation loss is {validation[turn.best_epoch]:.2f} "
        f"at best, and blind guessing gives {facts.blind_loss:.2f}",
        _standing(evidence),
    )
    if facts.from_scratch:
        message = "what is learned does not carry over: the model began from random weights, and learns by heart"
        yield Advice("error", "no_pretraining", message, shown, "start from a pretrained model: --model")
    elif evidence.ended and (evidence.n_steps < FEW_STEPS or fall_of_validation(evidence.epochs)):
        yield _too_few_steps(evidence, shown)
    elif alike := next((each for each in predicts_nothing(evidence) if each.sickness == "one_class"), None):
        # What is learned by heart differs from text to text.
        yield replace(alike, evidence=joined(alike.evidence, shown))
    elif facts.n_train >= FEW_EXAMPLES:  # fewer can only be learned by heart, which overfitting says
        message = (
            "what is learned does not carry over: either the labels do not follow from the texts, or this model would "
            "need more of them"
        )
        shown = joined(shown, f"{facts.n_train:,} training examples", _rate_words(evidence))
        command = f"read twenty rows yourself; if they are right, add examples; and ask: {facts.check}"
        if _rate_works(evidence):
            yield Advice("error", "wrong_labels", message, shown, command)
        else:
            yield _not_yet(evidence, shown)


def underfitting(evidence: Evidence) -> Iterable[Advice]:
    """Still improving when it ended."""
    if not evidence.ended:
        return
    train, validation = evidence.losses()
    turn = find_turn(train, validation)
    falling = fall_in_words(evidence.steps, evidence.epochs)
    is_short = evidence.n_steps < FEW_STEPS and _loss_left(evidence) > HALF_LEFT
    if turn is None or turn.best_epoch != len(validation) - 1 or not (falling or is_short):
        return
    if 0 < _loss_left(evidence) < NOTHING_LEFT:
        return  # a loss that small goes on falling, and nothing is gained by it
    n = evidence.facts.planned_epochs or len(validation)
    much = is_short or (turn.last_gain >= MUCH_LEFT and train[-1] > validation[-1])
    more = _more_epochs(evidence, n) if much else n + max(1, n // 2)
    yield Advice(
        "warning" if much else "note",
        "underfitting",
        "the run was very short" if is_short else "the run ended while it was still improving",
        joined(
            f"{evidence.n_steps:,} steps" if is_short else "",
            falling,
            f"validation loss {validation[-1]:.4f}, training loss {train[-1]:.4f}",
        ),
        _again(evidence, f"--epochs {more}"),
    )


def update_ratio(evidence: Evidence) -> float | None:
    """The usual update-to-weight ratio: the middle one of the parts, at the run's strongest look."""
    ratios = [
        median(part.update_ratio for part in vitals.parts if part.update_ratio > 0)
        for vitals in evidence.vitals
        if any(part.update_ratio > 0 for part in vitals.parts)
    ]
    return max(ratios) if ratios else None


def _again(evidence: Evidence, flags: str) -> str:
    """The run's own command with other flags."""
    return f"{evidence.facts.again} {flags}"


def _more_epochs(evidence: Evidence, n: int) -> int:
    """Twice as many, and as many as make the steps that something may be said after."""
    a_run = evidence.facts.steps_per_epoch
    return max(2 * n, -(-2 * FEW_STEPS // a_run) if a_run else 0)


def _lower_rate(evidence: Evidence) -> str:
    fitting, used = evidence.facts.fitting_rate, evidence.facts.learning_rate
    rate = fitting if fitting is not None and fitting < used / 2 else used / 10
    return f"--learning-rate {rate:.1e}, or ask: {evidence.facts.find_lr}"


def _share_of_fitting(evidence: Evidence) -> float | None:
    fitting = evidence.facts.fitting_rate
    return evidence.facts.learning_rate / fitting if fitting else None


def _rate_words(evidence: Evidence) -> str:
    fitting = evidence.facts.fitting_rate
    if fitting is None:
        return ""
    used = f"learning rate {evidence.facts.learning_rate:.1e} over {evidence.n_steps:,} steps"
    return f"{used}, about {fitting:.1e} fits this model and data"


def _loss_left(evidence: Evidence) -> float:
    """The best validation loss, or else training loss, as a share of the blind one; 0 if that is not known."""
    train, validation = evidence.losses()
    losses = [loss for loss in validation or train if math.isfinite(loss)]
    blind = evidence.facts.blind_loss
    return min(losses) / blind if losses and blind else 0.0


def _has_no_gap(evidence: Evidence) -> bool:
    """Whether the model does about as well on what it has seen as on what it has not: then it has not seen its fill."""
    train, validation = evidence.losses()
    return not validation or train[-1] > NO_GAP * validation[-1]


def _standing(evidence: Evidence) -> str:
    """The main score beside what knowing nothing gets."""
    return next((blind.shown(score) for blind, score in evidence.scores), "")
