"""The command line: one thin function a command. PyTorch is imported only inside commands that need it."""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from distiltune import __version__
from distiltune.command_line import (
    READING,
    DataOption,
    JsonOption,
    ModelOption,
    ReplaceModelOption,
    RunOption,
    app,
    error_console,
    in_words,
    make_console,
    say,
    settings_as_flags,
    used,
)
from distiltune.distillation import TASK
from distiltune.errors import DistiltuneError, RecipeError, install_extra
from distiltune.recipe import Recipe, read_settings
from distiltune.tasks.table import TASKS

__all__ = ["app", "main"]

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED, EXIT_TERMINATED = 1, 2, 130, 143


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"distiltune {__version__}")
        raise typer.Exit


@app.callback()
def _distiltune(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Fine-tune DistilBERT to answer questions from your own texts, and put the model to work."""


@app.command()
@settings_as_flags(*Recipe.model_fields)
def train(
    output: RunOption = None,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="A recipe in TOML; flags win over it.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that is already there.")] = False,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="Go on with this run, from its last checkpoint.", metavar="RUN")
    ] = None,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Fine-tune a model and write a run directory, or go on with one that was stopped.

    Example: `distiltune train --train train.json --validation dev.json --output runs/mine`
    """
    given = {**(read_settings(recipe) if recipe else {}), **used(settings)}
    _run_training(resume, output, recipe, given, overwrite=overwrite, as_json=as_json)


@app.command()
@settings_as_flags(*Recipe.model_fields)
def distill(
    output: RunOption = None,
    encoder: Annotated[
        bool, typer.Option("--encoder", help="Distil the encoder on plain text, one text a line, before any task.")
    ] = False,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="A recipe in TOML; flags win over it.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that is already there.")] = False,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="Go on with this run, from its last checkpoint.", metavar="RUN")
    ] = None,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Train a student on a teacher, while fine-tuning or, with `--encoder`, on plain text; or go on with a run.

    Example: `distiltune distill --teacher runs/large --model starter --train train.json --output runs/small`

    Example: `distiltune distill --encoder --teacher runs/large --train texts --student-width 160 --output runs/start`
    """
    given = {**(read_settings(recipe) if recipe else {}), **used(settings)}
    if resume is None and not given.get("teacher"):
        raise RecipeError("There is no teacher to learn from.", fix="name one, as --model is named: --teacher MODEL")
    if encoder and resume is None:
        given = {**given, "task": TASK.name}
    _run_training(resume, output, recipe, given, overwrite=overwrite, as_json=as_json)


def _run_training(
    resume: Path | None,
    output: Path | None,
    recipe: Path | None,
    given: dict[str, Any],
    *,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Begin a run, or go on with one, and say what came of it."""
    if output and resume:
        raise RecipeError(
            "--output and --resume exclude each other.",
            fix="give --output DIRECTORY for a new run, or --resume RUN to go on with one",
        )
    built = Recipe.build(given)

    from distiltune import fine_tuning
    from distiltune.report.console import ConsoleReporter
    from distiltune.run_directory import usual_place
    from distiltune.training.distributed import processes
    from distiltune.training.interruption import Terminated

    console = error_console() if as_json else make_console()
    reporter = ConsoleReporter(console)
    try:
        if resume is not None:
            fine_tuned = fine_tuning.resume(resume, reporter=reporter, **given)
        else:
            place = output or usual_place(recipe, built.train)
            fine_tuned = fine_tuning.fine_tune(built, output=place, overwrite=overwrite, reporter=reporter)
    except Terminated:
        print("distiltune: terminated", file=sys.stderr)
        raise typer.Exit(EXIT_TERMINATED) from None
    if not processes().writes:  # the first says it for all
        return
    if as_json:
        typer.echo(json.dumps(fine_tuned.as_json(), ensure_ascii=False, allow_nan=False))
        return
    console.print()
    if fine_tuned.scores:
        say(console, f"best epoch: {fine_tuned.best_epoch} ({fine_tuned.scores} on the validation data)")
    say(console, f"run:    {fine_tuned.directory}")
    say(console, f"model:  {fine_tuned.model}")
    say(console, f"report: {fine_tuned.directory / 'report.html'}")
    say(console, TASKS[fine_tuned.recipe.task].after_training.format(model=fine_tuned.model))


