from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distiltune.errors import DistiltuneError, RecipeError, TrainingError
from distiltune.recipe.choose_task import USUAL
from distiltune.runs.fine_tune import FineTuned, fine_tune
from distiltune.runs.record import RunRecord, read_run
from distiltune.studies.compare import RunComparison, compare_pair, compare_runs, means, paired_bootstrap
from distiltune.studies.comparison_report import check_picture, comparison_lines, draw_comparison
from distiltune.tasks.analysis import Counts, ScoredAnswer
from tests.coach.evidence import epoch
from tests.helpers import TINY, people, write_squad, write_tiny_model

PEOPLE = people()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[FineTuned, FineTuned]:
    """Two runs of different learning rates on the same data."""
    folder = tmp_path_factory.mktemp("runs")
    config = replace(TINY, vocab_size=PEOPLE.tokenizer.get_vocab_size(), max_position_embeddings=64)
    shared: dict[str, Any] = {
        "model": str(write_tiny_model(folder / "tiny", PEOPLE.tokenizer, config)),
        "train": str(write_squad(folder / "train.json", PEOPLE.examples)),
        "validation": str(write_squad(folder / "dev.json", PEOPLE.examples)),
        "max_length": 48,
        "stride": 8,
        "threads": 1,
    }
    slow = fine_tune(output=folder / "slow", epochs=1, learning_rate=1e-6, **shared)
    quick = fine_tune(output=folder / "quick", epochs=8, learning_rate=1e-2, **shared)
    return slow, quick


