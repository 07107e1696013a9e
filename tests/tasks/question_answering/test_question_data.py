from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.data.parts import draw, set_aside
from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.errors import DataError
from distiltune.system import code_fingerprint
from distiltune.tasks.question_answering import question_data as data
from distiltune.tasks.question_answering.examples import Answer, Example
from distiltune.tasks.question_answering.features import QuestionFeatures, WindowSettings
from distiltune.tasks.question_answering.question_data import featurise
from distiltune.tasks.question_answering.read import QuestionSet
from tests.helpers import example, people, word_pieces

PEOPLE = people()
WINDOWS = WindowSettings(24, 3, 6)
REJECTED = RowFinding("rejected", "answer_not_found", "a.json#q", "q", "its answer is not there")


def part_by_context(examples: QuestionSet, share: float, seed: int) -> tuple[QuestionSet, QuestionSet]:
    return set_aside(examples, share, seed, lambda each: each.context, "text")


def set_of(examples: Sequence[Example]) -> QuestionSet:
    findings = RowFindings(n_rows=len(examples) + 1, items=[REJECTED])
    return QuestionSet(tuple(examples), findings, "f" * 64, ("a.json",))


ALL = set_of(PEOPLE.examples)


def test_the_draw_is_the_one_that_the_recipe_states() -> None:
    shuffled = list(PEOPLE.examples)
    random.Random(5).shuffle(shuffled)
    drawn = draw(ALL, 7, seed=5)
    assert list(drawn.examples) == shuffled[:7]
    assert draw(ALL, 7, seed=6).examples != drawn.examples
    assert drawn.findings == ALL.findings


@pytest.mark.parametrize("n", [0, 32, 100])
def test_all_are_all_in_file_order(n: int) -> None:
    assert draw(ALL, n, seed=5) is ALL


def test_a_drawn_set_has_a_fingerprint_of_its_own() -> None:
    sets = [ALL, draw(ALL, 7, 5), draw(ALL, 8, 5), draw(ALL, 7, 6), *part_by_context(ALL, 0.2, 0)]
    assert len({each.fingerprint for each in sets}) == len(sets)


@given(st.lists(st.integers(0, 6), min_size=2, max_size=40), st.floats(0.01, 0.5), st.integers(0, 5))
def test_no_context_is_on_both_sides(contexts: list[int], share: float, seed: int) -> None:
    examples = [example(f"ada {context}", "ada", name=str(i)) for i, context in enumerate(contexts)]
    if len(set(contexts)) < 2:
        with pytest.raises(DataError, match="one text"):
            part_by_context(set_of(examples), share, seed)
        return
    rest, aside = part_by_context(set_of(examples), share, seed)
    assert rest.examples
    assert aside.examples
    assert not {each.context for each in rest.examples} & {each.context for each in aside.examples}
    # Nothing is lost, and each side keeps the order of the file.
    assert sorted((*rest.examples, *aside.examples), key=lambda each: int(each.id)) == examples
    for side in (rest, aside):
        numbers = [int(each.id) for each in side.examples]
        assert numbers == sorted(numbers)
    # No more is set aside than asked for, except to fill up with the last context.
    largest = max(contexts.count(context) for context in contexts)
    assert len(aside.examples) < share * len(examples) + largest
    assert part_by_context(set_of(examples), share, seed) == (rest, aside)


def test_something_is_left_to_train_on_however_uneven_the_contexts_are() -> None:
    examples = [example(f"ada {min(i, 1)}", "ada", name=str(i)) for i in range(10)]
    for seed in range(8):
        rest, aside = part_by_context(set_of(examples), 0.5, seed)
        assert {len(rest.examples), len(aside.examples)} == {1, 9}


def test_about_the_share_is_set_aside_and_the_seed_says_what() -> None:
    examples = [example(f"ada {i // 2}", "ada", name=str(i)) for i in range(200)]
    aside = [part_by_context(set_of(examples), 0.1, seed)[1] for seed in (0, 1)]
    assert [len(each.examples) for each in aside] == [20, 20]
    assert aside[0].examples != aside[1].examples


