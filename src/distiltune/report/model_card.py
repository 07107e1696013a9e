"""The model card: the README.md of a model directory, as the Hugging Face hub reads it.

Its front matter is YAML whose every string is quoted, and its text is Markdown in which names are escaped:
data and directories may be called anything. Of paths on the training machine only the last part is shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from distiltune.model.convert import Converted
from distiltune.progress import counted, shown_seconds
from distiltune.report.epoch_table import as_markdown
from distiltune.report.run_summary import RunSummary, find_hub_names
from distiltune.report.wording import (
    best_epoch_sentence,
    plain,
    shown_data,
    shown_findings,
    shown_machine,
    shown_metrics,
    shown_name,
    shown_sources,
    shown_text,
    shown_value,
    shown_versions,
)
from distiltune.tasks.guide import TaskGuide

_MARKDOWN_SIGNS = re.compile(r"([\\`*_{}\[\]#|~!$])")
_TABLE_SIGNS = re.compile(r"(?<!\\)\|")


def model_card(summary: RunSummary) -> str:
    """The card as the text of a README.md."""
    guide = summary.guide
    parts = [
        f"# {escape(summary.name)}",
        _what_it_is(summary, guide),
        "## How to use it",
        *_usage(guide),
        "## Training data",
        *_data(summary),
        "## How well it does",
        *_results(summary, guide),
        "## Training, epoch by epoch",
        f"{_about_epochs(summary)} {escape(guide.figures)}",
        as_markdown(summary.epochs, summary.columns),
        "## Hyperparameters",
        _recipe(summary),
        "## Limits",
        _list(map(escape, (*guide.limits, *_general_limits()))),
        *_notes(summary),
        "## Versions and machine",
        _table(("", ""), [tuple(map(escape, row)) for row in (*shown_versions(summary), *shown_machine(summary))]),
    ]
    return front_matter(summary, guide) + "\n" + "\n\n".join(parts) + "\n"


def converted_card(converted: Converted, guide: TaskGuide) -> str:
    """The card of a model that was converted: where it is from, what was kept, how it is used."""
    hub_names = find_hub_names([converted.name])
    head = "the head too" if converted.has_head else "there is no head, which fine-tuning is to add"
    parts = [
        f"# {escape(converted.directory.absolute().name)}",
        f"A DistilBERT with {converted.n_parameters:,} parameters. It {escape(guide.sentence)}. It was converted with "
        f"distiltune from {_linked(converted.name, hub_names)}, its weights to float32 safetensors: the encoder was "
        f"kept, {head}. Nothing was trained, and nothing was measured.",
        "## How to use it",
        *_usage(guide),
        "## Limits",
        _list(_general_limits()),
        "## Notes",
        _list(map(escape, converted.notes)),
    ]
    base = _base_on_the_hub(converted.name, hub_names)
    return metadata("transformers", guide, base=base) + "\n" + "\n\n".join(parts) + "\n"


def front_matter(summary: RunSummary, guide: TaskGuide) -> str:
    """The card's metadata."""
    return metadata(
        "transformers",
        guide,
        base=_base_on_the_hub(summary.base_model, summary.hub_names),
        more=_model_index(summary, guide),
    )


def metadata(
    library: str, guide: TaskGuide, *, base: str = "", tags: Sequence[str] = (), more: Sequence[str] = ()
) -> str:
    """A card's metadata: YAML between two lines of dashes. No language and no licence are claimed.

    Args:
        library: the hub's name of the library that loads the model.
        guide: the task's tags.
        base: the model that it was made from, if that is on the hub.
        tags: further ones.
        more: further lines.

    """
    lines = [f"library_name: {library}"]
    if base:
        lines.append(f"base_model: {yaml_string(base)}")
    if guide.pipeline_tag:
        lines.append(f"pipeline_tag: {yaml_string(guide.pipeline_tag)}")
    lines.append("tags:")
    lines += [f"- {yaml_string(tag)}" for tag in ("distilbert", "distiltune", *tags, *guide.tags)]
    return "\n".join(["---", *lines, *more, "---", ""])


def yaml_string(text: str) -> str:
    """The text as a double-quoted YAML scalar, in ASCII where a sign might not be printable."""
    return '"' + "".join(map(_yaml_sign, text)) + '"'


def escape(text: str) -> str:
    """The text on one line of Markdown, a table's cell included, such that none of it is markup or a formula."""
    text = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _MARKDOWN_SIGNS.sub(r"\\\1", text)
    # A bare address would become a link.
    return text.replace("://", ":&#47;&#47;").replace("www.", "www&#46;").replace("@", "&#64;")


def _yaml_sign(sign: str) -> str:
    if sign in '"\\':
        return "\\" + sign
    if sign.isprintable():
        return sign
    if 0xD800 <= ord(sign) <= 0xDFFF:
        return "?"
    return f"\\U{ord(sign):08x}"


