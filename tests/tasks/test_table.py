"""The table of tasks, and what another package may not do to it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch

from distiltune.errors import DistiltuneError, InstallationError
from distiltune.export.onnx import _example_of
from distiltune.model.build import Dropouts
from distiltune.recipe.recipe import Recipe
from distiltune.settings.engine import EngineSettings
from distiltune.tasks.entry import TaskEntry
from distiltune.tasks.question_answering.settings import QuestionAnsweringSettings
from distiltune.tasks.table import BUILT_IN, ENTRY_POINTS, TASKS, Offered, by_name, outside_tasks
from distiltune.tasks.text_classification import entry as text_classification


class OwnSettings(EngineSettings):
    own: int = 0


class EngineAgain(EngineSettings):
    epochs: int = 9


class NullAgain(EngineSettings):
    null_threshold: float | None = None


class OfAnother(QuestionAnsweringSettings):
    own: int = 0


OWN: TaskEntry[Any] = TaskEntry(
    name="own",
    settings=OwnSettings,
    spec=text_classification.TASK.spec,
    architecture="DistilBertForOwn",
    monitors={"validation_loss": "lower", "own_score": "higher"},
    columns=(("own",),),
    renamed=lambda columns: {},
    after_training="",
    examples_predicted="",
    formats={".own": lambda file, form: iter(())},
)


def table(*others: TaskEntry[Any]) -> dict[str, TaskEntry[Any]]:
    return by_name([*(Offered(entry, "distiltune") for entry in BUILT_IN), *(Offered(each, "odd") for each in others)])


def test_a_task_of_another_package_is_one_of_them() -> None:
    assert list(table(OWN)) == [*(entry.name for entry in BUILT_IN), "own"]
    assert set(TASKS) >= {entry.name for entry in BUILT_IN}
    assert OWN.own_settings == ("own",)


CLASHES = {
    "two tasks called 'question-answering'": replace(OWN, name="question-answering"),
    "two tasks called 'auto'": replace(OWN, name="auto"),
    "epochs is a setting of every task and of own": replace(OWN, settings=EngineAgain),
    "null_threshold is a setting of question-answering and of own": replace(OWN, settings=NullAgain),
    "max_answer_tokens is a setting of question-answering and of own": replace(OWN, settings=OfAnother),
    "f1 is better lower in own and better otherwise in question-answering": replace(OWN, monitors={"f1": "lower"}),
    "BertForQuestionAnswering is the class of the models of question-answering": replace(
        OWN, architecture="BertForQuestionAnswering"
    ),
}


@pytest.mark.parametrize("problem", CLASHES)
def test_what_clashes_is_refused_and_its_package_named(problem: str) -> None:
    """One of the two would win silently."""
    with pytest.raises(InstallationError, match=problem) as caught:
        table(CLASHES[problem])
    assert "The package odd brings" in caught.value.what
    assert caught.value.fix.endswith("pip uninstall odd")


def test_two_other_packages_cannot_clash_either() -> None:
    second = replace(OWN, name="second", architecture="DistilBertForSecond", formats={})
    with pytest.raises(InstallationError, match="own is a setting of own and of second"):
        table(OWN, second)
    with pytest.raises(InstallationError, match=r"files that end in \.own are read by own already"):
        table(OWN, replace(second, settings=EngineSettings, formats=OWN.formats))
    table(OWN, replace(second, settings=EngineSettings))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a module that can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "odd_module.py"
    sys.modules.pop("odd_module", None)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import no_such_module_anywhere", "odd_module:TASK cannot be imported: ModuleNotFoundError: No module named"),
        ("TASK = 1 / 0", "odd_module:TASK cannot be imported: ZeroDivisionError"),
        ("def TASK(:", "odd_module:TASK cannot be imported: SyntaxError"),
        ("", "odd_module:TASK cannot be imported: AttributeError"),
        ("TASK = 'odd'", "odd_module:TASK is no TaskEntry"),
        (
            "from dataclasses import replace\nfrom distiltune.tasks.encoder.entry import TASK\n"
            "TASK = replace(TASK, settings=dict)",
            "the settings of odd_module:TASK do not derive from EngineSettings",
        ),
    ],
)
def test_what_cannot_be_imported_or_is_no_task_is_refused(module: Path, code: str, problem: str) -> None:
    module.write_text(code)
    with pytest.raises(InstallationError, match=problem) as caught:
        list(outside_tasks([EntryPoint("odd", "odd_module:TASK", ENTRY_POINTS)]))
    assert "odd_module" in caught.value.fix


def test_a_task_whose_code_is_broken_is_told_by_its_package_and_a_bug_of_ours_as_what_it_is(module: Path) -> None:
    module.write_text("def spec():\n    import no_such_module_anywhere\n")
    from odd_module import spec  # type: ignore[import-not-found]

    broken = replace(OWN, spec=spec, checker=spec)
    for ask in (lambda: broken(OwnSettings()), lambda: broken.needed(broken.checker)):
        with pytest.raises(InstallationError, match="task own of the package odd_module cannot be imported: ModuleNot"):
            ask()

    def ours() -> Any:
        raise ZeroDivisionError

    ours.__module__ = "distiltune.tasks.own"
    with pytest.raises(ZeroDivisionError):
        replace(OWN, spec=ours)(OwnSettings())


def test_a_task_knows_the_folder_of_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An export looks there for an example; a task in a package's own `__init__` made it stop with a ValueError."""
    assert TASKS["text-classification"].package == "distiltune.tasks.text_classification"
    assert "onnxruntime" in _example_of(TASKS["text-classification"])
    monkeypatch.syspath_prepend(str(tmp_path))
    for file, package in (("odd_package/__init__.py", "odd_package"), ("odd_alone.py", "")):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("def spec(): ...")
        name = file.partition("/")[0].removesuffix(".py")
        entry = replace(OWN, spec=import_module(name).spec)
        assert (entry.package, _example_of(entry)) == (package, "")
        del sys.modules[name]


