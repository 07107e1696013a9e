from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.tasks.question_answering.decode import (
    NO_CANDIDATE_DIFFERENCE,
    Candidate,
    Decoded,
    WindowLogits,
    decode,
    log_softmax,
    weigh_together,
)


def plain_decode(
    context: str, windows: list[WindowLogits], max_answer_tokens: int, n_best: int, n_apart: int = 0
) -> Decoded:
    """`decode` as its definition reads: every window, every start, every end."""
    found: dict[tuple[int, int], tuple[float, int]] = {}
    weight = 1.0
    for index, window in enumerate(windows):
        starts, ends = log_softmax(window.start_logits), log_softmax(window.end_logits)
        weight += math.exp(-float(starts[0] + ends[0])) - 1.0
        starts, ends = starts - starts[0], ends - ends[0]
        n_context_tokens = len(window.char_starts)
        for first in range(n_context_tokens):
            for last in range(first, min(first + max_answer_tokens, n_context_tokens)):
                span = int(window.char_starts[first]), int(window.char_ends[last])
                if not context[slice(*span)].strip():
                    continue
                score = float(starts[window.first_context_token + first] + ends[window.first_context_token + last])
                if span not in found or score > found[span][0]:
                    found[span] = score, index
    ranked = sorted(found, key=lambda span: (-found[span][0], *span))
    every = tuple(
        Candidate(context[start:end], start, end, score, math.exp(score) / weight, index)
        for start, end in ranked
        for score, index in [found[start, end]]
    )
    apart: list[Candidate] = []
    for candidate in every:
        if len(apart) < n_apart and all(candidate.end <= one.start or one.end <= candidate.start for one in apart):
            apart.append(candidate)
    return Decoded(every[:n_best], math.log(weight), tuple(apart))


def assert_same(one: Decoded, other: Decoded) -> None:
    """Equal, but for the last digits of the probabilities."""
    pairs = ((one.candidates, other.candidates), (one.apart, other.apart))
    for ours, theirs in pairs:
        assert [replace(each, probability=0.0) for each in ours] == [replace(each, probability=0.0) for each in theirs]
        assert [each.probability for each in ours] == pytest.approx([each.probability for each in theirs], rel=1e-9)
    assert one.log_total == pytest.approx(other.log_total, abs=1e-9)


def window_of(spans: list[tuple[int, int]], starts: list[float], ends: list[float], n_before: int = 1) -> WindowLogits:
    """A window whose context tokens lie at `spans`; the logits cover all tokens."""
    offsets = np.array(spans, dtype=np.int64).reshape(-1, 2)
    return WindowLogits(
        np.array(starts, dtype=np.float32),
        np.array(ends, dtype=np.float32),
        n_before,
        offsets[:, 0],
        offsets[:, 1],
    )


@st.composite
def contexts_and_windows(draw: st.DrawFn) -> tuple[str, list[WindowLogits]]:
    """Windows over one context that may overlap, with blank tokens, shared characters and many ties."""
    lengths = draw(st.lists(st.integers(1, 3), max_size=12))
    blanks = draw(st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths)))
    repeats = draw(st.lists(st.integers(1, 3), min_size=len(lengths), max_size=len(lengths)))
    context, spans = "", list[tuple[int, int]]()
    for length, blank, n_pieces in zip(lengths, blanks, repeats, strict=True):
        spans += [(len(context), len(context) + length)] * n_pieces
        context += ("\u2003\t " if blank else "é😀x")[:length] + draw(st.sampled_from(["", " "]))
    value = st.sampled_from([-1.0, 0.0, 0.5, 2.0]) | st.floats(-50, 50, width=32)
    windows = []
    for _ in range(draw(st.integers(0, 4))):
        first = draw(st.integers(0, len(spans)))
        inside = spans[first : draw(st.integers(first, len(spans)))]
        n_before = draw(st.integers(1, 4))
        n_tokens = n_before + len(inside) + draw(st.integers(0, 2))
        logits = st.lists(value, min_size=n_tokens, max_size=n_tokens)
        windows.append(window_of(inside, draw(logits), draw(logits), n_before))
    return context, windows


@given(contexts_and_windows(), st.integers(1, 8), st.integers(1, 25), st.integers(0, 6))
def test_equals_the_plain_search(
    case: tuple[str, list[WindowLogits]], max_answer_tokens: int, n_best: int, n_apart: int
) -> None:
    context, windows = case
    decoded = decode(context, windows, max_answer_tokens=max_answer_tokens, n_best=n_best, n_apart=n_apart)
    assert_same(decoded, plain_decode(context, windows, max_answer_tokens, n_best, n_apart))
    for candidate in decoded.candidates:
        assert candidate.start < candidate.end
        assert candidate.text == context[candidate.start : candidate.end]


