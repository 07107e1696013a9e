"""The check of a data set, whatever the task: `distiltune check` from the model's vocabulary to what it shows.

A task reads its data and says what it sees in them (`LookedAt`); what all checks have in common is here: what they are
made with, the expected cost of a training, and how the whole is shown to a person and to a program.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from tokenizers import Tokenizer

from distiltune.checks.concerns import Concern, concern_lines, for_model, ranked
from distiltune.checks.cost import Estimate, TrainingPlan, Work, estimate_training
from distiltune.checks.vocabulary import case_concerns
from distiltune.data.sources import has_splits
from distiltune.errors import DistiltuneError
from distiltune.model.config import EncoderConfig
from distiltune.model.small_json import read_json
from distiltune.model.source import load_tokenizer, resolve_model
from distiltune.progress import counted, shown_seconds, tell
from distiltune.system.device import choose_device, choose_precision, set_threads


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What is to be checked, and for which training.

    Attributes:
        task: its name.
        data: the sources, as ``train`` of the recipe has them.
        against: the other set's, usually the validation data; empty: what of the data is set apart for that by whoever
            made it, if it is.
        architecture: the class of a model that is fine-tuned for the task, as its config.json names it.
        model: whose vocabulary the texts are cut with; of its weights none is read.
        epochs: of the training whose cost is estimated, as are the following.
        batch_size: examples a step.
        device: as the recipe names it.
        precision: as the recipe names it.
        threads: of tensor work; 0: as many as there are usable cores.

    """

    task: str
    architecture: str
    data: tuple[str, ...]
    against: tuple[str, ...]
    model: str
    epochs: int
    batch_size: int
    device: str
    precision: str
    threads: int


@dataclass(frozen=True, slots=True)
class CheckBasis:
    """What a check is made with.

    Attributes:
        tokenizer: of the model that is to be trained.
        against: the sources of the other set, empty if there is none.
        config: the model's shape; None for one that is converted when it is trained.
        began: when the check did, by ``time.perf_counter``.
        concerns: what is doubtful about the model's vocabulary.
        is_fine_tuned: whether the model is fine-tuned for the task already.

    """

    tokenizer: Tokenizer
    against: tuple[str, ...]
    config: EncoderConfig | None
    began: float
    concerns: tuple[Concern, ...] = ()
    is_fine_tuned: bool = False


@dataclass(frozen=True, slots=True)
class LookedAt:
    """What a task sees in a data set.

    Attributes:
        n_rows: rows read, the unusable ones included.
        n_examples: examples that can be used.
        concerns: what is wrong, ranked.
        statistics: figures by name, as plain values.
        lines: these figures for a terminal.
        work: what a training has to do.

    """

    n_rows: int
    n_examples: int
    concerns: tuple[Concern, ...]
    statistics: dict[str, Any]
    lines: Sequence[str]
    work: Work


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check came to, for a person and for a program."""

    lines: Sequence[str]
    values: dict[str, Any]

    @property
    def has_errors(self) -> bool:
        """Whether something was found that stops a training, or spoils it or its figures."""
        return self.n_errors > 0 or bool(self.values.get("training", {}).get("stops"))

    @property
    def n_errors(self) -> int:
        """How many kinds of things were found that spoil a training or its figures."""
        return sum(concern["severity"] == "error" for concern in self.values["concerns"])

    def __repr__(self) -> str:
        found = counted(len(self.values["concerns"]), "finding")
        return f"<Checked {self.values['n_rows']:,} rows: {found}{', errors among them' if self.has_errors else ''}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the lines of a terminal."""
        return f'<pre style="line-height:1.35;white-space:pre-wrap">{escape(chr(10).join(self.lines))}</pre>'


def begin_check(request: CheckRequest) -> CheckBasis:
    """Find the model, and what the data is to be checked against.

    Raises:
        ModelError: if the model cannot be found or read.

    """
    began = time.perf_counter()
    directory = resolve_model(request.model)
    set_threads(request.threads)
    config = read_json(directory / "config.json")
    against = request.against or (request.data if all(map(has_splits, request.data)) else ())
    # A BERT, which is converted when it is trained, has other names for its sizes.
    shape = EncoderConfig.from_hf(config) if "dim" in config else None
    tokenizer = load_tokenizer(directory)
    is_fine_tuned = request.architecture in (config.get("architectures") or ())
    return CheckBasis(tokenizer, against, shape, began, tuple(case_concerns(directory, tokenizer)), is_fine_tuned)


def end_check(request: CheckRequest, basis: CheckBasis, looked: LookedAt) -> Checked:
    """What was seen, with the expected cost of a training on this machine."""
    concerns = ranked(for_model([*basis.concerns, *looked.concerns], basis.is_fine_tuned))
    estimate = None
    if basis.config is not None:
        tell("measuring this machine")
        device = choose_device(request.device)
        precision = choose_precision(request.precision, device, basis.config.hidden_size)
        plan = TrainingPlan(request.epochs, request.batch_size, device, precision)
        estimate = estimate_training(basis.config, looked.work, plan)
    seconds = time.perf_counter() - basis.began
    values = {
        "task": request.task,
        "data": list(request.data),
        "against": list(basis.against),
        "n_rows": looked.n_rows,
        "n_examples": looked.n_examples,
        "concerns": [concern.as_json() for concern in concerns],
        "statistics": looked.statistics,
        "estimate": estimate.as_json() if estimate is not None else None,
        "seconds": round(seconds, 2),
    }
    return Checked([*looked.lines, *_found_lines(concerns, estimate, seconds)], values)


def with_verdict(checked: Checked, stop: DistiltuneError | None) -> Checked:
    """The check and, as its last line, what a training on this data comes to.

    Args:
        checked: what was found.
        stop: what a training raises as it opens the data; None: it goes on.

    """
    n, n_rows, n_errors = checked.values["n_examples"], checked.values["n_rows"], checked.n_errors
    of = f"{n:,} of {counted(n_rows, 'row')}" if n < n_rows else f"all {counted(n_rows, 'row')}"
    if stop is not None:
        said = (
            f"a training stops before its first step: {stop.what.splitlines()[0].rstrip(':.')}; what to do: {stop.fix}"
        )
    elif n_errors:
        said = f"a training runs on {of}, and {counted(n_errors, 'error')} above spoil it or its figures"
    else:
        said = f"a training runs on {of}"
    training = {"stops": stop.what if stop is not None else "", "fix": stop.fix if stop is not None else ""}
    return Checked([*checked.lines, said], {**checked.values, "training": training})


def _found_lines(concerns: Sequence[Concern], estimate: Estimate | None, seconds: float) -> list[str]:
    """What a training costs and what is wrong, for a terminal."""
    lines = [] if estimate is None else [_estimate_line(estimate)]
    lines.append("")
    if concerns:
        n_of = [sum(concern.severity == name for concern in concerns) for name in ("error", "warning", "note")]
        kinds = ", ".join(map(counted, n_of, ("error", "warning", "note")))
        lines += [f"findings by kind: {kinds}", *concern_lines(concerns)]
    else:
        lines.append("nothing is wrong that can be seen before a training")
    return [*lines, "", f"checked in {shown_seconds(seconds)}"]


def _estimate_line(estimate: Estimate) -> str:
    return (
        f"training on this machine: about {shown_seconds(estimate.train_seconds)} "
        f"({counted(estimate.n_steps, 'step')}, {estimate.tokens_per_second:,.0f} tokens/s in {estimate.precision}), "
        f"about {estimate.memory_bytes / 1e9:.1f} GB of memory"
    )