def test_what_was_rejected_is_told_once() -> None:
    rest, aside = part_by_context(ALL, 0.1, 0)
    assert (rest.findings.items, aside.findings.items) == ([REJECTED], [])


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path))
    return tmp_path


def arrays_of(features: QuestionFeatures) -> dict[str, list[int]]:
    return {name: array.tolist() for name, array in data._as_arrays(features).items()}


def test_features_come_from_the_cache_the_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = featurise(ALL, PEOPLE.tokenizer, WINDOWS)

    def must_not_be_called(*arguments: object) -> None:
        raise AssertionError("features were made again")

    monkeypatch.setattr(data, "make_features", must_not_be_called)
    again = featurise(ALL, PEOPLE.tokenizer, WINDOWS)
    assert arrays_of(again.question_features) == arrays_of(made.question_features)
    assert isinstance(again.features.token_ids, np.memmap)
    assert (again.examples, again.findings, again.notes) == (made.examples, made.findings, ())


def changed_sets() -> dict[str, QuestionSet]:
    first = PEOPLE.examples[0]
    answer = first.answers[0]
    changes = {
        "question": replace(first, question="what eats bob"),
        "context": replace(first, context=first.context + " ."),
        "answer": replace(first, answers=(Answer(answer.text[:-1], answer.start),)),
        "place": replace(first, answers=(Answer(answer.text, answer.start + 1),)),
        "no answer": replace(first, answers=()),
    }
    sets = {name: set_of([each, *PEOPLE.examples[1:]]) for name, each in changes.items()}
    return {**sets, "order": set_of(PEOPLE.examples[::-1]), "files": replace(ALL, fingerprint="0" * 64)}


@pytest.mark.parametrize("examples", changed_sets().values(), ids=changed_sets().keys())
def test_whatever_decides_features_decides_the_key(tmp_path: Path, examples: QuestionSet) -> None:
    featurise(ALL, PEOPLE.tokenizer, WINDOWS)
    featurise(examples, PEOPLE.tokenizer, WINDOWS)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("windows", [WindowSettings(25, 3, 6), WindowSettings(24, 4, 6), WindowSettings(24, 3, 7)])
def test_windows_decide_the_key(tmp_path: Path, windows: WindowSettings) -> None:
    for each in (WINDOWS, windows):
        featurise(ALL, PEOPLE.tokenizer, each)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_tokenizer_decides_the_key(tmp_path: Path) -> None:
    for tokenizer in (PEOPLE.tokenizer, word_pieces(["ada"])):
        featurise(ALL, tokenizer, WINDOWS)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_code_decides_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change in the code that makes features is never silently stale, and no number has to be raised for it."""
    featurise(ALL, PEOPLE.tokenizer, WINDOWS)
    original = code_fingerprint._read

    def changed(name: str) -> code_fingerprint._Source | None:
        source = original(name)
        is_it = source is not None and name == "distiltune.tasks.question_answering.features"
        return replace(source, digest="changed") if is_it and source is not None else source

    monkeypatch.setattr(code_fingerprint, "_read", changed)
    featurise(ALL, PEOPLE.tokenizer, WINDOWS)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_cache_out_of_order_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "file"))
    made = featurise(ALL, PEOPLE.tokenizer, WINDOWS)
    assert made.n_examples == 32
    assert "cannot be cached" in made.notes[0]


def test_long_questions_are_findings_and_the_set_read_stays_as_it_is() -> None:
    long = example("ada eats plums .", "plums", "what " * 7, "long")
    examples = set_of([PEOPLE.examples[0], long])
    for _ in range(2):  # made, then cached
        findings = featurise(examples, PEOPLE.tokenizer, WINDOWS).findings
        assert findings.counts() == {"rejected/answer_not_found": 1, "noted/question_truncated": 1}
        assert findings.items[1].row_id == "long"
        assert "6 tokens" in findings.items[1].message
        assert findings.n_rows == 3
    assert examples.findings.items == [REJECTED]


def test_what_the_engine_asks_for() -> None:
    made = featurise(ALL, PEOPLE.tokenizer, WINDOWS)
    assert made.features is made.question_features.features
    assert len(made.features) >= made.n_examples == 32
    assert (made.sources, made.fingerprint) == (("a.json",), "f" * 64)
