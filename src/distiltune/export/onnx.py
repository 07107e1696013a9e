"""From a trained model to an ONNX folder that is proved to answer as the model does."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import torch

from distiltune.data.sources import STARTER
from distiltune.errors import DataError, DistiltuneError, HubError, ModelError
from distiltune.export.onnx_graph import OPSET, write_graph
from distiltune.export.quantise import quantise_dynamic, quantise_static
from distiltune.export.verify import ExportComparison, Measured, compare, has_score, measure
from distiltune.inference.onnx_model import ONNX_FILE, OnnxModel
from distiltune.inference.trained_model import ONNX_ENTRY, ranges_are_dynamic
from distiltune.model.build import LoadedModel
from distiltune.model.encoder import TaskModel
from distiltune.model.save import check_output, replace_directory, told_of_kept
from distiltune.model.source import model_config, resolve_model
from distiltune.model.tokenizer import tokenizer_files
from distiltune.progress import tell
from distiltune.recipe.choose_task import USUAL, task_of_model
from distiltune.recipe.recipe import Recipe
from distiltune.report.model_card import escape, metadata
from distiltune.runs.directory import RunDirectory
from distiltune.system.device import keep_freed_memory, set_threads
from distiltune.system.durable import sync, write_synced, writing_to
from distiltune.system.host import restored
from distiltune.system.hub import from_cache_only
from distiltune.system.names import as_name, as_names, as_path
from distiltune.tasks.base import D, Dataset, Task
from distiltune.tasks.entry import TaskEntry
from distiltune.tasks.guide import TaskGuide
from distiltune.tasks.table import TASKS
from distiltune.tasks.trained import Trained, load_trained

MAX_LOST: Final = 1.0
"""Points of the task's score, as F1, that 8 bits may cost unless the user says otherwise."""

_DATA_SETTINGS: Final = (
    "train",
    "validation",
    "validation_share",
    "columns",
    "max_rejected_share",
    "sample_seed",
    "quoting",
    "no_header",
    "encoding",
)

OnNote = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """An ONNX folder and how it was checked.

    Attributes:
        directory: the folder.
        precision: ``float32``, ``int8 dynamic``, ``int8 dynamic, mixed`` or ``int8 static``.
        size_bytes: of the graph.
        comparison: the graph beside the model that it was made from.

    """

    directory: Path
    precision: str
    size_bytes: int
    comparison: ExportComparison

    def as_json(self) -> dict[str, Any]:
        """The record as plain values."""
        return {
            "directory": str(self.directory),
            "precision": self.precision,
            "size_bytes": self.size_bytes,
            **self.comparison.as_json(),
        }


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A graph and what it was measured to be."""

    precision: str
    file: Path
    comparison: ExportComparison


@contextmanager
def _exporter_restored() -> Iterator[None]:
    """After it, the filters of warnings and the environment are as before PyTorch's exporter changed them."""
    known = set(os.environ)
    with warnings.catch_warnings():
        try:
            yield
        finally:
            for name in os.environ.keys() - known:
                if name.startswith("TORCH"):
                    del os.environ[name]


@_exporter_restored()
@restored()
def export_onnx(
    model: str | Path,
    output: str | Path,
    *,
    overwrite: bool = False,
    int8: bool = False,
    data: str | Path | Sequence[str | Path] = (),
    questions: int = 500,
    accept_loss: bool = False,
    threads: int = 0,
    on_note: OnNote = lambda note: None,
) -> Exported:
    """Export a model to ONNX, and check it against the original before anything is written to ``output``.

    Args:
        model: a model directory, a run, or a name on the hub.
        output: the folder to make.
        overwrite: replace a model that is there already.
        int8: also bring weights and products to 8 bits.
        data: examples to check with; by default the run's validation data, or for questions the starter's.
        questions: at most so many of them (0: all).
        accept_loss: write it even if int8 costs more than `MAX_LOST` points of the score.
        threads: of tensor work; 0 means as many as there are usable cores.
        on_note: told what is going on.

    Raises:
        ModelError: if the model cannot be exported, ``output`` may not be written (`check_output`), or the result does
            not answer as the model does.
        DataError: if there is no data to check with, it cannot be read, or with ``int8`` has no gold answers.

    """
    keep_freed_memory()
    set_threads(threads)
    recipe = Recipe(model=as_name(model, "model"), validation_examples=questions)
    directory, output = resolve_model(recipe.model), as_path(output, "output")
    check_output(output, directory, overwrite=overwrite)
    config = model_config(str(directory))
    recipe = recipe.with_stored(config, task_of_model(config) or USUAL)
    trained = load_trained(recipe.model, TASKS[recipe.task](recipe), "cpu")
    task, loaded = trained.task, trained.loaded
    if not isinstance(loaded.model, TaskModel):
        raise ModelError(
            "The model is in ONNX form already.",
            where=str(loaded.source.directory),
            fix="export the model that it was made from, or use it as it is",
        )
    dataset = _examples_to_check(trained, recipe, as_names(data, "data"), directory)
    on_note(f"checking with {dataset.n_examples:,} examples of {', '.join(dataset.sources)}")
    before = measure(task, loaded.model, dataset, "measuring the model")
    if int8 and not accept_loss:
        _check_measurable(task, before, dataset)
    with tempfile.TemporaryDirectory() as working:
        chosen = _make(task, loaded, dataset, before, Path(working), int8=int8, on_note=on_note)
        if int8 and not accept_loss:
            _check_kept(chosen.comparison, dataset)
        size = chosen.file.stat().st_size
        for note in _write_folder(output, loaded, chosen, recipe, task.guide(before.metrics)):
            on_note(note)
    return Exported(output, chosen.precision, size, chosen.comparison)