def test_what_differs_and_whether_it_is_real(runs: tuple[FineTuned, FineTuned], tmp_path: Path) -> None:
    comparison = compare_runs([run.directory for run in runs])
    assert set(comparison.differing) == {"epochs", "learning_rate"}
    assert comparison.differing["epochs"] == (1, 8)
    (pair,) = comparison.pairs
    by_metric = {score.metric: score for score in pair.scores}
    expected = runs[1].best.validation["f1"] - runs[0].best.validation["f1"]
    assert by_metric["F1"].difference == pytest.approx(expected, abs=0.01)
    assert by_metric["F1"].n == len(PEOPLE.examples)
    assert pair.changed
    changes = [abs(each.f1_change) for each in pair.changed]
    assert changes == sorted(changes, reverse=True)
    text = "\n".join(comparison_lines(comparison))
    assert "learning_rate: 1e-06 | 0.01" in text
    assert "slow" in text
    assert "points" in text
    assert json.loads(json.dumps(comparison.as_json()))["runs"][1]["name"] == "quick"
    for name in ("curves.svg", "curves.png", "CURVES.SVG"):
        draw_comparison(comparison, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5_000


def test_a_run_with_itself_differs_in_nothing(runs: tuple[FineTuned, FineTuned]) -> None:
    comparison = compare_runs([runs[0].directory, runs[0].directory])
    assert not comparison.differing
    assert not comparison.pairs[0].changed
    assert not any(score.is_real for score in comparison.pairs[0].scores)
    assert "the recipes are the same" in comparison_lines(comparison)
    assert f"{runs[0].directory.name} is compared with itself" in comparison.notes
    assert not any("itself" in note for note in compare_runs([run.directory for run in runs]).notes)


def test_the_same_data_under_another_path_is_the_same(runs: tuple[FineTuned, FineTuned], tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(runs[0].directory, moved, ignore=shutil.ignore_patterns("checkpoints", "model"))
    recipe = moved / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("train.json", "elsewhere.json"))
    assert not compare_runs([runs[0].directory, moved]).differing
    assert "elsewhere.json" in recipe.read_text()
    other = recipe.read_text().replace(read_run(moved).fingerprints["train"], "0" * 64)
    recipe.write_text(other)
    assert set(compare_runs([runs[0].directory, moved]).differing) == {"train"}


@pytest.mark.parametrize(
    ("task", "metric"),
    [("text-classification", "accuracy"), ("token-classification", "all marked right"), (USUAL, "exact match")],
)
def test_what_is_right_as_a_whole_has_the_tasks_name(runs: tuple[FineTuned, FineTuned], task: str, metric: str) -> None:
    slow, quick = (replace(read_run(run.directory), settings={"task": task}) for run in runs)
    assert compare_pair(slow, quick).scores[0].metric == metric


def with_log(run: FineTuned, path: Path, edit: Callable[[list[dict[str, Any]]], None]) -> Path:
    """A copy of a run whose log's lines were changed."""
    shutil.copytree(run.directory, path, ignore=shutil.ignore_patterns("checkpoints", "model"))
    lines = [json.loads(line) for line in (path / "log.jsonl").read_text().splitlines()]
    edit(lines)
    (path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_what_was_decided_is_compared_and_not_what_was_left_open(
    runs: tuple[FineTuned, FineTuned], tmp_path: Path
) -> None:
    """All of these have `precision = "auto"` and no dropout in their recipes."""
    slow = runs[0]

    def elsewhere(lines: list[dict[str, Any]]) -> None:
        lines[0]["resolved"] |= {"precision": "bfloat16", "threads": 8, "device": "cuda:0"}

    def resumed(lines: list[dict[str, Any]]) -> None:
        again = {**lines[0]["resolved"], "precision": "bfloat16", "threads": 2}
        lines.insert(2, {"kind": "event", "event": "resumed", "resolved": again})

    compared = compare_runs([slow.directory, with_log(slow, tmp_path / "elsewhere", elsewhere)])
    assert compared.differing == {"precision": ("float32", "bfloat16")}
    compared = compare_runs([slow.directory, with_log(slow, tmp_path / "resumed", resumed)])
    assert compared.differing == {"precision": ("float32", "float32, then bfloat16")}
    assert not compared.notes

    # of a setting that was given and one that came to the same there is nothing to say
    given = tmp_path / "given"
    shutil.copytree(with_log(slow, tmp_path / "same", lambda lines: None), given)
    recipe = (given / "recipe.toml").read_text()
    (given / "recipe.toml").write_text(
        recipe.replace('precision = "auto"', 'precision = "float32"').replace("[recipe]\n", "[recipe]\ndropout = 0.1\n")
    )
    assert not compare_runs([slow.directory, given]).differing


def test_a_run_that_does_not_say_what_was_decided_is_compared_by_its_recipe(
    runs: tuple[FineTuned, FineTuned], tmp_path: Path
) -> None:
    early = with_log(runs[0], tmp_path / "early", lambda lines: lines[0].pop("resolved"))
    compared = compare_runs([runs[0].directory, early])
    assert not compared.differing
    assert "an earlier version of distiltune wrote early; whether precision" in "\n".join(comparison_lines(compared))
    assert set(compare_runs([early, runs[1].directory]).differing) == {"epochs", "learning_rate"}


def test_what_is_no_run_is_refused(runs: tuple[FineTuned, FineTuned], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="only one run"):
        compare_runs([runs[0].directory])
    with pytest.raises(TrainingError, match="no run"):
        compare_runs([runs[0].directory, tmp_path])


def record(name: str, answers: list[ScoredAnswer], **validation: float) -> RunRecord:
    reports = (epoch(0, 1.0, 1.0, **validation),)
    return RunRecord(name, {}, {}, reports, (), 0, {each.id: each for each in answers})


def answer(id: str, asked: str, *, right: bool, wanted: str = "the treasurer") -> ScoredAnswer:
    return ScoredAnswer(id, asked, wanted if right else "no one", (wanted,), float(right), float(right), 0.5)


def test_an_id_alone_makes_no_two_questions_one() -> None:
    """Data sets that count their rows from 0 share all their ids."""
    first = record("first", [answer(str(i), f"Who signs {i}?", right=i % 3 == 0) for i in range(60)])
    others = [answer(str(i), f"Where is {i}?", right=i % 3 > 0) for i in range(60)]
    pair = compare_pair(first, record("second", others))
    assert (pair.scores, pair.changed) == ((), ())
    assert (pair.n_clashing, pair.n_only_first, pair.n_only_second) == (60, 0, 0)

    # the same question, of which another answer is right; a question that both have; one that only the second has
    others[0] = answer("0", "Who signs 0?", right=False, wanted="the notary")
    others[3] = answer("3", "Who signs 3?", right=False)
    others.append(answer("60", "Who signs 60?", right=True))
    pair = compare_pair(first, record("second", others))
    assert (pair.n_clashing, pair.n_only_first, pair.n_only_second) == (59, 0, 1)
    assert [(score.metric, score.n, score.difference) for score in pair.scores] == [("exact match", 1, -100.0)]
    assert [each.id for each in pair.changed] == ["3"]


def test_runs_that_share_no_question_get_no_verdict(runs: tuple[FineTuned, FineTuned], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(runs[1].directory, other, ignore=shutil.ignore_patterns("checkpoints", "model"))
    answers = other / "answers.jsonl"
    lines = [json.loads(line) for line in answers.read_text().splitlines()]
    answers.write_text("".join(json.dumps({**line, "asked": "Why?"}) + "\n" for line in lines))
    comparison = compare_runs([runs[0].directory, other])
    text = "\n".join(comparison_lines(comparison))
    assert "real difference" not in text
    assert "told from chance" not in text
    assert f"{len(lines)} ids stand in slow and other for different examples" in text
    assert "nothing can be said about which is better" in text
    assert comparison.as_json()["pairs"][0]["n_clashing"] == len(lines)


def marked(id: int, n_right: int, n_given: int, n_wanted: int) -> ScoredAnswer:
    counts = Counts(n_right, n_given, n_wanted)
    exact = float(n_right == n_given == n_wanted)
    return ScoredAnswer(str(id), f"text {id}", "", ("what is wanted",), exact, counts.f1, 0.5, counts)


def test_f1_is_of_all_entities_where_the_evaluation_says_so() -> None:
    """90 texts with nothing to mark, 10 with two entities: of these 2 are found in one run, 4 in the other."""
    empty = [marked(i, 0, 0, 0) for i in range(90)]
    first = record("first", [*empty, *(marked(90 + i, int(i < 2), int(i < 2), 2) for i in range(10))], f1=2 / 11)
    second = record("second", [*empty, *(marked(90 + i, int(i < 4), int(i < 4), 2) for i in range(10))], f1=1 / 3)
    scores = {score.metric: score for score in compare_pair(first, second).scores}
    assert scores["exact match"].difference == 0.0
    assert scores["F1"].difference == pytest.approx(100 * (1 / 3 - 2 / 11))
    assert scores["F1"].n == 100
    several = [replace(run, epochs=(epoch(0, 1.0, 1.0, micro_f1=0.5),)) for run in (first, second)]
    assert [score.metric for score in compare_pair(several[0], several[1]).scores] == ["exact match", "micro F1"]

    earlier = replace(second, answers={id: replace(each, counts=None) for id, each in second.answers.items()})
    with pytest.raises(TrainingError, match="earlier version"):
        compare_pair(first, earlier)


def test_the_bootstrap_of_a_ratio_agrees_with_the_plain_one() -> None:
    draw = np.random.default_rng(8)
    wanted = draw.poisson(1.0, 300)
    first, second = (np.stack([draw.binomial(wanted, share), wanted], axis=1) for share in (0.5, 0.6))
    drawn = [draw.integers(0, 300, 300) for _ in range(4_000)]
    plain = [
        100 * (b[:, 0].sum() / b[:, 1].sum() - a[:, 0].sum() / a[:, 1].sum())
        for a, b in ((first[which], second[which]) for which in drawn)
    ]
    score = paired_bootstrap("F1", first.astype(float), second.astype(float))
    assert [score.low, score.high] == pytest.approx(np.percentile(plain, [2.5, 97.5]).tolist(), abs=0.8)
    assert score.p_value == pytest.approx(2 * np.mean(np.array(plain) <= 0), abs=0.03)


def test_where_nothing_is_wanted_or_given_there_is_no_score() -> None:
    nothing = np.zeros((30, 2))
    score = paired_bootstrap("F1", nothing, nothing)
    assert (score.difference, score.low, score.high, score.is_real) == (0.0, 0.0, 0.0, False)


def test_a_run_that_was_killed_as_it_wrote_can_be_read(runs: tuple[FineTuned, FineTuned], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(runs[1].directory, other, ignore=shutil.ignore_patterns("checkpoints", "model"))
    with (other / "log.jsonl").open("ab") as log:
        log.write('{"kind": "step", "note": "caf\u00e9'.encode()[:-1])  # in the middle of a character
    assert read_run(other) == replace(read_run(runs[1].directory), name="other")

    # JSON leaves this line separator as it is: it ends no line of the file
    answers = other / "answers.jsonl"
    lines = answers.read_text(encoding="utf-8").split("\n")
    first = {**json.loads(lines[0]), "asked": "Who\u2028asks?"}
    answers.write_text("\n".join([json.dumps(first, ensure_ascii=False), *lines[1:]]), encoding="utf-8")
    assert read_run(other).answers[first["id"]].asked == "Who\u2028asks?"


@pytest.mark.parametrize("name", ["answers.jsonl", "log.jsonl"])
@pytest.mark.parametrize("damage", ['{"id": "torn', "[]", "[" * 100_000, '{"kind": "epoch"}', "\udcff"], ids=range(5))
def test_a_damaged_run_is_refused_by_file_and_line(
    runs: tuple[FineTuned, FineTuned], tmp_path: Path, name: str, damage: str
) -> None:
    other = tmp_path / "other"
    shutil.copytree(runs[1].directory, other, ignore=shutil.ignore_patterns("checkpoints", "model"))
    path = other / name
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], damage.encode("utf-8", "surrogateescape"), b"\n", *lines[1:]]))
    with pytest.raises(TrainingError, match="damaged") as raised:
        read_run(other)
    assert raised.value.where == f"{path}, line 2"