def _model_index(summary: RunSummary, guide: TaskGuide) -> list[str]:
    """The figures as the hub shows them beside the model; nothing if they were not measured."""
    metrics = [
        (name, value) for name in guide.headlines if math.isfinite(value := summary.final_metrics.get(name, math.nan))
    ]
    if not metrics or not guide.pipeline_tag or summary.validation is None:
        return []
    source = summary.validation.sources[0] if summary.validation.sources else ""
    # The hub wants an identifier; of data that is not on the hub there is none.
    identifier = source.partition(":")[0] if source in summary.hub_names else "custom"
    lines = [
        "model-index:",
        f"- name: {yaml_string(plain(summary.name))}",
        "  results:",
        f"  - task: {{type: {yaml_string(guide.pipeline_tag)}}}",
        "    dataset:",
        f"      type: {yaml_string(identifier)}",
        f"      name: {yaml_string(shown_sources(summary.validation, summary.hub_names))}",
        "      split: validation",
        "    metrics:",
    ]
    for name, value in metrics:
        lines += [
            f"    - type: {yaml_string(name)}",
            f"      name: {yaml_string(guide.label(name).title)}",
            f"      value: {value:.4f}",
        ]
    return lines


def _what_it_is(summary: RunSummary, guide: TaskGuide) -> str:
    size = f" with {summary.n_parameters:,} parameters" if summary.n_parameters is not None else ""
    return (
        f"A DistilBERT{size}. It {escape(guide.sentence)}. It was fine-tuned from "
        f"{_linked(summary.base_model, summary.hub_names)} with distiltune. {best_epoch_sentence(summary)}"
    )


def _base_on_the_hub(name: str, hub_names: frozenset[str]) -> str:
    return name if name in hub_names else ""


def _linked(name: str, hub_names: frozenset[str]) -> str:
    """A model's name, with a link to its page if it has one."""
    shown = escape(shown_name(name, hub_names))
    is_linked = name in hub_names and re.fullmatch(r"[\w./-]+", name)
    return f"[{shown}](https://huggingface.co/{name})" if is_linked else shown


def _usage(guide: TaskGuide) -> Iterable[str]:
    for example in guide.usage:
        yield f"### {escape(example.title)}"
        yield escape(example.text)
        yield _code(example.language, example.code)


def _code(language: str, code: str) -> str:
    """A block of code that ends where the code does, whatever is in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", code)), default=0))
    return f"{fence}{language}\n{code.rstrip()}\n{fence}"


def _data(summary: RunSummary) -> Iterable[str]:
    yield _table(("", *summary.data), [tuple(map(escape, row)) for row in shown_data(summary)])
    found = [
        (name, escape(outcome), escape(kind), f"{count:,}")
        for name, data in summary.data.items()
        for outcome, kind, count in shown_findings(data)
    ]
    if found:
        yield "What was noticed while the rows were read; nothing was left out or changed silently:"
        yield _table(("", "Rows were", "Because", "How many"), found)
    else:
        yield "No row was left out or repaired."
    if summary.validation is None:
        yield "There was no validation data."


def _results(summary: RunSummary, guide: TaskGuide) -> Iterable[str]:
    metrics = shown_metrics(summary, guide)
    if not metrics:
        yield "It was not evaluated: there was no validation data."
        return
    yield f"Epoch {summary.best_epoch}, on the validation data, dropout off:"
    yield _table(("Metric", "Value", ""), [tuple(map(escape, row)) for row in metrics])


def _about_epochs(summary: RunSummary) -> str:
    return (
        f"Trained in {escape(summary.precision)}, {counted(len(summary.epochs), 'epoch')} in "
        f"{shown_seconds(summary.train_seconds)} and {shown_seconds(summary.validation_seconds)} more for "
        "validation. Train figures are means over the epoch as it ran, with dropout on; validation figures "
        "were measured at its end."
    )


def _recipe(summary: RunSummary) -> str:
    rows = [
        (f"`{entry.name}`", escape(shown_value(entry.value, summary)), _sentence(entry.description))
        for entry in summary.recipe
    ]
    return _table(("Setting", "Value", "Meaning"), rows)


def _general_limits() -> list[str]:
    return [
        "It takes over what is wrong or one-sided in its training data and in its base model; check it on "
        "texts of your own before you rely on it.",
        "The licences of the base model and of the data hold for it too.",
    ]


def _notes(summary: RunSummary) -> list[str]:
    if not summary.notes:
        return []
    return ["## Notes", _list(escape(shown_text(note, summary)) for note in summary.notes)]


def _sentence(description: str) -> str:
    """A description of ours, in which `code` is meant, made fit for a table."""
    text = plain(description).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _TABLE_SIGNS.sub(r"\\|", text)


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; its cells must be escaped already."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
