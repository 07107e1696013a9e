from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.text import squad as torchmetrics_squad

from distiltune.tasks.question_answering.examples import Answer, Example
from distiltune.tasks.question_answering.metrics import (
    AnswerScore,
    Prediction,
    ScoreKeeper,
    SquadScores,
    best_threshold,
    exact_match,
    f1,
    normalise_answer,
    score_answer,
)


def an_example(identifier: str, *golds: str) -> Example:
    return Example(identifier, "Which?", "", tuple(Answer(gold, 0) for gold in golds))


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("The Cat", "cat"),
        ("a  cat\tand\nan owl", "cat and owl"),
        ("theatre, anthem, Ana", "theatre anthem ana"),  # articles only as whole words
        ("A-Team", "ateam"),  # punctuation goes first and without a space ...
        ("the-a", "thea"),
        ("U.S.A.", "usa"),
        ("a–b", "–b"),  # ... but only ASCII punctuation
        ("“the” end", "“ ” end"),
        ("$1,000.50!", "100050"),
        ("ÉCOLE", "école"),
        ("İstanbul", "i̇stanbul"),  # lower case may be longer than what it was made of
        ("non\u00a0breaking\u2003space", "non breaking space"),
        ("a an the", ""),
        ("...", ""),
        ("", ""),
        ("東京 the 塔", "東京 塔"),
        ("the塔", "the塔"),  # a letter follows, so it is no word of its own
        ("a_b", "ab"),
    ],
)
def test_normalise_answer(text: str, normalised: str) -> None:
    assert normalise_answer(text) == normalised


@pytest.mark.parametrize(
    ("prediction", "gold", "exact", "word_f1"),
    [
        ("the Eiffel Tower.", "Eiffel tower", 1, 1),
        ("Tower", "Eiffel Tower", 0, 2 / 3),  # precision 1, recall 1/2
        ("Eiffel Tower in Paris", "Eiffel Tower", 0, 2 / 3),  # precision 1/2, recall 1
        ("tower Eiffel", "Eiffel tower", 0, 1),  # order matters to exact match only
        ("very very good", "very good", 0, 0.8),  # words count as often as they occur: 2/3 and 1
        ("very good", "very very very bad", 0, 1 / 3),  # 1/2 and 1/4
        ("Berlin", "Paris", 0, 0),
        ("", "Paris", 0, 0),
        ("Paris", "", 0, 0),
        ("", "", 1, 1),
        ("the", "a", 1, 1),  # neither has a word
    ],
)
def test_one_prediction_against_one_gold(prediction: str, gold: str, exact: float, word_f1: float) -> None:
    assert exact_match(prediction, gold) == exact
    assert f1(prediction, gold) == pytest.approx(word_f1, abs=1e-12)


@pytest.mark.parametrize(
    ("prediction", "golds", "exact", "word_f1"),
    [
        ("Tower", ["Eiffel Tower", "the tower", "Paris"], 1, 1),
        ("in Paris", ["Eiffel Tower", "Paris, France", "Paris"], 0, 2 / 3),
        ("", [], 1, 1),
        ("the", [], 1, 1),
        ("Paris", [], 0, 0),
        ("", ["."], 1, 1),  # no gold has a word: as if unanswerable
        ("", [".", "interventionism"], 0, 0),  # a gold without words is dropped beside others
        ("!", [".", "interventionism"], 0, 0),
        ("interventionism", [".", "interventionism"], 1, 1),
    ],
)
def test_best_over_golds(prediction: str, golds: list[str], exact: float, word_f1: float) -> None:
    score = score_answer(prediction, golds)
    assert (score.exact, score.f1) == pytest.approx((exact, word_f1), abs=1e-12)


@given(st.text(), st.lists(st.text(), max_size=4))
def test_best_over_golds_is_the_highest_of_each(prediction: str, golds: list[str]) -> None:
    kept = [gold for gold in golds if normalise_answer(gold)] or [""]
    expected = AnswerScore(
        max(exact_match(prediction, gold) for gold in kept), max(f1(prediction, gold) for gold in kept)
    )
    assert score_answer(prediction, golds) == expected


def test_threshold_is_not_itself_above_the_threshold() -> None:
    prediction = Prediction("q", "Paris", 1.5)
    assert [prediction.final_text(threshold) for threshold in (None, 2.0, 1.5, 1.0)] == [
        "Paris",
        "Paris",
        "Paris",
        "",
    ]


def test_answerable_questions_only() -> None:
    keeper = ScoreKeeper()
    assert keeper.add(an_example("1", "Paris", "in Paris"), Prediction("1", "Paris", 5.0)) == AnswerScore(1, 1)
    keeper.add(an_example("2", "Eiffel Tower"), Prediction("2", "Tower", 0.0))
    keeper.add(an_example("3", "Rhine"), Prediction("3", "Rhone", 0.0))
    scores = keeper.scores(None)
    assert len(keeper) == scores.n == scores.n_answerable == 3
    assert scores.exact_match == pytest.approx(100 / 3)
    assert scores.f1 == pytest.approx(100 * (1 + 2 / 3) / 3)
    assert list(scores.as_json()) == ["n", "exact_match", "f1", "n_answerable", "n_unanswerable"]
    assert keeper.scores(1.0).exact_match == 0  # the first is now unanswered