FOREIGN = ("data = 1", "[data]\ntrain = 1", "data = [1]", "a." * 2_000 + "a = 1", "a = " + "[" * 9_999)


@pytest.mark.parametrize("recipe", FOREIGN, ids=range(len(FOREIGN)))
def test_a_foreign_recipe_is_no_run(tmp_path: Path, recipe: str) -> None:
    (tmp_path / "recipe.toml").write_text(recipe)
    with pytest.raises(TrainingError, match="This is no run that can be read"):
        read_run(tmp_path)


def test_answers_cut_short_are_no_answers(runs: tuple[FineTuned, FineTuned], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(runs[1].directory, other, ignore=shutil.ignore_patterns("checkpoints", "model"))
    path = other / "answers.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TrainingError, match="damaged"):
        read_run(other)


@pytest.mark.parametrize(
    ("name", "said"), [("x.txt", ".txt"), ("x", "without a suffix"), (".svg", "suffix"), ("missing/x.svg", "folder")]
)
def test_a_picture_that_cannot_be_drawn_is_refused_before_the_work(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(DistiltuneError, match=said):
        check_picture(tmp_path / name)


def test_a_runs_name_is_no_formula_in_the_picture(runs: tuple[FineTuned, FineTuned], tmp_path: Path) -> None:
    """Such a one as would end the drawing."""
    named = replace(read_run(runs[0].directory), name="$\\frac$")
    draw_comparison(RunComparison((named,), {}, (), ()), tmp_path / "x.svg")


def test_a_picture_that_cannot_be_written_is_said(runs: tuple[FineTuned, FineTuned], tmp_path: Path) -> None:
    (tmp_path / "x.svg").mkdir()
    alone = RunComparison((read_run(runs[0].directory),), {}, (), ())
    with pytest.raises(DistiltuneError, match="cannot be written"):
        draw_comparison(alone, tmp_path / "x.svg")


@pytest.mark.parametrize(("gain", "real"), [(0.10, True), (0.0, False)])
def test_the_bootstrap_tells_a_real_difference(gain: float, real: bool) -> None:
    draw = np.random.default_rng(3)
    first = (draw.random(1000) < 0.6).astype(float)
    second = np.where(draw.random(1000) < gain, 1.0, first)
    score = paired_bootstrap("F1", means(first.tolist()), means(second.tolist()))
    assert score.is_real == real
    assert score.low <= score.difference <= score.high
    assert (score.p_value < 0.05) == real


def test_the_bootstrap_agrees_with_the_plain_one() -> None:
    """One multinomial draw over the distinct differences is what drawing questions one by one is."""
    draw = np.random.default_rng(5)
    first, second = draw.choice([0.0, 0.5, 1.0], 200), draw.choice([0.0, 0.5, 1.0], 200)
    plain = [100 * (second - first)[draw.integers(0, 200, 200)].mean() for _ in range(10_000)]
    score = paired_bootstrap("F1", means(first.tolist()), means(second.tolist()))
    assert [score.low, score.high] == pytest.approx(np.percentile(plain, [2.5, 97.5]).tolist(), abs=0.6)


def test_a_change_in_every_question_has_the_interval_of_a_coin_never_tossed() -> None:
    score = paired_bootstrap("F1", means([0.0] * 50), means([1.0] * 50))
    assert (score.low, score.high, score.difference) == (100.0, 100.0, 100.0)
    assert score.p_value < 0.001