def is_frozen(value: object) -> bool:
    kind: Any = type(value)
    return bool(kind.__dataclass_params__.frozen)


@pytest.mark.parametrize("name", [name for name, entry in TASKS.items() if entry.reads_rows])
def test_what_a_task_is_does_not_change_and_each_part_is_had_from_the_one_before(name: str, tmp_path: Path) -> None:
    """Before, a task filled itself in as its methods were called, in an order that one had to know."""
    train = "starter"
    if name == "multiple-choice":  # of which the starter has no data
        lines = [f'{{"question": "what rings {i}", "choices": ["the bell", "noon"], "label": 0}}\n' for i in range(20)]
        train = str(tmp_path / "choices.jsonl")
        Path(train).write_text("".join(lines))
    spec = TASKS[name](Recipe(task=name, max_length=64, stride=8, train=(train,)))
    training = spec.open_training(torch.device("cpu"))
    lesson = training.lesson(training.load_model("starter", Dropouts()))
    assert lesson.features is lesson.training.features
    assert lesson.validation is not None
    assert len(lesson.validation.features) > 0
    trained = spec.open_model({"id2label": {"0": "O", "1": "B-x", "2": "I-x"}})
    assert all(map(is_frozen, (spec, training, lesson, lesson.task, trained)))
    assert type(trained) is type(lesson.task)


def test_an_encoders_lesson_has_its_teacher_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "texts.txt").write_text("the old bell rings at noon\nthe ferry leaves at nine\n")
    recipe = Recipe(task="encoder", teacher="starter", train=(str(tmp_path / "texts.txt"),), validation_share=0.5)
    spec = TASKS["encoder"](recipe)
    training = spec.open_training(torch.device("cpu"))
    loaded = training.load_model("starter", Dropouts())
    lesson = training.lesson(loaded)
    assert lesson.features.targets is not None
    assert all(map(is_frozen, (spec, training, lesson, lesson.task)))
    assert lesson.task.load_data(recipe.train, loaded.tokenizer).n_examples == 2


def test_an_encoder_cannot_be_opened_as_a_trained_model() -> None:
    """It has no head: before, `evaluate --task encoder` ended in an assertion."""
    spec = TASKS["encoder"](Recipe(task="encoder", teacher="starter"))
    with pytest.raises(DistiltuneError, match="has no head") as caught:
        spec.open_model({})
    assert "fine-tune it" in caught.value.fix