def test_with_unanswerable_questions() -> None:
    keeper = ScoreKeeper()
    keeper.add(an_example("sure", "Paris"), Prediction("sure", "Paris", -4.0))
    keeper.add(an_example("half", "Eiffel Tower"), Prediction("half", "Tower", -3.0))
    keeper.add(an_example("none, seen"), Prediction("none, seen", "Rome", 2.0))
    keeper.add(an_example("none, missed"), Prediction("none, missed", "Bonn", -2.0))
    keeper.add(an_example("shy", "Rhine"), Prediction("shy", "Rhine", -1.0))
    scores = keeper.scores(0.0)
    assert scores.as_json() == pytest.approx(
        {
            "n": 5,
            "exact_match": 60.0,
            "f1": 100 * (3 + 2 / 3) / 5,
            "n_answerable": 3,
            "n_unanswerable": 2,
            "answerable_exact_match": 200 / 3,
            "answerable_f1": 100 * (2 + 2 / 3) / 3,
            "unanswerable_exact_match": 50.0,
            # Right without any answer: 2. In order of difference the sums go on 3, 3, 2, 3, 2.
            "best_exact_match": 60.0,
            "best_exact_match_threshold": -4.0,
            # 3, 3 2/3, 2 2/3, 3 2/3, 2 2/3: the first of the two highest counts.
            "best_f1": 100 * (3 + 2 / 3) / 5,
            "best_f1_threshold": -3.0,
        }
    )
    always = keeper.scores(None)
    assert (always.exact_match, always.unanswerable_exact_match) == (40.0, 0.0)
    assert always.best_f1_threshold == -3.0
    assert keeper.scores(scores.best_exact_match_threshold).exact_match == scores.best_exact_match


def test_unanswerable_questions_only() -> None:
    keeper = ScoreKeeper()
    keeper.add(an_example("1"), Prediction("1", "", 1e9))
    keeper.add(an_example("2"), Prediction("2", "Rome", -1.0))
    scores = keeper.scores(None)
    assert (scores.exact_match, scores.answerable_f1, scores.best_f1, scores.best_f1_threshold) == (
        50,
        None,
        100,
        0,
    )


def test_what_cannot_be_scored_is_refused() -> None:
    keeper = ScoreKeeper()
    with pytest.raises(ValueError, match="no question was scored"):
        keeper.scores(None)
    with pytest.raises(ValueError, match="'b' was scored against example 'a'"):
        keeper.add(an_example("a"), Prediction("b", "", 0.0))
    with pytest.raises(ValueError, match="'a' is not a number"):
        keeper.add(an_example("a"), Prediction("a", "", float("nan")))
    assert len(keeper) == 0


_WORDS = [
    "the",
    "a",
    "an",
    "Paris",
    "paris,",
    "river",
    "(river)",
    "Rhine-Main",
    "1,000",
    "École",
    "tower",
    "of",
    "of",
]


def _perturbed(words: list[str], generator: random.Random) -> str:
    words = [word for word in words if generator.random() > 0.2]
    words += generator.sample(_WORDS, generator.randrange(3))
    if generator.random() < 0.2:
        generator.shuffle(words)
    return " ".join(word.upper() if generator.random() < 0.1 else word for word in words)


def test_same_scores_as_torchmetrics() -> None:
    generator = random.Random(20221)
    keeper = ScoreKeeper()
    predictions, targets = [], []
    for number in range(1000):
        # The last word keeps every gold from normalising to nothing; torchmetrics does not drop such golds.
        golds = [
            " ".join([*generator.choices(_WORDS, k=generator.randrange(4)), generator.choice(["Main", "Elbe"])])
            for _ in range(generator.randrange(1, 4))
        ]
        text = _perturbed(generator.choice(golds).split(), generator)
        score = keeper.add(an_example(str(number), *golds), Prediction(str(number), text, 0.0))
        predictions.append({"prediction_text": text, "id": str(number)})
        targets.append({"answers": {"answer_start": [0] * len(golds), "text": golds}, "id": str(number)})
        single = torchmetrics_squad(predictions[-1:], targets[-1:])
        assert (100 * score.exact, 100 * score.f1) == pytest.approx(
            (float(single["exact_match"]), float(single["f1"])), abs=1e-4
        )
    together = torchmetrics_squad(predictions, targets)
    scores = keeper.scores(None)
    assert 5 < scores.exact_match < 60  # neither trivial nor impossible, or the test shows little
    assert scores.exact_match == pytest.approx(float(together["exact_match"]), abs=1e-3)
    assert scores.f1 == pytest.approx(float(together["f1"]), abs=1e-3)


