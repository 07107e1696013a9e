"""From the logits of an example's windows to its best answers: for evaluation, prediction and asking alike.

A span's score is the logarithm of its odds against "no answer" in its own window: what its start and its end have
above the `[CLS]` of that window. Training sets a window without the answer to `[CLS]`, so this tells such a window
from one with it, where neither raw logits nor each window's own probabilities do (Clark & Gardner 2018 on the
latter; docs/results.md has the figures). Probabilities are shared among the windows, as if all spans of all of them and
one "no answer" were one distribution; of a single window they are its softmax over all tokens, as in training. The
search is exact: it looks at every allowed span of every window.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

NO_CANDIDATE_DIFFERENCE = 1e9
"""Null score difference without candidates: above any threshold and, unlike infinity, valid in JSON."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowLogits:
    """What the model said about one feature, and where the feature's context tokens lie in the context.

    Attributes:
        start_logits: `(n_tokens,)`, one value a token, without padding; token 0 is `[CLS]`.
        end_logits: `(n_tokens,)`, likewise.
        first_context_token: index in the feature of its first context token; the others follow without a gap.
        char_starts: `(n_context_tokens,)`, where each context token starts in the context, in code points.
        char_ends: `(n_context_tokens,)`, one past the token's last code point.
    """

    start_logits: npt.NDArray[np.floating[Any]]
    end_logits: npt.NDArray[np.floating[Any]]
    first_context_token: int
    char_starts: npt.NDArray[np.integer[Any]]
    char_ends: npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible answer: exactly the characters `context[start:end]`.

    `score` is the logarithm of its odds against "no answer" in the window where they are best, `probability` its share
    of all that was decoded together, and `window` that window's place (the first, should several be equal).
    """

    text: str
    start: int
    end: int
    score: float
    probability: float
    window: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """The best answers to one example, best first, and the weight of all.

    `log_total` is the logarithm of what everything weighs together, "no answer" weighing 1: 0.0 without windows.
    `apart` are, from the best down, the candidates that share no character with those before.
    """

    candidates: tuple[Candidate, ...]
    log_total: float
    apart: tuple[Candidate, ...] = ()

    @property
    def best_text(self) -> str:
        """The text of the best candidate, or "" if there is none."""
        return self.candidates[0].text if self.candidates else ""

    @property
    def null_probability(self) -> float:
        """The probability of "no answer"."""
        return math.exp(-self.log_total)

    @property
    def null_score_difference(self) -> float:
        """The best candidate's score, turned round; above 0, no answer is likelier than the best one."""
        return -self.candidates[0].score if self.candidates else NO_CANDIDATE_DIFFERENCE


def weigh_together(log_totals: Sequence[float]) -> float:
    """`Decoded.log_total` of several parts read together, in which "no answer" is one and the same; 0.0 of none."""
    if not log_totals:
        return 0.0
    most = max(log_totals)
    return most + math.log(sum(math.exp(t - most) for t in log_totals) - (len(log_totals) - 1) * math.exp(-most))


