"""Wrong calls of every function and class, each with its whole message: what, where, and what to do."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Never

import numpy as np
import pytest

import distiltune
from distiltune.errors import CallError, DistiltuneError
from distiltune.python.calls import check_call
from distiltune.runs.fine_tune import FineTuned
from distiltune.training.reporter import Quiet, Reporter
from tests.python.test_product import FAST, WORDS
from tests.python.wrong_calls import CALLS

TEXT = "The lease is signed by the treasurer."
ROWS = [
    {"text": f"{before} {word}", "label": "warm" if word in ("rose", "blood") else "cool"}
    for word in WORDS[:4]
    for before in ("see", "the", "a")
]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The names that calls have: those of distiltune, data, a trained classifier and what answers."""
    from dataclasses import replace

    from tests.helpers import TINY, word_pieces, write_tiny_model

    place = tmp_path_factory.mktemp("calls")
    tokenizer = word_pieces(WORDS)
    model = write_tiny_model(place / "tiny", tokenizer, replace(TINY, vocab_size=tokenizer.get_vocab_size()))
    run: FineTuned = distiltune.fine_tune(train=ROWS, model=str(model), output=place / "run", **{**FAST, "epochs": 1})
    return {
        **{name: getattr(distiltune, name) for name in distiltune.__all__},
        "ROWS": ROWS,
        "TEXT": TEXT,
        "MODEL": str(run.model),
        "answerer": distiltune.Answerer("starter-qa", threads=1),
        "classifier": distiltune.TextClassifier(run.model, threads=1),
    }


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which any word to the hub is an error."""

    def asked(*arguments: object, **more: object) -> Never:
        pytest.fail("the hub was asked")

    for module in ("model.source", "data.hub"):
        monkeypatch.setattr(f"distiltune.{module}.within_deadline", asked)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(call: str, known: Mapping[str, Any]) -> str:
    """What a call raises."""
    with pytest.raises(DistiltuneError) as caught:
        eval(call, dict(known))
    error = caught.value
    assert error.what, call
    assert error.where, call
    assert error.fix, call
    return str(error)


@pytest.mark.parametrize("call", list(CALLS))
def test_a_wrong_call_is_told_in_full(call: str, known: dict[str, Any], here: Path) -> None:
    said = told(call, known)
    assert "--" not in said, "a flag of the terminal"
    starter = str(Path(distiltune.__file__).parent / "starter")
    said = said.replace(str(here), "HERE").replace(known["MODEL"], "MODEL").replace(starter, "STARTER")
    assert said == CALLS[call]
    assert list(here.iterdir()) == [], "nothing is left behind"


def test_every_function_and_class_has_one() -> None:
    called = " ".join(CALLS)
    names = set(distiltune.__all__) - {"DistiltuneError", "EpochReport", "StepReport", "Watcher", "__version__"}
    assert [name for name in sorted(names) if f"{name}(" not in called and f"{name}." not in called] == []
    assert len(CALLS) > 60


def test_a_call_error_is_what_python_raises_too() -> None:
    with pytest.raises(TypeError, match="needs output="):
        distiltune.fine_tune(train=ROWS)  # type: ignore[call-arg]
    assert issubclass(CallError, DistiltuneError)


def _takes(
    count: int,
    share: float = 0.5,
    names: Sequence[str] = (),
    by_name: Mapping[str, int] | None = None,
    place: str | Path = "a",
    reporter: Reporter | None = None,
) -> None:
    """Take one of each."""


@pytest.mark.parametrize(
    "right",
    [
        {"count": np.int64(3), "share": np.float32(0.5)},
        {"count": 1, "share": 1},
        {"count": 1, "names": np.array(["a"]), "by_name": {}},
        {"count": 1, "place": Path("b"), "reporter": Quiet()},
        {"count": 1, "by_name": None, "reporter": None},
    ],
)
def test_what_fits_is_taken(right: dict[str, Any]) -> None:
    check_call(_takes, (), right)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"count": True}, "count is True .*no whole number"),
        ({"count": 1.5}, "count is 1.5 .*no whole number"),
        ({"count": 1, "share": "half"}, "share is 'half' .*no number"),
        ({"count": 1, "names": (name for name in "ab")}, "names is .*no list"),
        ({"count": 1, "by_name": ["a"]}, "by_name is .*no dictionary"),
        ({"count": 1, "place": 3}, "place is 3 .*neither a string nor a path"),
        ({"count": 1, "reporter": "loud"}, "reporter is 'loud' .*no Reporter"),
        ({"count": 1, "nmes": ()}, "takes no argument 'nmes'"),
        ({}, "needs count="),
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(CallError, match=message):
        check_call(_takes, (), wrong)


def test_classes_are_the_tasks_own_with_pythons_words() -> None:
    from distiltune.tasks.question_answering import answerer

    assert issubclass(distiltune.Answerer, answerer.Answerer)
    assert distiltune.Answerer.__doc__ == answerer.Answerer.__doc__
    assert inspect.signature(distiltune.Answerer.ask) == inspect.signature(answerer.Answerer.ask)
    assert vars(inspect.getmodule(distiltune.Answerer))["Answerer"] is distiltune.Answerer