def _check_measurable(task: Task[D], before: Measured, data: Dataset) -> None:
    if not has_score(task, before):
        raise DataError(
            "What 8 bits cost cannot be measured: the data has no gold answers.",
            where=", ".join(data.sources),
            fix="give data that has them: --data DATA; or take any loss with --accept-loss",
        )


def _check_kept(comparison: ExportComparison, data: Dataset) -> None:
    if comparison.lost > MAX_LOST:
        raise ModelError(
            f"In 8 bits the model loses {comparison.lost:.2f} points of {_scores(comparison)}, more than {MAX_LOST:g}.",
            where=", ".join(data.sources),
            fix="export without --int8, or take the loss with --accept-loss",
        )


def _make(
    task: Task[D], loaded: LoadedModel, data: D, before: Measured, working: Path, *, int8: bool, on_note: OnNote
) -> _Candidate:
    """The float32 graph, checked; with ``int8``, the first 8-bit graph made from it that keeps the score."""
    assert isinstance(loaded.model, TaskModel)

    def check(precision: str, file: Path) -> _Candidate:
        exported = OnnxModel(file, torch.device("cpu"), alone=ranges_are_dynamic(precision))
        comparison = compare(
            task, loaded.model, exported, data, before, measure(task, exported, data, f"measuring {precision}")
        )
        on_note(
            f"{precision}: {file.stat().st_size / 1e6:.1f} MB, {comparison.n_equal} of {comparison.n_examples} answers "
            f"as before, {_scores(comparison)}"
        )
        return _Candidate(precision, file, comparison)

    graph = working / "float32.onnx"
    tell("writing the graph")
    write_graph(loaded.model, graph, task.output_names)
    plain = check("float32", graph)
    if not plain.comparison.is_faithful:
        raise ModelError(
            f"The ONNX graph does not answer as the model does: {plain.comparison.n_equal} of "
            f"{plain.comparison.n_examples} answers are the same, logits differ by up to "
            f"{plain.comparison.max_logit_difference:.2g}.",
            where=str(loaded.source.directory),
            fix="use another version of onnxruntime; nothing was written",
        )
    if not int8:
        return plain
    makers: tuple[tuple[str, Callable[[Path], None]], ...] = (
        ("int8 dynamic", lambda file: quantise_dynamic(graph, file)),
        ("int8 dynamic, mixed", lambda file: quantise_dynamic(graph, file, mixed=True)),
        ("int8 static", lambda file: quantise_static(graph, file, data.features)),
    )
    tried: list[_Candidate] = []
    for precision, make in makers:  # the smallest and quickest first
        file = working / f"{len(tried)}.onnx"
        tell(f"making {precision}")
        make(file)
        tried.append(check(precision, file))
        if tried[-1].comparison.lost <= MAX_LOST:
            return tried[-1]
    return min(tried, key=lambda each: (each.comparison.lost, -each.comparison.n_equal))


