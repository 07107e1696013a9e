"""The command line as a person uses it: what it prints, and what it exits with."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from distiltune import cli
from distiltune.commands.output import say_json, show_what_can_be_shown
from distiltune.errors import with_controls_shown
from distiltune.export.push import check_card, model_files
from tests.helpers import TINY, people, write_squad, write_tiny_model

COMMANDS = ("train", "distill", "evaluate", "predict", "ask", "convert", "check", "compare", "find-lr", "tune")
Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process; returns its exit status."""

    def call(*arguments: str | Path) -> int:
        monkeypatch.setattr(sys, "argv", ["distiltune", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as leave:
            return int(leave.code or 0)
        return 0

    return call


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_squad(tmp_path_factory.mktemp("data") / "people.json", people().examples)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = replace(TINY, vocab_size=people().tokenizer.get_vocab_size())
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny", people().tokenizer, config)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data: Path, base: Path) -> Path:
    """A run of one epoch, made by the command in a process of its own."""
    output = tmp_path_factory.mktemp("runs") / "run"
    command: list[str | Path] = [
        "train",
        "--train",
        data,
        "--validation",
        data,
        "--model",
        base,
        "--output",
        output,
        *SMALL,
    ]
    done = _in_own_process(*command)
    assert done.returncode == 0, done.stderr
    return output


SMALL = ("--epochs", "1", "--max-length", "48", "--stride", "8", "--threads", "1")


def _in_own_process(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "distiltune", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(run: Run, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run(command, "--help") == 0
    assert f"Example: distiltune {command}" in " ".join(capsys.readouterr().out.replace("│", " ").split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["train", "--help"], ["ask", "--help"], ["tune", "--help"]]
)
def test_help_does_not_wait_for_the_slow_libraries(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from distiltune.cli import main\n"
        f"sys.argv = ['distiltune', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "slow = {'torch', 'transformers', 'matplotlib', 'pyarrow', 'huggingface_hub', 'tokenizers', 'numpy'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_every_setting_of_the_recipe_is_a_flag(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    from distiltune.recipe.recipe import IN_PYTHON, Recipe
    from distiltune.tasks.table import TASKS

    for task in TASKS:
        assert run("train", "--help-all", "--task", task) == 0
    text = capsys.readouterr().out
    names = [name for name in Recipe.model_fields if name not in IN_PYTHON]
    flags = {name: "recipe" if name == "base" else name.replace("_", "-") for name in names}
    assert [name for name, flag in flags.items() if f"--{flag}" not in text] == []


def test_training_prints_the_table_and_where_things_are(trained: Path, data: Path, base: Path, tmp_path: Path) -> None:
    output = tmp_path / "again"
    done = _in_own_process("train", "--train", data, "--validation", data, "--model", base, "--output", output, *SMALL)
    assert done.returncode == 0, done.stderr
    assert "Epoch  Train Loss  Train End Logits Accuracy" in done.stdout
    assert str(output / "model") in done.stdout
    assert "\x1b" not in done.stdout, "no escape codes where there is no terminal"
    assert (trained / "model" / "model.safetensors").read_bytes() == (
        output / "model" / "model.safetensors"
    ).read_bytes()


def test_a_second_run_does_not_overwrite_the_first(
    run: Run, capsys: pytest.CaptureFixture[str], trained: Path, data: Path, base: Path
) -> None:
    before = (trained / "log.jsonl").read_bytes()
    assert run("train", "--train", data, "--model", base, "--output", trained, *SMALL) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert (trained / "log.jsonl").read_bytes() == before


def test_flags_win_over_the_recipe_file(run: Run, data: Path, base: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        f'train = ["{data.as_posix()}"]\nmodel = "{base.as_posix()}"\n'
        "epochs = 7\nmax_length = 48\nstride = 8\nbatch_size = 4\n"
    )
    output = tmp_path / "run"
    assert run("train", "--recipe", recipe, "--epochs", "1", "--output", output, "--threads", "1") == 0
    written = (output / "recipe.toml").read_text()
    assert "\nepochs = 1\n" in written
    assert "\nbatch_size = 4\n" in written


def test_a_run_without_an_output_is_called_after_its_recipe(
    run: Run,
    capsys: pytest.CaptureFixture[str],
    data: Path,
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.toml").write_text(f'train = ["{data.as_posix()}"]\nmodel = "{base.as_posix()}"\nepochs = 7\n')
    assert run("train", "--recipe", "my.toml", *SMALL) == 0
    said = capsys.readouterr().out
    directory = Path("runs", "my")
    assert (directory / "model" / "model.safetensors").is_file()
    assert said.count(f"run: {directory}\n") == 1, "at the start"
    assert said.index(f"run: {directory}\n") < said.index("Train Loss") < said.index(f"run:    {directory}\n")
    assert run("train", "--recipe", "my.toml", *SMALL) == 1
    refused = capsys.readouterr().err
    assert str(directory) in refused
    assert "--output" in refused
    assert "--overwrite" in refused


def test_evaluate_as_json(run: Run, capsys: pytest.CaptureFixture[str], trained: Path, data: Path) -> None:
    assert run("evaluate", "--model", trained, "--data", data, "--max-length", "48", "--stride", "8", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    logged = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    at_the_end = next(line for line in logged if line["kind"] == "evaluation")["metrics"]
    of_fitting = {"calibration_error_held_out", "refused_temperature"}  # which nothing is fitted for here
    assert result["metrics"] == pytest.approx({k: v for k, v in at_the_end.items() if k not in of_fitting}, rel=1e-6)
    assert result["n_examples"] == 32


def test_predict_answers_every_question(run: Run, trained: Path, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers"
    assert (
        run("predict", "--model", trained, "--data", data, "--output", output, "--max-length", "48", "--stride", "8")
        == 0
    )
    predictions = json.loads((output / "predictions.json").read_text())
    assert list(predictions) == [example.id for example in people().examples]
    lines = [json.loads(line) for line in (output / "nbest.jsonl").read_text().splitlines()]
    assert [line["candidates"][0]["text"] for line in lines] == list(predictions.values())


def test_predict_answers_as_well_without_answers_or_with_bad_ones(
    run: Run, capsys: pytest.CaptureFixture[str], trained: Path, data: Path, tmp_path: Path
) -> None:
    rows = [{"id": each.id, "question": each.question, "context": each.context} for each in people().examples]
    bare, bad = tmp_path / "bare.json", tmp_path / "bad.json"
    bare.write_text(json.dumps(rows))
    bad.write_text(json.dumps([{**row, "answer_text": "said nowhere"} for row in rows]))
    found = []
    for source in (data, bare, bad):
        assert run("predict", "--model", trained, "--data", source, "--output", tmp_path / "out") == 0
        found.append(json.loads((tmp_path / "out" / "predictions.json").read_text()))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 32
    capsys.readouterr()
    assert run("evaluate", "--model", trained, "--data", bare) == 1
    assert "nothing to measure" in capsys.readouterr().err
    assert run("evaluate", "--model", trained, "--data", bad, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["metrics"]["n"] == len(result["noted"]) == 32
    assert "loss" not in result["metrics"]
    assert any(note.startswith("32 noted: answer not placed; the first is ") for note in result["notes"])


def test_train_as_json(run: Run, capsys: pytest.CaptureFixture[str], data: Path, base: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    given = ("--train", data, "--validation", data, "--model", base, "--output", output)
    assert run("train", *given, *SMALL, "--json") == 0
    said = capsys.readouterr()
    (line,) = said.out.splitlines()
    result = json.loads(line)
    assert "Train Loss" in said.err
    assert (result["directory"], result["model"]) == (str(output), str(output / "model"))
    assert (result["best_epoch"], result["epochs_done"], result["outcome"]) == (0, 1, "done")
    logged = [json.loads(each) for each in (output / "log.jsonl").read_text().splitlines()]
    assert result["metrics"] == next(each for each in logged if each["kind"] == "evaluation")["metrics"]


def test_what_convert_writes_can_be_pushed(
    run: Run, capsys: pytest.CaptureFixture[str], base: Path, tmp_path: Path
) -> None:
    assert run("convert", base, "--output", tmp_path / "modern", "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["model"] == str(tmp_path / "modern")
    assert "README.md" in {path.name for path in model_files(tmp_path / "modern")}
    check_card(tmp_path / "modern" / "README.md")
    card = (tmp_path / "modern" / "README.md").read_text()
    assert "converted with distiltune from tiny," in card
    assert "there is no head" in card
    assert "distiltune train --model ." in card


def test_ask_from_a_file_from_standard_input_and_as_text_agree(trained: Path, tmp_path: Path) -> None:
    text = people().examples[0].context
    document = tmp_path / "document.txt"
    document.write_text(text)
    question = people().examples[0].question
    said = [
        _in_own_process("ask", "--model", trained, "--document", document, question, "--json"),
        _in_own_process("ask", "--model", trained, question, "--json", stdin=text),
        _in_own_process("ask", "--model", trained, "--text", text, question, "--json"),
    ]
    assert [done.returncode for done in said] == [0, 0, 0], said[0].stderr
    replies = [json.loads(done.stdout) for done in said]
    assert replies[0] == replies[1] == replies[2]
    answer = replies[0][0]["answer"]
    assert text[answer["start"] : answer["end"]] == answer["text"]


def test_ask_takes_an_encoding_of_files(trained: Path, tmp_path: Path) -> None:
    text, question = "ada eats figs. ben fears caf\u00e9s.", "what eats ada"
    document = tmp_path / "document.txt"
    document.write_bytes(text.encode("windows-1252"))
    ask = ("ask", "--model", trained, "--json", question)
    plain = _in_own_process(*ask, "--text", text)
    assert _in_own_process(*ask, "--document", document, "--encoding", "windows-1252").stdout == plain.stdout
    assert "--encoding windows-1252" in _in_own_process(*ask, "--document", document).stderr


def test_ask_about_nothing_names_the_ways_to_give_a_text(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text(" \n")
    for given, where in (((), "standard input"), (("--document", tmp_path / "empty.txt"), "empty.txt")):
        said = _in_own_process("ask", "--model", trained, "Who?", *given, stdin="").stderr
        assert where in said
        assert "--document FILE, --text TEXT" in said


def test_ask_for_people(run: Run, capsys: pytest.CaptureFixture[str], trained: Path) -> None:
    text = people().examples[0].context
    assert run("ask", "--model", trained, "--text", text, "what eats ada", "what fears ada", "--show-others") == 0
    said = capsys.readouterr().out
    assert said.count("confidence ") == 2
    assert "line 1, column " in said


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("train", "--output", "x", "--resume", "y"), 2, "--output and --resume exclude each other"),
        (("train", "--output", "x", "--no-such-flag"), 2, "no-such-flag"),
        (("train", "--output", "x", "--epochs", "0"), 2, "at least 1"),
        (("train", "--output", "x", "--epochs", "many"), 2, "--epochs"),
        (("train", "--output", "x", "--dropout", "1.5"), 2, "below 1"),
        (("train", "--output", "x", "--warmup-steps", "5", "--warmup-share", "0.1"), 2, "exclude each other"),
        (("train", "--output", "x", "--recipe", "no-such.toml"), 2, "no-such.toml"),
        (("evaluate", "--model", "./no-such-model", "--data", "starter"), 1, "no-such-model"),
        (("ask", "--model", "starter", "--text", "Some text."), 2, "question"),
        (("ask", "--model", "starter", "--text", "Some text.", "Who?"), 1, "use `starter-qa`, whose head is trained"),
        (("evaluate", "--model", "starter", "--data", "starter"), 1, "or fine-tune it first: distiltune train"),
        (("ask", "--model", "starter", "--text", "a", "--document", "b", "Who?"), 2, "exclude each other"),
        (("ask", "--model", "starter", "--document", "no-such.txt", "Who?"), 1, "no-such.txt"),
        (("ask", "--model", "starter", "--text", "a", "--encoding", "cp1252", "Who?"), 2, "No file is read"),
        (("convert", "./no-such-model", "--output", "x"), 1, "no-such-model"),
        (("evaluate", "--model", "starter-qa", "--data", "starter", "--columns", "foo=bar"), 2, "no field 'foo'"),
    ],
)
def test_errors_tell_what_and_where_without_a_traceback(
    run: Run,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == status
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


@pytest.mark.parametrize(
    "arguments",
    [
        *(("train", flag, "") for flag in ("--train", "--validation", "--model", "--output", "--resume", "--recipe")),
        *(("tune", "--output", "x", flag, "") for flag in ("--train", "--model", "--output", "--recipe")),
        *(("find-lr", flag, " ") for flag in ("--train", "--model", "--output", "--recipe")),
        *(("check", "starter", flag, "") for flag in ("--against", "--fix", "--recipe", "--model")),
        *(("convert", "starter", "--output", ""), ("convert", "", "--output", "x"), ("check", "")),
        *(("export", "starter-qa", "--output", ""), ("export", "", "--output", "x"), ("serve", "")),
        *(("compare", "", ""), ("compare", "starter", "starter", "--picture", ""), ("push", "", "owner/name")),
        ("evaluate", "--model", "", "--data", "starter"),
        ("evaluate", "--model", "starter-qa", "--data", ""),
        ("predict", "--model", "starter-qa", "--data", "starter", "--output", ""),
        ("ask", "--model", "", "--text", "a", "Who?"),
        ("ask", "--model", "starter-qa", "--document", "", "Who?"),
        ("ask", "--model", "starter-qa", "--text", "a", "--questions-file", ""),
        ("distill", "--teacher", " ", "--train", "starter"),
    ],
)
def test_what_is_empty_names_nothing(
    run: Run,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    """Not the folder that one is in, which may hold anything, nor what a flag is by default."""
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert "names nothing" in said or "nothing is named" in said
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_a_text_of_nothing_is_none(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ask", "--model", "starter-qa", "--text", " ", "Who?") == 1
    assert "no text in it" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_no_character_ends_a_training(
    data: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """Neither one of ours, such as an arrow, nor one of a file's name."""
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    output = tmp_path / "é→語"
    done = _in_own_process("train", "--train", data, "--model", base, "--output", output, *SMALL)
    assert done.returncode == 0, done.stderr
    assert (output / "model" / "config.json").is_file()
    assert "best epoch: 0" in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_is_the_same_value_in_any_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    value = {"é→語": "\U0001f600 \x1b é"}
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    show_what_can_be_shown()
    say_json(value)
    stream.flush()
    written = stream.buffer.getvalue()
    assert json.loads(written.decode(encoding)) == value


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_json_moves_no_terminal_and_is_the_same_value(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    """The json module escapes the control characters of ASCII alone."""
    value = {"\x9b31m": ["\x1b[2J\x07", "\x7f\u202e\u2066\u200e", "\n\t é → \\u202e"]}
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    say_json(value)
    stream.flush()
    written = stream.buffer.getvalue().decode(encoding)
    assert json.loads(written) == value
    assert with_controls_shown(written) == written


def test_what_cannot_be_shown_is_written_as_its_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stderr", stream)
    show_what_can_be_shown()
    print("é → \udcff", file=sys.stderr, flush=True)
    assert stream.buffer.getvalue().strip() == b"\xe9 \\u2192 \\udcff"


NO_HOME = """
import os, pwd, sys

def nobody(*arguments):
    raise KeyError("uid not found")

pwd.getpwuid = nobody
for name in ("HOME", "USER", "LOGNAME", "DISTILTUNE_CACHE", "XDG_CACHE_HOME", "MPLCONFIGDIR", "HF_HOME"):
    os.environ.pop(name, None)
from distiltune.cli import main
main()
"""


def test_a_user_without_a_home_can_do_everything(data: Path, base: Path, tmp_path: Path) -> None:
    """As in a container that is started with another user's number: there is no HOME, and no entry in passwd."""
    for arguments in (
        ("train", "--train", data, "--validation", data, "--model", base, "--output", tmp_path / "run", *SMALL),
        ("check", data),
        ("evaluate", "--model", tmp_path / "run", "--data", data),
        ("convert", tmp_path / "run", "--output", tmp_path / "made"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", NO_HOME, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"run", "made"}, "no folder called ~"


def test_a_missing_data_file_leaves_no_run_directory(
    run: Run, capsys: pytest.CaptureFixture[str], base: Path, tmp_path: Path
) -> None:
    assert run("train", "--train", tmp_path / "trian.json", "--model", base, "--output", tmp_path / "run", *SMALL) == 1
    assert "trian.json" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_interrupted(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupt(*arguments: object, **settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("distiltune.runs.fine_tune.fine_tune", interrupt)
    assert run("train", "--output", tmp_path / "run") == 130


def test_debug_shows_the_traceback(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", "--model", "./no-such-model", "--data", "starter", "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_memory_that_runs_out_is_no_bug(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*arguments: object, **settings: object) -> None:
        raise MemoryError("no 8 GiB")

    monkeypatch.setattr("distiltune.runs.fine_tune.fine_tune", fail)
    assert run("train", "--output", tmp_path / "run") == 1
    said = capsys.readouterr().err
    assert "memory ran out: no 8 GiB" in said
    assert "--batch-size" in said
    assert "bug" not in said


def test_what_the_system_refuses_is_no_bug(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*arguments: object, **settings: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/full/file")

    monkeypatch.setattr("distiltune.runs.fine_tune.fine_tune", fail)
    assert run("train", "--output", tmp_path / "run") == 1
    said = capsys.readouterr().err
    assert "No space left on device\n  where: /full/file\n" in said
    assert "a bug" not in said


def test_a_disk_that_fills_up_under_predictions_is_told(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, trained: Path, tmp_path: Path
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("distiltune.tasks.question_answering.evaluation.PredictionFiles.finish", fail)
    data = write_squad(tmp_path / "one.json", people().examples[:1])
    assert run("predict", "--model", trained, "--data", data, "--output", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert f"The output cannot be written: No space left on device.\n  where: {tmp_path / 'out'}" in said


def test_an_unexpected_error_is_named_as_ours(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*arguments: object, **settings: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("distiltune.runs.fine_tune.fine_tune", fail)
    assert run("train", "--output", tmp_path / "run") == 1
    said = capsys.readouterr().err
    assert "--debug" in said
    assert "Traceback" not in said


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("module", ["shlex", "typer"])
def test_an_interruption_before_anything_is_begun_shows_no_traceback(tmp_path: Path, module: str) -> None:
    """A module that sends it as the command line is imported, or what that imports: nothing of ours runs yet."""
    (tmp_path / f"{module}.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time\ntime.sleep(9)\n"
    )
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = subprocess.run(
        [sys.executable, "-m", "distiltune", "--help"],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "distiltune: interrupted\n")


def test_what_a_document_holds_moves_no_terminal(trained: Path) -> None:
    hostile = "Ada eats\x1b[2Jplums\x07 ."
    asked = _in_own_process(
        "ask", "--model", trained / "model", "--text", hostile, "What \x1b]0;x\x07 eats ada?", "--others"
    )
    assert "\x1b" not in asked.stdout + asked.stderr
    assert "\x07" not in asked.stdout + asked.stderr


PRINTING = ("--help", "--version", "train --help-all", "completion bash")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("command", PRINTING)
def test_what_cannot_be_printed_is_told(command: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "distiltune", *command.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        "distiltune: what was printed cannot be written: No space left on device",
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_what_is_still_in_the_buffer_at_the_end_is_told_as_well() -> None:
    part = "app.run = lambda said: sys.stdout.write('a part of a line')"
    code = f"import sys; import distiltune.commands.app as app; from distiltune import cli; {part}; cli.main()"
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", code]
        buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60, env=buffered
        )
    assert done.returncode == 1
    assert done.stderr.startswith("distiltune: what was printed cannot be written: No space left on device")


WITH_ANOTHER_COMMAND = """
import os, signal, sys, tempfile, time
import distiltune.__main__ as program
from distiltune.commands import app

def run(arguments):
    {}

app.run = run
program.main()
"""


@pytest.mark.skipif(os.name != "posix", reason="descriptors")
@pytest.mark.parametrize("work", ["print('a line')", "print('a line', flush=True)"], ids=["at its end", "before"])
def test_a_reader_that_has_left_ends_a_command_quietly(work: str) -> None:
    """As ``| head -1`` does."""
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-c", WITH_ANOTHER_COMMAND.format(work)]
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interruption_of_the_program_lets_a_command_clean_up(tmp_path: Path) -> None:
    """What ends it at once while modules are imported does so no longer when a command is under way."""
    work = (
        f"with tempfile.TemporaryDirectory(dir={str(tmp_path)!r}): os.kill(os.getpid(), signal.SIGINT); time.sleep(9)"
    )
    words = [sys.executable, "-c", WITH_ANOTHER_COMMAND.format(work)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (130, "distiltune: interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="descriptors")
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_standard_streams_end_no_command_and_are_no_files_of_ours(
    closed: tuple[int, ...], tmp_path: Path
) -> None:
    """A file that is opened first would be the standard stream, and hold what any library prints."""
    code = (
        f"import os\nfor each in {closed}: os.close(each)\n"
        "import sys\nfor each in ('stdin', 'stdout', 'stderr'):\n"
        f"    if ('stdin', 'stdout', 'stderr').index(each) in {closed}: setattr(sys, each, None)\n"
        "import distiltune.__main__\n"
        f"opened = open({str(tmp_path / 'file')!r}, 'w')\n"
        "assert opened.fileno() > 2, opened.fileno()\n"
        "assert sys.stdin.isatty() in (True, False) and sys.stdout.write('x') and sys.stderr.write('x')\n"
        "opened.write('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert (done.returncode, (tmp_path / "file").read_text()) == (0, "done")


@pytest.mark.parametrize("stop", ["SIGTERM", "SIGINT"])
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_signal_lets_a_command_clean_up(stop: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def work(*arguments: object, **settings: object) -> None:
        with tempfile.TemporaryDirectory(dir=tmp_path):
            os.kill(os.getpid(), getattr(signal, stop))
            time.sleep(9)

    monkeypatch.setattr("distiltune.python.models.onnx.export_onnx", work)
    monkeypatch.setattr("distiltune.export.onnx.export_onnx", work)
    assert run("export", "starter-qa", "--output", tmp_path / "out") == {"SIGTERM": 143, "SIGINT": 130}[stop]
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_interruption_that_a_library_made_an_error_of_is_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise ImportError("the library cannot be loaded") from None

    monkeypatch.setattr("distiltune.studies.compare.compare_runs", fail)
    assert run("compare", "one", "other") == 130