@app.command()
@settings_as_flags(*READING)
def evaluate(
    model: ModelOption,
    data: DataOption,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Measure a model: its loss and its task's scores, such as the official exact match and F1 of answers.

    Example: `distiltune evaluate --model runs/mine --data dev.json`
    """
    recipe = Recipe.build(used(settings))
    from distiltune.inference.evaluate import evaluate as run
    from distiltune.report.console import counting

    console = make_console()
    with counting(error_console() if as_json else console, "evaluating", "examples") as on_progress:
        result = run(model, data, recipe=recipe, on_progress=on_progress)
    if as_json:
        typer.echo(json.dumps(result.as_json(), indent=2, ensure_ascii=False))
        return
    for note in result.notes:
        say(console, note)
    for name, value in result.metrics.items():
        say(
            console,
            f"{name.replace('_', ' '):<28} {value:.4f}" if value % 1 else f"{name.replace('_', ' '):<28} {value:.0f}",
        )


@app.command()
@settings_as_flags(*READING, "n_best")
def predict(
    model: ModelOption,
    data: DataOption,
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory for the predictions and rejected.jsonl.")],
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Predict every example of a data set: of questions the official predictions file, and the n-best list beside it.

    Example: `distiltune predict --model runs/mine --data questions.jsonl --output answers`
    """
    recipe = Recipe.build(used(settings))
    from distiltune.inference.evaluate import predict as run
    from distiltune.report.console import counting

    console = make_console()
    with counting(error_console() if as_json else console, "predicting", "examples") as on_progress:
        result = run(model, data, output, recipe=recipe, on_progress=on_progress)
    if as_json:
        typer.echo(json.dumps(result.as_json(), indent=2, ensure_ascii=False))
        return
    for note in result.notes:
        say(console, note)
    written = ", ".join(map(str, result.written))
    say(console, f"{result.n_examples:,} {TASKS[result.task].examples_predicted}: {written}")


@app.command()
@settings_as_flags(
    "max_length", "stride", "max_question_tokens", "max_answer_tokens", "null_threshold", "device", "threads"
)
def ask(
    model: ModelOption,
    questions: Annotated[list[str] | None, typer.Argument(help="One question or more.", metavar="QUESTION...")] = None,
    document: Annotated[
        list[Path] | None,
        typer.Option("--document", "-d", help="A text file (UTF-8), repeatable; `-` is standard input."),
    ] = None,
    text: Annotated[str | None, typer.Option("--text", "-t", help="The text itself.")] = None,
    questions_file: Annotated[Path | None, typer.Option(help="A file with one question a line.")] = None,
    n_best: Annotated[int, typer.Option(min=1, help="Candidates shown by --json and --show-others.")] = 5,
    passages: Annotated[
        int, typer.Option(min=0, help="Read only this many passages, the likeliest by BM25 (0: read everything).")
    ] = 0,
    show_others: Annotated[bool, typer.Option("--show-others", help="Show the other candidates too.")] = False,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Ask questions about documents of any length.

    Example: `distiltune ask --model runs/mine --document handbook.txt "Who signs the lease?"`
    """
    asked = [*(questions or []), *_read_questions(questions_file)]
    if not asked:
        raise RecipeError("No question was asked.", fix="give questions as arguments, or --questions-file FILE")
    given = used(settings)
    Recipe.build(given)  # which says what is wrong with a value
    documents = _read_documents(document or [], text)

    from distiltune.report.console import counting
    from distiltune.tasks.question_answering.answerer import Answerer

    answerer = Answerer(model, **given)
    with counting(error_console(), "reading", "windows") as on_progress:
        replies = answerer.ask(asked, documents, n_best=n_best, passages=passages, on_progress=on_progress)
    if as_json:
        typer.echo(json.dumps([reply.as_json() for reply in replies], indent=2, ensure_ascii=False))
        return
    from distiltune.report.answers import answer_lines

    console = make_console()
    for i, reply in enumerate(replies):
        if i:
            console.print()
        for line in answer_lines(reply, show_question=len(replies) > 1, show_others=show_others):
            console.print(line, highlight=False, soft_wrap=not console.is_terminal)


@app.command()
def convert(
    model: Annotated[str, typer.Argument(help="A model directory, also of the TensorFlow era, or a name on the hub.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The model directory to make.")],
    overwrite: ReplaceModelOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a modern model directory from an older checkpoint: TensorFlow, PyTorch, sharded, or BERT.

    Example: `distiltune convert old-tf-model --output modern-model`
    """
    from distiltune.distillation.guide import bare_encoder_guide
    from distiltune.model.convert import Converted
    from distiltune.model.convert import convert as run
    from distiltune.model.source import model_config
    from distiltune.report.model_card import converted_card
    from distiltune.tasks.choose import entry_of_model

    entry, config = entry_of_model(model), model_config(model)
    task = entry(Recipe(task=entry.name).with_stored(config)).for_model(config)

    def card(converted: Converted) -> str:
        return converted_card(converted, task.guide({}) if converted.has_head else bare_encoder_guide())

    converted = run(
        model,
        output,
        head_rules=task.head_rules,
        architectures=(task.architecture,),
        card=card,
        overwrite=overwrite,
    )
    if as_json:
        typer.echo(json.dumps(converted.as_json(), ensure_ascii=False))
        return
    console = make_console()
    for note in converted.notes:
        say(console, note)
    say(console, f"model: {output}")


@app.command()
@settings_as_flags(
    "max_length",
    "stride",
    "max_question_tokens",
    "max_answer_tokens",
    "null_threshold",
    "device",
    "threads",
    "precision",
)
def serve(
    model: Annotated[
        str,
        typer.Argument(help="A run, a model directory, an exported ONNX folder, or a name on the hub.", metavar="RUN"),
    ],
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine need 0.0.0.0 or like.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on (0: any that is free).")] = 8_000,
    max_body_mb: Annotated[float, typer.Option(min=0.001, help="Largest request, in megabytes.")] = 8.0,
    max_requests: Annotated[
        int, typer.Option(min=1, help="Most requests in process at once; files are a quarter of them.")
    ] = 256,
    max_queued_tokens: Annotated[int, typer.Option(min=1, help="Most tokens that wait for the model.")] = 600_000,
    answer_seconds: Annotated[float, typer.Option(min=0.1, help="Longest time for an answer.")] = 60.0,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A name that requests may use for this server; on a loopback address others are refused."),
    ] = None,
    **settings: Any,
) -> None:
    """Serve a page and a JSON API: questions about texts answered, texts classified, or entities marked in them.

    Example: `distiltune serve runs/mine --port 8000`
    """
    given = used(settings)
    Recipe.build(given)
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise DistiltuneError(
            f"Serving needs the library {error.name}.", fix=f"install it: {install_extra('serve')}"
        ) from error
    from distiltune.serving.batching import BatchSettings
    from distiltune.serving.gate import Limits
    from distiltune.serving.server import run, served_names
    from distiltune.tasks.choose import entry_of_model

    console = make_console()
    limits = Limits(
        max_body_bytes=int(max_body_mb * 1e6),
        max_requests=max_requests,
        max_bytes=max(64_000_000, int(max_body_mb * 1e6)),
        answer_s=answer_seconds,
        hosts=served_names(host, allow_host or ()),
    )
    entry = entry_of_model(model)
    Recipe.build({**given, "task": entry.name}).check_used(given)
    path = Path(model).resolve()
    name = (path.parent.name if path.name == "model" else path.name) if path.exists() else model
    batches = BatchSettings(max_queued_tokens=max_queued_tokens)
    app = entry.load(entry.server)(model, name, limits, batches, {"precision": "auto", **given})
    for note in app.state.notes:
        say(console, note)
    run(app, host, port, limits, lambda url: say(console, f"serving {name} at {url} (stop with Ctrl-C)"))


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="A run, a model directory, or a name on the hub.", metavar="RUN")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to make.")],
    overwrite: ReplaceModelOption = False,
    form: Annotated[str, typer.Option("--format", help="`onnx`.")] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="Weights and products in 8 bits: smaller and quicker.")] = False,
    data: Annotated[
        list[str] | None, typer.Option("--data", help="Data to check with; by default the run's validation data.")
    ] = None,
    questions: Annotated[int, typer.Option(min=0, help="Check with at most so many of them (0: all).")] = 500,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Write it even if --int8 costs over 1 point of the score.")
    ] = False,
    threads: Annotated[int, typer.Option(min=0, help="Threads (0: as many as there are usable cores).")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Write a model as an ONNX folder, checked against the original on real examples.

    Example: `distiltune export runs/mine --format onnx --output runs/mine/onnx`
    """
    if form != "onnx":
        raise RecipeError(f"There is no format called {form!r}.", fix="use --format onnx")
    from distiltune.export.onnx import export_onnx
    from distiltune.report.console import working
    from distiltune.tasks.choose import entry_of_model

    console = error_console() if as_json else make_console()
    with working(console):
        exported = export_onnx(
            model,
            output,
            overwrite=overwrite,
            int8=int8,
            data=tuple(data or ()),
            questions=questions,
            accept_loss=accept_loss,
            threads=threads,
            on_note=lambda note: say(console, note),
        )
    if as_json:
        typer.echo(json.dumps(exported.as_json(), indent=2, allow_nan=False))
        return
    say(console, f"model:  {exported.directory} ({exported.precision})")
    say(console, entry_of_model(model).after_training.format(model=exported.directory))


@app.command()
def push(
    model: Annotated[str, typer.Argument(help="A run, a model directory, or an exported folder.", metavar="RUN")],
    name: Annotated[str, typer.Argument(help="Name on the Hugging Face hub, as `owner/name`.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository a private one.")] = False,
    message: Annotated[str, typer.Option(help="Message of the commit.")] = "Model made with distiltune",
    as_json: JsonOption = False,
) -> None:
    """Put a model on the Hugging Face hub, once its card is checked; log in first with `hf auth login`.

    Example: `distiltune push runs/mine my-name/lease-questions --private`
    """
    from distiltune.export.push import push as run
    from distiltune.tasks.choose import entry_of_model

    pushed = run(model, name, private=private, message=message)
    if as_json:
        typer.echo(json.dumps(asdict(pushed), indent=2))
        return
    console = make_console()
    say(console, f"{len(pushed.files)} files are at {pushed.url}: {', '.join(pushed.files)}")
    say(console, entry_of_model(model).after_training.format(model=pushed.name))


def _read_questions(path: Path | None) -> list[str]:
    if path is None:
        return []
    return [line.strip() for line in _read_text(path).splitlines() if line.strip()]


def _read_documents(paths: list[Path], text: str | None) -> str | dict[str, str]:
    """The text given, or each document by its path."""
    if text is not None:
        if paths:
            raise RecipeError("--document and --text exclude each other.", fix="give one of the two")
        return text
    if not paths:
        if sys.stdin.isatty():
            raise RecipeError(
                "There is no text to look in.", fix="give --document FILE, --text TEXT, or pipe a text in"
            )
        paths = [Path("-")]
    if len(paths) == 1:
        return _read_text(paths[0])
    return {str(path): _read_text(path) for path in paths}


def _read_text(path: Path) -> str:
    from distiltune.data.streams import read_text

    return read_text(path)


def main() -> None:
    """Run the command line: 0 done, 1 could not do it, 2 wrong usage, 130 interrupted, 143 terminated."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments, prog_name="distiltune")
    except DistiltuneError as error:
        if debug:
            traceback.print_exc()
        print(f"distiltune: {error}", file=sys.stderr)
        sys.exit(EXIT_USAGE if isinstance(error, RecipeError) else EXIT_FAILED)
    except KeyboardInterrupt:
        print("distiltune: interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has left; that is no failure of ours
        sys.exit(EXIT_FAILED)
    except Exception as error:
        if debug:
            raise
        print(f"distiltune: {in_words(error)}", file=sys.stderr)
        sys.exit(EXIT_FAILED)


from distiltune import coach_commands as coach_commands  # noqa: E402  (its commands hang on the app above)

if __name__ == "__main__":
    main()
