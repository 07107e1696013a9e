"""Values in words: what the model card and the page share, as plain text that each has yet to escape."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import PurePosixPath, PureWindowsPath

from distiltune.model.source import PACKAGED
from distiltune.progress import counted
from distiltune.report.run_summary import DataSummary, RunSummary
from distiltune.tasks.guide import MetricLabel, TaskGuide

_ABSOLUTE_PATH = re.compile(r"(?<![\w./\\:])(?:~|[A-Za-z]:(?=[\\/]))?[\\/][^\s'\"`,;()]+")
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_OUTCOMES = {
    "rejected": "left out",
    "left_out": "not wanted",
    "repaired": "repaired",
    "noted": "noted",
    "decided": "decided",
}


def plain(text: str) -> str:
    """The text on one line, without what UTF-8 cannot hold (some file names have such) or what only steers a display.

    Such are control characters, and those that turn the direction in which the text after them is read.
    """
    return _STEERING.sub("\ufffd", " ".join(text.encode("utf-8", "replace").decode("utf-8").split()))


def shown_name(name: str, hub_names: frozenset[str]) -> str:
    """A model's or data set's name fit to be published: of a path only its last part."""
    if name in hub_names:
        return plain(name)
    if name in PACKAGED:
        return f"{name} (inside the distiltune package)"
    return plain(_last_part(name)) or "(unnamed)"


def shown_text(text: str, summary: RunSummary) -> str:
    """A text fit to be published: its paths, if the run's own or absolute, cut to the last part."""
    for name in sorted(_local_names(summary), key=len, reverse=True):
        if "/" in name or "\\" in name:
            text = text.replace(name, _last_part(name))
    return plain(_ABSOLUTE_PATH.sub(lambda found: _last_part(found.group()), text))


def shown_value(value: object, summary: RunSummary) -> str:
    """A setting's value as a reader expects it."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}".replace("e-0", "e-")
    if isinstance(value, list | tuple):
        return ", ".join(shown_value(item, summary) for item in value) or "none"
    if isinstance(value, str):
        local = value not in PACKAGED and value in _local_names(summary)
        return shown_name(value, summary.hub_names) if local else shown_text(value, summary) or "none"
    return plain(str(value))


def shown_sources(data: DataSummary, hub_names: frozenset[str]) -> str:
    """What a set was read from, in a line."""
    return ", ".join(shown_name(source, hub_names) for source in data.sources)


def shown_data(summary: RunSummary) -> list[tuple[str, ...]]:
    """What the sets are, one row a property: its name, then what it is in each set of `RunSummary.data`."""
    sets = summary.data.values()
    return [
        ("Source", *(shown_sources(data, summary.hub_names) for data in sets)),
        ("Rows read", *(f"{data.n_rows:,}" if data.n_rows else "not counted apart" for data in sets)),
        ("Examples", *(f"{data.n_examples:,}" for data in sets)),
        ("Windows", *(f"{data.n_features:,}" for data in sets)),
        ("Fingerprint", *(plain(data.fingerprint) for data in sets)),
    ]


def shown_findings(data: DataSummary) -> list[tuple[str, str, int]]:
    """(what was done, why, how many rows) for each kind of finding; what was left out comes first."""
    order = list(_OUTCOMES)
    found = []
    for name, count in data.findings.items():
        outcome, _, kind = name.partition("/")
        rank = order.index(outcome) if outcome in order else len(order)
        found.append((rank, _OUTCOMES.get(outcome, outcome), kind.replace("_", " "), count))
    return [(outcome, kind, count) for _, outcome, kind, count in sorted(found, key=lambda entry: entry[0])]


def shown_metric(value: float, label: MetricLabel) -> str:
    """A figure with the decimals and the unit that its kind calls for."""
    if not math.isfinite(value):
        return "not a number"
    if label.unit == "count":
        return f"{int(value):,}"
    if label.unit == "percent":
        return f"{value:.2f} %"
    return f"{value:.4f}"


def shown_metrics(summary: RunSummary, guide: TaskGuide) -> list[tuple[str, str, str]]:
    """(title, figure, remark) for each final metric, in the guide's order and then in the run's."""
    known = [name for name in guide.metrics if name in summary.final_metrics]
    names = [*known, *(name for name in summary.final_metrics if name not in guide.metrics)]
    labels = [(name, guide.label(name)) for name in names]
    return [(label.title, shown_metric(summary.final_metrics[name], label), label.remark) for name, label in labels]


def shown_machine(summary: RunSummary) -> list[tuple[str, str]]:
    """(what, which) of the machine."""
    machine = summary.machine
    rows = [
        ("Device", "CPU" if machine.device == "cpu" else machine.device),
        ("Processor", f"{machine.processor}, {counted(machine.n_threads, 'thread')} used"),
        ("Memory", f"{machine.memory_gib:g} GiB"),
        ("System", machine.system),
        ("Python", machine.python),
    ]
    return [(what, plain(which)) for what, which in rows]


def shown_versions(summary: RunSummary) -> list[tuple[str, str]]:
    """(what, which) of the software, the code's git revision last."""
    versions = [(plain(package), plain(version)) for package, version in summary.versions.items()]
    return [*versions, ("git revision", plain(summary.git_revision))] if summary.git_revision else versions


def best_epoch_sentence(summary: RunSummary) -> str:
    """Which epoch the model is from, and why."""
    if summary.validation is None or not summary.final_metrics:
        why = "the last one, since there was no validation data"
    else:
        within = summary.epoch_choice == "within_error"
        why = "the latest within a standard error of the best" if within else "the best"
        why += f" by {summary.monitor.replace('_', ' ')}"
    return f"The model is from epoch {summary.best_epoch}, {why}, of {len(summary.epochs)} run (counted from 0)."


def _local_names(summary: RunSummary) -> set[str]:
    """The names in the run that mean something on the training machine."""
    sources: Iterable[str] = (source for data in summary.data.values() for source in data.sources)
    return {summary.base_model, *sources} - summary.hub_names


def _last_part(path: str) -> str:
    """The last part of a path of either kind of system."""
    return PurePosixPath(PureWindowsPath(path).as_posix()).name