@pytest.mark.parametrize("n_best", [1, 20, 100_000])
def test_equals_the_plain_search_at_full_size(n_best: int) -> None:
    generator = np.random.default_rng(7)
    context = "word " * 400
    windows = [
        window_of(
            [(5 * token, 5 * token + 4) for token in range(first, first + 150)],
            generator.normal(size=170).tolist(),
            generator.normal(size=170).tolist(),
            n_before=15,
        )
        for first in (0, 125, 250)
    ]
    decoded = decode(context, windows, n_best=n_best, n_apart=9)
    assert_same(decoded, plain_decode(context, windows, 30, n_best, 9))


SPANS = [(0, 3), (4, 7), (8, 11)]
CONTEXT = "one two six"


def test_answers_lie_in_the_context_part_only() -> None:
    window = window_of(SPANS, [0, 90, 90, 1, 0, 0, 90], [0, 90, 90, 0, 0, 1, 90], n_before=3)
    decoded = decode(CONTEXT, [window])
    assert decoded.best_text == "one two six"
    assert len(decoded.candidates) == 6
    assert decoded.candidates[0].score == 2.0  # above [CLS]
    # The question and [SEP] took part in the softmax: 1 is 89 below three equals.
    assert math.log(decoded.candidates[0].probability) == pytest.approx(2 * (-89 - math.log(3)), abs=1e-6)


def test_no_span_ends_before_it_starts_or_is_too_long() -> None:
    window = window_of(SPANS, [0, 0, 0, 9, 0], [0, 9, 0, 0, 0])
    decoded = decode(CONTEXT, [window], max_answer_tokens=2)
    assert {candidate.text for candidate in decoded.candidates} == {"one", "two", "six", "one two", "two six"}
    assert decoded.candidates[0].text == "one"  # ties with "six", and starts earlier
    assert decode(CONTEXT, [window], max_answer_tokens=1, n_best=2).candidates[1].text == "six"


def test_ties_go_to_the_earlier_start_then_to_the_shorter() -> None:
    flat = window_of(SPANS, [0] * 5, [0] * 5)
    in_order = ["one", "one two", "one two six", "two", "two six", "six"]
    for n_best in range(1, 7):
        decoded = decode(CONTEXT, [flat, flat], n_best=n_best)
        assert [candidate.text for candidate in decoded.candidates] == in_order[:n_best]


def test_probabilities_are_those_of_the_softmax() -> None:
    window = window_of(SPANS, [1, 2, 3, 4, 5], [5, 4, 3, 2, 1])
    by_text = {candidate.text: candidate for candidate in decode(CONTEXT, [window]).candidates}
    total = sum(math.exp(value) for value in range(1, 6))
    assert by_text["two six"].probability == pytest.approx(math.exp(3) / total * math.exp(2) / total)
    assert by_text["two six"].score == pytest.approx(3 + 2 - 1 - 5)
    assert decode(CONTEXT, [window]).null_probability == pytest.approx(math.exp(1 + 5) / total**2)


def test_windows_share_one_no_answer() -> None:
    says_null = window_of(SPANS[:2], [9, 0, 0, 0], [9, 0, 0, 0])
    says_two = window_of(SPANS[1:], [0, 9, 0, 0], [0, 9, 0, 0])
    decoded = decode(CONTEXT, [says_null, says_two])
    assert decoded.best_text == "two"
    assert decoded.candidates[0].window == 1
    odds = (1 + 3 * math.exp(-9)) ** 2 - 1, (3 + math.exp(9)) ** 2 - 1  # of all spans of each
    assert decoded.null_probability == pytest.approx(1 / (1 + sum(odds)))
    assert decoded.candidates[0].probability == pytest.approx(math.exp(18) / (1 + sum(odds)))
    assert decoded.null_score_difference == pytest.approx(-18)
    assert decode(CONTEXT, [says_null]).null_score_difference == pytest.approx(18)


def test_a_window_that_is_sure_of_no_answer_does_not_win() -> None:
    """Its likeliest span has more of its window's probability and a higher logit than the other's."""
    elsewhere = window_of(SPANS[:2], [14, 12, 0, 0], [14, 12, 0, 0])
    here = window_of(SPANS[1:], [1, 9, 8, 0], [1, 9, 8, 0])
    decoded = decode(CONTEXT, [elsewhere, here])
    assert decoded.best_text == "two"


def test_parts_weigh_together_as_their_windows_do() -> None:
    windows = [window_of(SPANS, [0, i, 1, 2, 3], [3, 2, i, 1, 0]) for i in range(4)]
    parts = [decode(CONTEXT, some).log_total for some in (windows[:1], windows[1:3], windows[3:])]
    assert weigh_together(parts) == pytest.approx(decode(CONTEXT, windows).log_total)
    assert weigh_together([]) == weigh_together([0.0]) == weigh_together([0.0, 0.0]) == 0.0
    assert weigh_together([5e4, 1.0]) == pytest.approx(5e4)


