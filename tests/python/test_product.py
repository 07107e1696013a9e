"""The whole product in Python: every command as a function that takes data in memory and gives a record."""

from __future__ import annotations

import gc
import inspect
import json
import tomllib
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tools.docs import python_reference, python_settings

import distiltune
from distiltune import cli
from distiltune.errors import DistiltuneError
from distiltune.recipe.recipe import Recipe
from distiltune.runs.coaching import resume_command
from distiltune.runs.directory import RunDirectory
from distiltune.runs.fine_tune import FineTuned
from distiltune.tasks.text_classification.examples import TextExample
from distiltune.training.loop import EpochReport
from distiltune.training.reporter import Quiet
from tests.data.test_held import Frame
from tests.helpers import TINY, people, word_pieces, write_tiny_model

WORDS = ("rose", "blood", "grass", "leaf", "see", "the", "a", "one", "old", "new")
MOODS = [
    {"tweet": f"{before} {word} {after}", "mood": "warm" if word in ("rose", "blood") else "cool"}
    for word in WORDS[:4]
    for before in ("see", "the", "a")
    for after in ("one", "old", "new")
]
COLUMNS = {"text": "tweet", "label": "mood"}
FAST: dict[str, Any] = {
    "max_length": 16,
    "stride": 4,
    "epochs": 3,
    "learning_rate": 5e-3,
    "batch_size": 8,
    "threads": 1,
    "device": "cpu",
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "head_dropout": 0.0,
    "validation_share": 0.25,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    tokenizer = word_pieces(WORDS)
    config = replace(TINY, vocab_size=tokenizer.get_vocab_size())
    return str(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny", tokenizer, config))


@pytest.fixture(scope="module")
def run(model: str, tmp_path_factory: pytest.TempPathFactory) -> FineTuned:
    """Of a table in memory, with columns and weights as dictionaries."""
    return distiltune.fine_tune(
        train=Frame(pa.Table.from_pylist(MOODS)),
        model=model,
        columns=COLUMNS,
        class_weights={"warm": 2.0},
        output=tmp_path_factory.mktemp("runs") / "moods",
        **FAST,
    )


def read_recipe(run: FineTuned) -> dict[str, Any]:
    return tomllib.loads((run.directory / "recipe.toml").read_text(encoding="utf-8"))


def test_a_table_trains_as_the_file_of_its_rows_does(run: FineTuned, model: str, tmp_path: Path) -> None:
    (tmp_path / "moods.jsonl").write_text("".join(json.dumps(row) + "\n" for row in MOODS), encoding="utf-8")
    same = distiltune.fine_tune(
        train=tmp_path / "moods.jsonl",
        model=model,
        columns="text=tweet,label=mood",
        class_weights="warm=2",
        output=tmp_path / "run",
        **FAST,
    )
    assert [each.train for each in same.epochs] == [each.train for each in run.epochs]
    assert same.best.validation == run.best.validation


def test_the_run_says_what_it_was_trained_on(run: FineTuned) -> None:
    written = read_recipe(run)
    (name,) = written["recipe"]["train"]
    assert name.startswith("memory:Frame-")
    assert written["data"]["train"]["sources"] == [name]
    assert written["recipe"]["columns"] == "text=tweet,label=mood"
    assert written["recipe"]["class_weights"] == '{"warm": 2.0}'
    assert name in (run.directory / "report.html").read_text(encoding="utf-8")
    assert Recipe.from_toml(run.directory / "recipe.toml").train == (name,)


def test_a_table_is_trained_on_without_an_object_for_each_row(model: str, tmp_path: Path) -> None:
    """While it is trained on, which takes the time, its rows are in one piece of memory beside the table."""
    held: list[tuple[int, int]] = []

    class Watch(Quiet):
        def epoch(self, report: EpochReport, is_best: bool) -> None:
            alive = sum(type(each) is TextExample for each in gc.get_objects())
            held.append((alive, tracemalloc.get_traced_memory()[0]))

    n_rows = 4_000
    table = Frame(pa.Table.from_pylist(MOODS * (n_rows // len(MOODS))))
    gc.collect()
    before = sum(type(each) is TextExample for each in gc.get_objects())  # of other tests
    tracemalloc.start()
    try:
        distiltune.fine_tune(
            train=table, model=model, columns=COLUMNS, output=tmp_path / "run", reporter=Watch(),
            **{**FAST, "epochs": 1, "batch_size": 512},
        )  # fmt: skip
    finally:
        tracemalloc.stop()
    ((alive, n_bytes),) = held
    assert alive - before < 10
    assert n_bytes < 700 * n_rows  # half of it is what does not grow with the rows; as objects they are 900 each


def test_how_it_goes_on_names_what_is_handed_over_again(run: FineTuned, tmp_path: Path) -> None:
    directory = RunDirectory(run.directory)
    assert resume_command(run.recipe, directory) == f"distiltune.resume({str(run.directory)!r}, train=TRAIN)"
    from_a_file = run.recipe.with_changes(train=(str(tmp_path / "a.csv"),))
    assert resume_command(from_a_file, directory) == f"distiltune train --resume {run.directory}"


def test_it_is_resumed_with_the_same_rows_only(
    run: FineTuned, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    again = distiltune.resume(run.directory, train=MOODS)
    assert again.best.validation == run.best.validation
    with pytest.raises(DistiltuneError, match="in the memory of the process") as caught:
        distiltune.resume(run.directory)
    assert "distiltune.resume(RUN, train=" in caught.value.fix
    with pytest.raises(DistiltuneError, match="another data") as caught:
        distiltune.resume(run.directory, train=MOODS[1:])
    assert "the same rows" in caught.value.fix
    with pytest.raises(DistiltuneError, match="in the memory"):
        distiltune.fine_tune(run.directory / "recipe.toml", output=run.directory.parent / "other")
    monkeypatch.setattr("sys.argv", ["distiltune", "train", "--resume", str(run.directory)])
    with pytest.raises(SystemExit):
        cli.main()
    assert "distiltune.resume(RUN, train=" in " ".join(capsys.readouterr().err.split())


def test_the_coach_names_the_function_where_no_command_would_do(run: FineTuned) -> None:
    from distiltune.runs.coaching import _check_command, _other_command
    from distiltune.runs.directory import RunDirectory

    directory = RunDirectory(run.directory)
    assert _check_command(run.recipe, directory) == "distiltune.check(TRAIN)"
    assert _other_command(run.recipe, "find-lr", "find_lr", directory).startswith("distiltune.find_lr('")
    assert "train=TRAIN" in _other_command(run.recipe, "train", "fine_tune", directory, "--output", "x")
    of_files = run.recipe.with_changes(train="a.json")
    assert _check_command(of_files, directory).startswith("distiltune check a.json")


def test_evaluate_and_predict_take_the_same(run: FineTuned, tmp_path: Path) -> None:
    texts, labels = [row["tweet"] for row in MOODS], [row["mood"] for row in MOODS]
    evaluated = distiltune.evaluate(run.model, (texts, labels))
    assert evaluated.metrics == distiltune.evaluate(run.model, MOODS, columns=COLUMNS).metrics
    assert evaluated.n_examples == len(MOODS)
    predicted = distiltune.predict(run.model, (texts, None), tmp_path / "labels")
    lines = [json.loads(line) for line in Path(predicted.written[0]).read_text(encoding="utf-8").splitlines()]
    assert [line["label"] for line in lines] == distiltune.TextClassifier(run.model, threads=1).predict(texts)


def test_questions_in_memory(tmp_path: Path) -> None:
    known = people()
    config = replace(TINY, vocab_size=known.tokenizer.get_vocab_size(), max_position_embeddings=64)
    tiny = write_tiny_model(tmp_path / "tiny", known.tokenizer, config)
    rows = [
        {"question": each.question, "context": each.context, "answer_text": each.answers[0].text}
        for each in known.examples[:16]
    ]
    nested = [{"title": "", "paragraphs": [{"context": each["context"], "qas": []} for each in rows]}]
    settings = {**FAST, "max_length": 48, "stride": 8, "epochs": 1}
    run = distiltune.fine_tune(train=pa.Table.from_pylist(rows), model=tiny, output=tmp_path / "run", **settings)
    assert run.recipe.task == "question-answering"
    assert distiltune.evaluate(run.model, rows).n_examples == 16
    with pytest.raises(DistiltuneError, match="There is no row"):
        distiltune.evaluate(run.model, nested)


def test_words_and_tags_in_memory(model: str, tmp_path: Path) -> None:
    words = [
        [first, second, third]
        for first in ("the", "a", "see", "one")
        for second in ("old", "new")
        for third in ("rose", "leaf")
    ]
    tags = [["O", "O", "B-red"], ["O", "O", "B-green"]] * 8
    run = distiltune.fine_tune(train=(words, tags), model=model, output=tmp_path / "run", **{**FAST, "epochs": 1})
    assert run.recipe.task == "token-classification"
    assert distiltune.EntityMarker(run.model, threads=1).labels == ("green", "red")
    numbered = [{"tokens": row, "ner_tags": [0, 0, 1 + i % 2]} for i, row in enumerate(words)]
    run = distiltune.fine_tune(
        train=numbered, tag_names=["O", "B-red", "B-green"], model=model, output=tmp_path / "numbers",
        **{**FAST, "epochs": 1},
    )  # fmt: skip
    assert distiltune.EntityMarker(run.model, threads=1).labels == ("green", "red")


def test_the_classifier_speaks_scikit_learn(run: FineTuned) -> None:
    classifier = distiltune.TextClassifier(run.model, threads=1)
    texts = ["see rose one", "the leaf old"]
    assert classifier.labels == tuple(classifier.classes_) == ("cool", "warm")
    shares = classifier.predict_proba(texts)
    assert shares.shape == (2, 2)
    assert np.allclose(shares.sum(axis=1), 1.0)
    assert classifier.predict(texts) == [str(classifier.classes_[i]) for i in shares.argmax(axis=1)]
    assert classifier.predict(pa.array(texts)) == classifier.predict(np.array(texts)) == classifier.predict(texts)


def test_check(model: str, tmp_path: Path) -> None:
    checked = distiltune.check([*MOODS, MOODS[0]], against=MOODS[:3], columns=COLUMNS, model=model, threads=1)
    assert checked.values["n_rows"] == len(MOODS) + 1
    assert checked.values["data"][0].startswith("memory:list-")
    assert checked.has_errors  # the two sets share texts
    with pytest.raises(DistiltuneError, match="cannot be mended by itself") as caught:
        distiltune.check(MOODS, columns=COLUMNS, model=model, fix=tmp_path / "clean.jsonl")
    assert caught.value.fix.endswith("distiltune.check(DATA)")


def test_find_lr_and_compare(run: FineTuned, model: str, tmp_path: Path) -> None:
    found = distiltune.find_lr(train=MOODS, columns=COLUMNS, model=model, output=tmp_path / "lr", steps=30, **FAST)
    assert found.reason
    assert (tmp_path / "lr" / "learning_rate.json").is_file()
    other = distiltune.fine_tune(
        train=MOODS, columns=COLUMNS, model=model, output=tmp_path / "other", **{**FAST, "seed": 1}
    )
    comparison = distiltune.compare([run.directory, other.directory], picture=tmp_path / "curves.svg")
    assert "seed" in comparison.differing
    assert (tmp_path / "curves.svg").is_file()


def test_tune(model: str, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    found = distiltune.tune(
        train=MOODS, columns=COLUMNS, model=model, output=tmp_path / "search", search="batch_size=4,8", trials=2,
        **{name: value for name, value in FAST.items() if name != "batch_size"},
    )  # fmt: skip
    assert len(found.trials) == 2
    assert found.best is not None
    assert (tmp_path / "search" / "best.toml").is_file()


def test_distill_of_a_task_and_of_an_encoder(run: FineTuned, model: str, tmp_path: Path) -> None:
    settings = {**FAST, "epochs": 1}
    student = distiltune.distill(
        train=MOODS, columns=COLUMNS, teacher=run.model, model=model, output=tmp_path / "student", **settings
    )
    assert student.recipe.teacher == str(run.model)
    texts = [row["tweet"] for row in MOODS]
    plain = {name: value for name, value in settings.items() if name != "head_dropout"}
    encoder = distiltune.distill(
        train=(texts, None), encoder=True, teacher=run.model, output=tmp_path / "encoder", **plain
    )
    assert encoder.recipe.task == "encoder"
    assert (encoder.model / "model.safetensors").is_file()


def test_convert_and_export(run: FineTuned, tmp_path: Path) -> None:
    converted = distiltune.convert(run.model, tmp_path / "modern")
    assert converted.has_head
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    exported = distiltune.export_onnx(
        run.model, tmp_path / "onnx", data=([row["tweet"] for row in MOODS], [row["mood"] for row in MOODS]), threads=1
    )
    assert exported.directory == tmp_path / "onnx"


def test_push_and_serve_say_what_is_missing(run: FineTuned, tmp_path: Path) -> None:
    with pytest.raises(DistiltuneError):
        distiltune.push(tmp_path / "none", "a/b")
    with pytest.raises(DistiltuneError, match="serve takes no epochs"):
        distiltune.serve(run.model, epochs=3)  # type: ignore[call-arg]
    with pytest.raises(DistiltuneError):
        distiltune.serve(tmp_path / "none", port=0)


FUNCTIONS: list[Callable[..., Any]] = [getattr(distiltune, name) for name in python_reference.FUNCTIONS_IN_ORDER]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda each: str(each.__name__))
def test_every_function_says_what_it_takes_and_gives(function: Callable[..., Any]) -> None:
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    if function is distiltune.pipeline:
        return
    documented = inspect.getdoc(function) or ""
    for name, parameter in signature.parameters.items():
        shown = f"**{name}" if parameter.kind is parameter.VAR_KEYWORD else name
        assert f"\n    {shown}: " in documented, name
    assert "Raises:" in documented
    assert ("Returns:" in documented) == (signature.return_annotation != "None")


def test_the_reference_is_what_the_code_says_and_has_every_public_name() -> None:
    page = python_reference.page()
    assert python_reference.PAGE.read_text(encoding="utf-8") == page, "run: python -m tools.docs.python_reference"
    for name in set(distiltune.__all__) - {"__version__"}:
        assert f"\n### `{name}`\n" in page
    for function in FUNCTIONS:  # and every record that one gives
        given = str(inspect.signature(function).return_annotation)
        assert given in ("None", "QuestionAnsweringPipeline") or f"\n### `{given}`\n" in page, given


def test_the_settings_that_an_editor_completes_are_the_recipes() -> None:
    assert python_settings.FILE.read_text(encoding="utf-8") == python_settings.source(), (
        "run: python -m tools.docs.python_settings"
    )
    assert "    learning_rate: float\n" in python_settings.source()


WRONG: list[tuple[str, Callable[[str, Path], Any], str]] = [
    ("a generator", lambda m, p: distiltune.fine_tune(train=(r for r in MOODS), output=p), "train is .*generator"),  # type: ignore[arg-type]
    ("a number", lambda m, p: distiltune.fine_tune(train=7, output=p), r"train is 7 \(of the type int\)"),  # type: ignore[arg-type]
    ("none", lambda m, p: distiltune.fine_tune(train=None, output=p), r"train is None \(of the type NoneType\)"),  # type: ignore[arg-type]
    ("columns in a dictionary", lambda m, p: distiltune.fine_tune(train={"text": [""]}, output=p), "of the type dict"),  # type: ignore[arg-type]
    ("lists in a list", lambda m, p: distiltune.fine_tune(train=[["a"], ["b"]], output=p), "of the type list"),
    (
        "one label too few",
        lambda m, p: distiltune.fine_tune(train=(["a", "b"], ["c"]), output=p),
        "2 texts and 1 label",
    ),
    ("nothing", lambda m, p: distiltune.fine_tune(train=[], output=p), "train names no data"),
    ("a table for evaluate that is a set", lambda m, p: distiltune.evaluate(m, {"a"}), "data is .*of the type set"),  # type: ignore[arg-type]
    ("other columns", lambda m, p: distiltune.fine_tune(train=MOODS, output=p, model=m), "None of the 36 rows"),
    ("a column that is none", lambda m, p: distiltune.evaluate(m, MOODS, columns={"text": 3}), "columns is .*dict"),  # type: ignore[dict-item]
    ("a table in a recipe", lambda m, p: Recipe.build({"train": Frame()}), "train is .*of the type Frame"),
    ("a generator of texts", lambda m, p: distiltune.TextClassifier(m)(t for t in "ab"), "texts is .*generator"),  # type: ignore[arg-type]
    ("a table of texts", lambda m, p: distiltune.TextClassifier(m).predict(Frame()), "texts is .*Frame"),  # type: ignore[arg-type]
    ("one text", lambda m, p: distiltune.TextClassifier(m).predict_proba("rose"), "One text was given"),
    ("a text that is a number", lambda m, p: distiltune.TextClassifier(m).predict([3]), "The text is 3, not text"),
    ("a table to read", lambda m, p: distiltune.Answerer("starter-qa")("who?", Frame()), "documents is .*Frame"),  # type: ignore[arg-type]
    ("one question", lambda m, p: distiltune.Answerer("starter-qa").ask("who?", "a"), "questions is 'who"),
    ("a number to read", lambda m, p: distiltune.Answerer("starter-qa")("who?", [3]), "This is 3 .*no text"),
    ("no teacher", lambda m, p: distiltune.distill(train=MOODS, output=p), "There is no teacher"),
    ("an idle setting", lambda m, p: distiltune.check(MOODS, learning_rate=1), "check takes no learning_rate"),  # type: ignore[call-arg]
    ("no such setting", lambda m, p: distiltune.fine_tune(lr=1e-3, output=p), "no setting called 'lr'"),  # type: ignore[call-arg]
    ("one run", lambda m, p: distiltune.compare([p]), "There is only one run"),
    ("a search of nothing", lambda m, p: distiltune.tune(output=p, search=["lr"]), "'lr' is nothing to search"),
]


@pytest.mark.parametrize(("call", "message"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
def test_wrong_calls_from_python(
    call: Callable[[str, Path], Any], message: str, run: FineTuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None asks the hub, none writes anything, and no message has a flag in it."""

    def fetch(*arguments: object) -> None:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("distiltune.data.sources.fetch_data_set", fetch)
    with pytest.raises(DistiltuneError, match=message) as caught:
        call(str(run.model), tmp_path / "out")
    assert "--" not in str(caught.value).replace("--help", "")
    assert caught.value.fix
    assert not (tmp_path / "out").exists()