def log_softmax(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Natural logarithm of the softmax over the last axis, in float64; the same shape; never overflows."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


@dataclass(frozen=True, slots=True, eq=False)
class _Spans:
    """What a window's spans are scored from; the scores of all spans would take too much memory for long texts.

    Attributes:
        starts: `(n_context_tokens,)` logits above that of `[CLS]`.
        ends: likewise.
        char_starts: `(n_context_tokens,)`, as in `WindowLogits`.
        char_ends: `(n_context_tokens,)`, as in `WindowLogits`.

    """

    starts: npt.NDArray[np.float64]
    ends: npt.NDArray[np.float64]
    char_starts: npt.NDArray[np.integer[Any]]
    char_ends: npt.NDArray[np.integer[Any]]


_Key = tuple[float, int, int, int]
"""What candidates are ordered by: the score's opposite, first character, one past the last, window."""


def decode(
    context: str, windows: Sequence[WindowLogits], *, max_answer_tokens: int = 30, n_best: int = 20, n_apart: int = 0
) -> Decoded:
    """Find the `n_best` likeliest answers to one example over all its windows.

    Allowed are the spans of context tokens with start <= end < start + `max_answer_tokens` whose characters
    are not all white space. The same characters found more than once, in several windows or under several
    token spans, are one candidate with the best of their scores. Equal scores are ordered by earlier start,
    then by shorter text.

    Args:
        context: the whole text that the character offsets point into.
        windows: one record for each of the example's features, in any order.
        max_answer_tokens: longest span, in tokens.
        n_best: most candidates to return.
        n_apart: most candidates that share no character to return.

    Raises:
        ValueError: a logit is not finite, the parts of a window do not fit each other or the context, or a
            limit is below 1.
    """
    if max_answer_tokens < 1 or n_best < 1:
        raise ValueError(f"{max_answer_tokens=} and {n_best=} must both be at least 1")
    n_inked_before = _count_ink(context)
    log_totals: list[float] = []
    found: dict[tuple[int, int], tuple[float, int]] = {}  # characters → best score, its window
    all_spans: list[_Spans] = []
    best_of_each: list[_Key] = []
    for index, window in enumerate(windows):
        _check_window(window, index, len(context))
        starts = log_softmax(window.start_logits)
        ends = log_softmax(window.end_logits)
        log_totals.append(-float(starts[0] + ends[0]))
        starts -= starts[0]
        ends -= ends[0]
        context_part = slice(window.first_context_token, window.first_context_token + len(window.char_starts))
        spans = _Spans(starts[context_part], ends[context_part], window.char_starts, window.char_ends)
        scores = _allowed_scores(spans, max_answer_tokens, n_inked_before)
        # An answer among the best of all windows is among the best of the window that scores it highest.
        best = _best_spans(scores, window.char_starts, window.char_ends, n_best)
        for score, span in best:
            if span not in found or score > found[span][0]:
                found[span] = score, index
        if n_apart:
            all_spans.append(spans)
            best_of_each += [(-score, *span, index) for score, span in best[:1]]
    ranked = sorted((-score, *span, window) for span, (score, window) in found.items())[:n_best]
    apart = _apart(all_spans, best_of_each, max_answer_tokens, n_inked_before, n_apart)
    log_total = weigh_together(log_totals)
    return Decoded(
        tuple(_candidate(context, key, log_total) for key in ranked),
        log_total,
        tuple(_candidate(context, key, log_total) for key in apart),
    )


def _candidate(context: str, key: _Key, log_total: float) -> Candidate:
    cost, start, end, window = key
    return Candidate(context[start:end], start, end, -cost, math.exp(-cost - log_total), window)


def _apart(
    windows: Sequence[_Spans],
    best_of_each: Sequence[_Key],
    max_answer_tokens: int,
    n_inked_before: npt.NDArray[np.int64],
    n_wanted: int,
) -> list[_Key]:
    """From the best span down, each that shares no character with those before.

    The best span of a window can only get worse when more characters are taken, so it is looked for again only where
    it would be the next one.
    """
    chosen: list[_Key] = []
    heap = [(key, 0) for key in best_of_each]  # with the number of spans that were taken when it was the best
    heapq.heapify(heap)
    while heap and len(chosen) < n_wanted:
        key, n_taken = heapq.heappop(heap)
        if n_taken == len(chosen):
            chosen.append(key)
            heapq.heappush(heap, (key, n_taken))  # its window may hold further ones
            continue
        spans = windows[key[-1]]
        scores = _allowed_scores(spans, max_answer_tokens, n_inked_before)
        if not scores.size:
            continue
        ends = spans.char_ends[_last_tokens(*scores.shape)]
        for _, start, end, _ in chosen:
            scores[(spans.char_starts < end)[:, None] & (ends > start)] = -np.inf
        best = float(scores.max())
        if best > -math.inf:
            first, extra = np.nonzero(scores == best)
            span = min(zip(spans.char_starts[first].tolist(), ends[first, extra].tolist(), strict=True))
            heapq.heappush(heap, ((-best, *span, key[-1]), len(chosen)))
    return chosen


def _check_window(window: WindowLogits, index: int, n_characters: int) -> None:
    """Raise a ValueError that names the window and what is wrong with it."""
    n_tokens = len(window.start_logits)
    n_context_tokens = len(window.char_starts)
    if window.start_logits.shape != (n_tokens,) or window.end_logits.shape != (n_tokens,):
        shapes = f"{window.start_logits.shape} and {window.end_logits.shape}"
        raise ValueError(f"window {index}: start and end logits must both be (n_tokens,), not {shapes}")
    if window.char_starts.shape != window.char_ends.shape:
        raise ValueError(f"window {index}: {n_context_tokens} char starts, but {len(window.char_ends)} char ends")
    if window.first_context_token < 1 or window.first_context_token + n_context_tokens > n_tokens:
        last = window.first_context_token + n_context_tokens - 1
        raise ValueError(
            f"window {index}: context tokens {window.first_context_token} to {last} are not within "
            f"the tokens 1 to {n_tokens - 1} that follow [CLS]"
        )
    for name, logits in (("start", window.start_logits), ("end", window.end_logits)):
        finite = np.isfinite(logits)
        if not finite.all():
            place = int(np.argmin(finite))
            raise ValueError(f"window {index}: the {name} logit of token {place} is {logits[place]}, not finite")
    if n_context_tokens and (window.char_starts.min() < 0 or window.char_ends.max() > n_characters):
        raise ValueError(f"window {index}: character offsets lie outside the context of {n_characters}")


def _count_ink(context: str) -> npt.NDArray[np.int64]:
    """`(n_characters + 1,)` how many characters before each place are not white space."""
    is_blank = np.fromiter(map(str.isspace, context), dtype=np.bool_, count=len(context))
    counts = np.zeros(len(context) + 1, dtype=np.int64)
    np.cumsum(~is_blank, out=counts[1:])
    return counts


def _span_scores(
    starts: npt.NDArray[np.float64], ends: npt.NDArray[np.float64], max_answer_tokens: int
) -> npt.NDArray[np.float64]:
    """`(n_context_tokens, width)` scores of the spans from token i to token i + j; -inf past the last token.

    `starts` and `ends` are `(n_context_tokens,)`; width is `max_answer_tokens` or, if fewer, all tokens.
    """
    n_context_tokens = len(starts)
    width = min(max_answer_tokens, n_context_tokens)
    if width == 0:
        return np.empty((0, 0))
    padded = np.concatenate((ends, np.full(width - 1, -np.inf)))
    scores: npt.NDArray[np.float64] = starts[:, None] + np.lib.stride_tricks.sliding_window_view(padded, width)
    return scores


def _allowed_scores(
    spans: _Spans, max_answer_tokens: int, n_inked_before: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """`(n_context_tokens, width)` scores of the spans from token i to token i + j; -inf where there is none."""
    scores = _span_scores(spans.starts, spans.ends, max_answer_tokens)
    _forbid_blank_spans(scores, spans.char_starts, spans.char_ends, n_inked_before)
    return scores


def _last_tokens(n_context_tokens: int, width: int) -> npt.NDArray[np.int64]:
    """`(n_context_tokens, width)` the last token of each span, the very last where there would be none."""
    last: npt.NDArray[np.int64] = np.arange(n_context_tokens)[:, None] + np.arange(width)
    return np.minimum(last, n_context_tokens - 1, out=last)


def _forbid_blank_spans(
    scores: npt.NDArray[np.float64],
    char_starts: npt.NDArray[np.integer[Any]],
    char_ends: npt.NDArray[np.integer[Any]],
    n_inked_before: npt.NDArray[np.int64],
) -> None:
    """Set the `(n_context_tokens, width)` scores of spans of nothing but white space to -inf, in place."""
    ink_at_starts, ink_at_ends = n_inked_before[char_starts], n_inked_before[char_ends]
    # Nearly always every token has ink and they stand in order; then so does every span.
    if np.all(ink_at_ends > ink_at_starts) and np.all(ink_at_starts[1:] >= ink_at_starts[:-1]):
        return
    scores[ink_at_ends[_last_tokens(*scores.shape)] <= ink_at_starts[:, None]] = -np.inf


def _best_spans(
    scores: npt.NDArray[np.float64],
    char_starts: npt.NDArray[np.integer[Any]],
    char_ends: npt.NDArray[np.integer[Any]],
    n_best: int,
) -> list[tuple[float, tuple[int, int]]]:
    """The best (score, characters) under `(n_context_tokens, width)` scores, best first, each span once."""
    if scores.size == 0:
        return []
    flat = scores.ravel()
    n_wanted = n_best
    while True:
        n_wanted = min(n_wanted, flat.size)
        # Everything as good as the last one wanted comes along, or the cut would break ties at random.
        cut = np.partition(flat, flat.size - n_wanted)[flat.size - n_wanted]
        picked = np.flatnonzero((flat >= cut) & (flat > -np.inf))
        first_tokens, extra_tokens = np.divmod(picked, scores.shape[1])
        starts, ends, values = char_starts[first_tokens], char_ends[first_tokens + extra_tokens], flat[picked]
        order = np.lexsort((ends, starts, -values))
        best: dict[tuple[int, int], float] = {}
        for value, start, end in zip(values[order].tolist(), starts[order].tolist(), ends[order].tolist(), strict=True):
            best.setdefault((start, end), value)
            if len(best) == n_best:
                break
        # Tokens may share a character (a Hangul syllable in pieces), so that spans repeat: then dig deeper.
        if len(best) == n_best or n_wanted == flat.size or cut == -np.inf:
            return [(value, span) for span, value in best.items()]
        n_wanted *= 2