def test_same_characters_in_two_windows_are_one_candidate() -> None:
    weak = window_of(SPANS[:2], [0, 0, 1, 0], [0, 0, 1, 0])
    strong = window_of(SPANS[1:], [0, 3, 0, 0], [0, 3, 0, 0], n_before=1)
    decoded = decode(CONTEXT, [weak, strong, strong])
    assert [candidate.window for candidate in decoded.candidates if candidate.text == "two"] == [1]
    assert decoded.candidates[0].text == "two"


def test_tokens_that_share_a_character_do_not_crowd_out_others() -> None:
    """A Hangul syllable becomes several pieces with one offset; their spans would fill the list otherwise."""
    spans = [(0, 1)] * 20 + [(1, 2)]
    decoded = decode("한국", [window_of(spans, [0, *[9] * 20, 0, 0], [0, *[9] * 20, 0, 0])], n_best=3)
    assert [candidate.text for candidate in decoded.candidates] == ["한", "한국", "국"]


def test_blank_spans_are_left_out() -> None:
    window = window_of([(0, 1), (1, 3), (3, 4)], [0, 0, 9, 0, 0], [0, 0, 9, 0, 0])
    decoded = decode("a  b", [window])
    assert [candidate.text for candidate in decoded.candidates] == ["a  ", "  b", "a", "a  b", "b"]


def test_offsets_out_of_order_give_no_empty_answers() -> None:
    window = window_of([(2, 3), (0, 1)], [0, 9, 0, 0], [0, 0, 9, 0])
    assert [candidate.text for candidate in decode("abc", [window]).candidates] == ["a", "c"]


def test_nothing_to_search_gives_no_candidates() -> None:
    no_tokens = window_of([], [1, 0, 0], [1, 0, 0], n_before=2)
    for decoded in (
        decode("", []),
        decode(CONTEXT, []),
        decode("", [no_tokens]),
        decode("", [no_tokens] * 2),
    ):
        assert decoded.candidates == ()
        assert decoded.best_text == ""
        assert decoded.null_score_difference == NO_CANDIDATE_DIFFERENCE
    assert decode("", []).null_probability == 1.0
    assert decode("", [no_tokens]).null_probability == pytest.approx((math.e / (math.e + 2)) ** 2)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_are_refused(value: float) -> None:
    good = window_of(SPANS, [0] * 5, [0] * 5)
    with pytest.raises(ValueError, match=f"window 1: the end logit of token 2 is {value}, not finite"):
        decode(CONTEXT, [good, window_of(SPANS, [0] * 5, [0, 0, value, 0, 0])])
    with pytest.raises(ValueError, match="window 0: the start logit of token 4"):
        decode(CONTEXT, [window_of(SPANS, [0, 0, 0, 0, value], [0] * 5)])


def test_parts_that_do_not_fit_are_refused() -> None:
    good = window_of(SPANS, [0] * 5, [0] * 5)
    no_logits: npt.NDArray[Any] = np.zeros(0, dtype=np.float32)
    for wrong, message in [
        (replace(good, end_logits=np.zeros(4)), "must both be"),
        (replace(good, start_logits=np.zeros((5, 1)), end_logits=np.zeros((5, 1))), "must both be"),
        (replace(good, start_logits=no_logits, end_logits=no_logits), "context tokens 1 to 3"),
        (replace(good, first_context_token=0), "context tokens 0 to 2"),
        (replace(good, first_context_token=3), "context tokens 3 to 5"),
        (replace(good, char_ends=np.array([3, 7])), "3 char starts, but 2 char ends"),
        (replace(good, char_starts=np.array([-1, 4, 8])), "outside the context of 11"),
        (replace(good, char_ends=np.array([3, 7, 12])), "outside the context of 11"),
    ]:
        with pytest.raises(ValueError, match=f"window 0: .*{message}"):
            decode(CONTEXT, [wrong])
    with pytest.raises(ValueError, match="max_answer_tokens=0"):
        decode(CONTEXT, [good], max_answer_tokens=0)
    with pytest.raises(ValueError, match="n_best=0"):
        decode(CONTEXT, [good], n_best=0)


def test_log_softmax_is_stable_and_leaves_its_input_alone() -> None:
    logits = np.array([[3e38, -3e38, 3e38], [0, 1, 2]], dtype=np.float32)
    before = logits.copy()
    result = log_softmax(logits)
    assert result.dtype == np.float64
    assert result[0, 0] == pytest.approx(-math.log(2))
    assert np.isfinite(result).all()
    assert np.exp(result).sum(axis=-1) == pytest.approx([1, 1])
    assert (logits == before).all()
    doubles = np.zeros(4)
    log_softmax(doubles)
    assert (doubles == 0).all()