def _swept(rows: Sequence[tuple[float, float, bool, bool]]) -> tuple[float, float]:
    """`best_threshold` as the official scorer words it: one question after the other, in plain Python."""
    total = best = float(sum(not answerable for _, _, answerable, _ in rows))
    threshold = 0.0
    for score, difference, answerable, answered in sorted(rows, key=lambda row: row[1]):
        total += score if answerable else -1.0 if answered else 0.0
        if total > best:
            best, threshold = total, difference
    return 100.0 * best / len(rows), threshold


_SCORE = st.sampled_from([0.0, 1.0, 2 / 3, 0.8, 1 / 7])
_DIFFERENCE = st.sampled_from([-2.0, -0.5, 0.0, 0.5, 3.25]) | st.floats(-9, 9)


@given(st.lists(st.tuples(_SCORE, _DIFFERENCE, st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_best_threshold_equals_the_official_sweep_to_the_last_bit(
    rows: list[tuple[float, float, bool, bool]],
) -> None:
    scores, differences, answerable, answered = (np.array(column) for column in zip(*rows, strict=True))
    assert best_threshold(scores, differences, answerable, answered) == _swept(rows)


def test_best_threshold_equals_the_official_sweep_on_many_equal_differences() -> None:
    """Longer than what numpy sorts by insertion, so that an unstable sort would show."""
    generator = random.Random(11)
    rows = [
        (generator.random(), generator.choice([-1.0, 0.5, 0.5, 2.0]), generator.random() < 0.6, True)
        for _ in range(500)
    ]
    scores, differences, answerable, answered = (np.array(column) for column in zip(*rows, strict=True))
    assert best_threshold(scores, differences, answerable, answered) == _swept(rows)


_QUESTION = st.tuples(
    st.lists(st.sampled_from(["Paris", "river Rhine", "the Rhine", "the"]), max_size=2),
    st.sampled_from(["Paris", "Rhine", "river", "the", "old river Rhine"]),
)


def _kept(questions: list[tuple[list[str], str]], differences: list[float]) -> tuple[ScoreKeeper, list[Prediction]]:
    keeper = ScoreKeeper()
    predictions = []
    for number, ((golds, text), difference) in enumerate(zip(questions, differences, strict=False)):
        predictions.append(Prediction(str(number), text, difference))
        keeper.add(an_example(str(number), *golds), predictions[-1])
    return keeper, predictions


@given(st.lists(_QUESTION, min_size=1, max_size=12), st.floats(-3, 3), st.randoms())
def test_scores_are_those_of_the_final_texts(
    questions: list[tuple[list[str], str]], threshold: float, generator: random.Random
) -> None:
    differences = [generator.uniform(-3, 3) for _ in questions]
    keeper, predictions = _kept(questions, differences)
    finals = [
        score_answer(prediction.final_text(threshold), golds)
        for prediction, (golds, _) in zip(predictions, questions, strict=True)
    ]
    scores = keeper.scores(threshold)
    assert scores.exact_match == pytest.approx(100 * sum(final.exact for final in finals) / len(finals))
    assert scores.f1 == pytest.approx(100 * sum(final.f1 for final in finals) / len(finals))


_WORDED = st.tuples(
    st.lists(st.sampled_from(["Paris", "river Rhine", "the Rhine"]), max_size=2),
    st.sampled_from(["Paris", "Rhine", "river", "old river Rhine"]),
)


@given(st.lists(_WORDED, min_size=1, max_size=12), st.randoms())
def test_no_threshold_beats_the_best(questions: list[tuple[list[str], str]], generator: random.Random) -> None:
    differences = [float(value) for value in generator.sample(range(-20, 20), len(questions))]  # all different
    keeper, _ = _kept(questions, differences)
    best = keeper.scores(None)
    tried = [keeper.scores(threshold) for threshold in (min(differences) - 1, *differences)]
    if best.n_unanswerable == 0:
        assert best == SquadScores(best.n, best.exact_match, best.f1, best.n, 0)
        return
    assert best.best_exact_match == pytest.approx(max(scores.exact_match for scores in tried))
    assert best.best_f1 == pytest.approx(max(scores.f1 for scores in tried))


def test_a_threshold_holds_if_it_is_better_where_it_was_not_chosen() -> None:
    def kept(differences: Callable[[int], float], n: int) -> bool:
        keeper = ScoreKeeper()
        for i in range(n):
            golds = ("ada",) if i % 2 else ()
            keeper.add(an_example(f"q{i}", *golds), Prediction(f"q{i}", "ada", differences(i)))
        return keeper.threshold_holds()

    noise = np.random.default_rng(0).normal(size=400)
    # A model that gives "no answer" 3 nats too seldom: -3 parts the two kinds, on every half.
    assert kept(lambda i: float(-4 + 0.2 * noise[i] if i % 2 else -2 + 0.2 * noise[i]), 400)
    assert not kept(lambda i: float(-4 + 0.2 * noise[i] if i % 2 else -2 + 0.2 * noise[i]), 4)
    # Differences that say nothing have a best threshold too, and it does not hold.
    assert not kept(lambda i: float(noise[i]), 400)
    assert not kept(lambda i: float(-1 + abs(noise[i]) if i % 2 == 0 else -9), 2)