def _examples_to_check(trained: Trained[D], recipe: Recipe, data: tuple[str, ...], directory: Path) -> D:
    """The data named, or else what the model's run validated on; of questions, the starter's where there is no run.

    Raises:
        DataError: if there are none, or they cannot be read.

    """
    task, loaded = trained.task, trained.loaded
    if data:
        return task.load_data(data, loaded.tokenizer, "prediction")
    fix = "give data to check with: --data DATA"
    run = RunDirectory(directory.parent)
    ran_with = run.recipe if directory.name == run.model.name else RunDirectory(directory).recipe
    ran: Recipe | None = None
    try:
        ran = Recipe.from_toml(ran_with) if ran_with.is_file() else None
        if ran is not None and (ran.validation or ran.validation_share > 0):
            names = (*_DATA_SETTINGS, *TASKS[recipe.task].for_reading)
            as_run = recipe.with_changes(**{name: getattr(ran, name) for name in names})
            own: Task[D] = TASKS[recipe.task](as_run).open_model(loaded.source.config_hf)
            with from_cache_only():
                return own.load_data((), loaded.tokenizer)
    except HubError as error:
        raise DataError(
            "The run was validated on data of the hub, which is asked only for what you name.",
            where=f"{ran_with}: {', '.join((*ran.train, *ran.validation)) if ran is not None else ''}",
            fix=f"{fix}, as you trust them",
        ) from error
    except DistiltuneError as error:
        raise DataError(
            f"The data that the run was validated on cannot be had again. {error.what}", where=error.where, fix=fix
        ) from error
    if task.name == USUAL:  # whatever such a model has learnt, it can be asked these
        return task.load_data((STARTER,), loaded.tokenizer)
    raise DataError("There is nothing to check the export with: the model is of no run that was validated.", fix=fix)


def _write_folder(
    directory: Path, loaded: LoadedModel, chosen: _Candidate, recipe: Recipe, guide: TaskGuide
) -> tuple[str, ...]:
    """Write graph, tokenizer, configuration, example and a word on them, whole or not at all; returns notes."""
    made = {"precision": chosen.precision, "opset": OPSET, "checked": chosen.comparison.as_json()}
    config: Mapping[str, object] = {**loaded.source.config_hf, ONNX_ENTRY: made}
    example = _example_of(TASKS[recipe.task])
    values = {name: getattr(recipe, name) for name in ("max_length", "stride", "max_answer_tokens", "long_texts")}
    texts = {
        "config.json": json.dumps(config, indent=2, sort_keys=True, allow_nan=False) + "\n",
        **({"example.py": example.format(**values)} if example else {}),
        "README.md": _readme(chosen, guide, example),
    }
    contents = {
        **tokenizer_files(loaded.tokenizer, loaded.source.config.max_position_embeddings),
        **{name: text.encode() for name, text in texts.items()},
    }

    def write(beside: Path) -> None:
        shutil.copyfile(chosen.file, beside / ONNX_FILE)
        sync(beside / ONNX_FILE)
        for name, content in contents.items():
            write_synced(beside / name, content)

    with writing_to(directory, ModelError):
        return told_of_kept(replace_directory(directory, write))


def _example_of(entry: TaskEntry[Any]) -> str:
    """A program that uses such a graph, with places for the settings; empty if the task has none."""
    file = files(entry.package).joinpath("onnx_example.py.txt") if entry.package else None
    return file.read_text(encoding="utf-8") if file is not None and file.is_file() else ""


def _readme(chosen: _Candidate, guide: TaskGuide, example: str) -> str:
    """A model card, so that the folder can be put on the hub as it is."""
    comparison = chosen.comparison
    return (
        f"{metadata('onnx', guide, tags=('onnx',))}\n"
        f"# A DistilBERT in ONNX form, {chosen.precision}\n\n"
        f"It {escape(guide.sentence)}. `model.onnx` takes `input_ids` and `attention_mask`, both int64 of any "
        f"(n, length). distiltune takes the folder as `--model`.{_usage(example)}\n\n"
        f"Checked on {comparison.n_examples:,} examples beside the model that it was made from: "
        f"{comparison.n_equal:,} answers are the same, logits differ by at most {comparison.max_logit_difference:.1e}, "
        f"{_scores(comparison)}.\n"
    )


def _usage(example: str) -> str:
    """The command in an example's first line, if there is an example."""
    command = example.partition(": ")[2].partition("   (")[0]
    uses = " `example.py` uses it with numpy, onnxruntime and tokenizers only."
    return f"{uses}\n\n```shell\n{command}\n```" if example else ""


def _scores(comparison: ExportComparison) -> str:
    """Both scores in words."""
    after, before = (
        "not known" if score is None else f"{score:.2f}" for score in (comparison.score, comparison.score_original)
    )
    title = comparison.score_name.replace("_", " ").replace("f1", "F1") or "score"
    return f"{title} {after} ({before} before)"
