"""Placing gold answers: exact characters of the context, whatever was given, or a reason why not."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from distiltune.tasks.question_answering.locate_answer import (
    LocatedAnswer,
    Misplaced,
    _fold,
    in_other_signs,
    inner,
    locate_answer,
)

TRICKY = (
    "a b\r\n\té e\u0301ﬁ İıßẞΣσς 한글 ᄒ\u1161ᆫ עברית\u200f🙂👩\u200d👩\u200d👧\ufeff\u00a0\u3000\u0345A\u0327\u0301Å½"
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(TRICKY), max_size=40)


@st.composite
def spans(draw: st.DrawFn) -> tuple[str, int, int]:
    """A context, and the start and end of a span of it that neither begins nor ends with white space."""
    context = draw(TEXTS.filter(lambda text: bool(text.strip())))
    start = draw(st.integers(0, len(context) - 1))
    end = draw(st.integers(start + 1, len(context)))
    start, end = inner(context, start, end)
    assume(start < end)
    return context, start, end


def _placed(context: str, text: str, start: int | None) -> LocatedAnswer:
    placed = locate_answer(context, text, start)
    assert isinstance(placed, LocatedAnswer), placed
    assert context[placed.answer.start : placed.answer.end] == placed.answer.text
    return placed


def _found(context: str, text: str, start: int | None) -> tuple[str, int, str | None]:
    placed = _placed(context, text, start)
    return placed.answer.text, placed.answer.start, placed.repair


def _reason(context: str, text: str, start: int | None) -> str:
    placed = locate_answer(context, text, start)
    assert isinstance(placed, Misplaced), placed
    return placed.reason


@given(spans())
def test_an_exact_span_comes_back_exactly(span: tuple[str, int, int]) -> None:
    context, start, end = span
    assert _found(context, context[start:end], start) == (context[start:end], start, None)


@given(spans(), st.integers(-50, 50))
def test_a_moved_span_that_is_unique_is_found(span: tuple[str, int, int], wrong: int) -> None:
    context, start, end = span
    text = context[start:end]
    assume(wrong != start and context.find(text) == context.rfind(text))
    found_text, found_start, repair = _found(context, text, wrong)
    assert (found_text, found_start) == (text, start)
    assert repair in ("answer_moved", "answer_at_nearest", "offset_in_bytes", "offset_in_utf16")
    assert _found(context, text, None) == (text, start, None)


@given(spans())
def test_offsets_in_bytes_and_utf16(span: tuple[str, int, int]) -> None:
    context, start, end = span
    text = context[start:end]
    assume(context.find(text) == context.rfind(text))
    for offset in (len(context[:start].encode()), len(context[:start].encode("utf-16-le")) // 2):
        placed = _placed(context, text, offset)
        assert placed.answer.start == start
        if offset != start:
            assert placed.repair in ("offset_in_bytes", "offset_in_utf16")


@given(TEXTS, TEXTS, st.none() | st.integers(-3, 60))
@example("\u0345", "ι", None)
@example("a\u0301\u0327", "\u00e1\u0327", 0)
def test_whatever_is_given_the_answer_is_in_the_context(context: str, text: str, start: int | None) -> None:
    placed = locate_answer(context, text, start)
    if isinstance(placed, LocatedAnswer):
        assert context[placed.answer.start : placed.answer.end] == placed.answer.text
        assert placed.answer.text.strip()
        first, stop = inner(text, 0, len(text))
        assert placed.repair == "answer_respelled" or placed.answer.text in (text, text[first:stop])


@given(spans(), st.booleans())
def test_another_unicode_form_is_found(span: tuple[str, int, int], composed: bool) -> None:
    context, start, _ = span
    text = unicodedata.normalize("NFC" if composed else "NFD", f" {context} ")
    # the whole context, so that it is unique and ends between characters
    assert _placed(context, text, start).answer.text.strip() == context.strip()


@given(st.text(st.characters(codec="ascii"), max_size=20))
def test_the_quick_fold_of_ascii_is_the_plain_one(text: str) -> None:
    quick = _fold(f"{text}|")
    plain = _fold(f"{text}|é")  # not ASCII, and so folded the long way
    n_key = len(quick.key)
    assert (plain.key[:n_key], [*plain.starts[:n_key]]) == (quick.key, [*quick.starts])
    assert [*plain.stops[:n_key]] == [*quick.stops]


@pytest.mark.parametrize(
    ("context", "text", "start", "expected"),
    [
        ("one two one", "one", 8, ("one", 8, None)),
        ("one two three", "two", 0, ("two", 4, "answer_moved")),
        ("one two three", "two", -1, ("two", 4, "answer_moved")),
        ("one two three", "two", 999, ("two", 4, "answer_moved")),
        # one occurrence is nearest
        ("one two " + "x" * 50 + " two", "two", 6, ("two", 4, "answer_at_nearest")),
        # white space, at the ends and inside
        ("in  New\r\n York.", " New York ", None, ("New\r\n York", 4, "answer_respelled")),
        ("New\u00a0York", "New York", 0, ("New\u00a0York", 0, "answer_respelled")),
        # case, also where its length changes
        ("Die STRASSE", "straße", 4, ("STRASSE", 4, "answer_respelled")),
        ("Die Straße hier", "STRASSE", 1, ("Straße", 4, "answer_respelled")),
        ("In İstanbul now", "i\u0307stanbul", 3, ("İstanbul", 3, "answer_respelled")),
        ("ΟΔΟΣ", "οδός".replace("ό", "ο"), 0, ("ΟΔΟΣ", 0, "answer_respelled")),
        # Unicode forms
        ("a cafe\u0301 there", "café", 2, ("cafe\u0301", 2, "answer_respelled")),
        ("a café there", "cafe\u0301", 2, ("café", 2, "answer_respelled")),
        ("the ﬁnal", "final", 4, ("ﬁnal", 4, "answer_respelled")),
        ("한글", unicodedata.normalize("NFD", "한글"), 0, ("한글", 0, "answer_respelled")),
        (unicodedata.normalize("NFD", "한글!"), "한글", 0, ("한글", 0, "answer_respelled")),
        # several spellings, but one of them at the offset
        ("One one ONE", " oNe", 4, ("one", 4, "answer_respelled")),
        ("SOL Sol here", "SOL", 4, ("Sol", 4, "answer_respelled")),
        # offsets of other units
        ("é🙂 here", "here", 7, ("here", 3, "offset_in_bytes")),
        ("é🙂 here", "here", 4, ("here", 3, "offset_in_utf16")),
        ("🙂 ab ab ab", "ab", 6, ("ab", 5, "offset_in_utf16")),
    ],
)
def test_places(context: str, text: str, start: int | None, expected: tuple[str, int, str | None]) -> None:
    text_found, at, repair = _found(context, text, start)
    assert (unicodedata.normalize("NFC", text_found), at, repair) == (
        unicodedata.normalize("NFC", expected[0]),
        *expected[1:],
    )


@pytest.mark.parametrize(
    ("context", "text", "start", "reason"),
    [
        ("one two", "three", 0, "answer_not_found"),
        ("one two", "three", None, "answer_not_found"),
        ("one two", "", 0, "answer_empty"),
        ("one  two", "  ", 3, "answer_empty"),
        # equally near, too far, or no place at all
        ("ab   x  ab", "ab", 4, "answer_ambiguous"),
        ("ab" + " " * 99 + "ab", "ab", 50, "answer_ambiguous"),
        ("ab ab", "ab", -1, "answer_ambiguous"),
        ("Ab aB", "ab", 1, "answer_ambiguous"),
        # inside a character that is written in several code points, or in one
        ("a café there", "cafe ", None, "answer_not_found"),
        ("a cafe\u0301 there", "CAFE", None, "answer_not_found"),
        ("the ﬁnal", "i", None, "answer_not_found"),
        ("the ﬁnal", "inal", 5, "answer_not_found"),
        (unicodedata.normalize("NFD", "한글"), "하", None, "answer_not_found"),
    ],
)
def test_reasons(context: str, text: str, start: int | None, reason: str) -> None:
    assert _reason(context, text, start) == reason


@pytest.mark.parametrize(
    ("context", "text", "start", "expected"),
    [
        ("Signed by Ida Brandt, master, in May", " Ida Brandt", 9, ("Ida Brandt", 10, "answer_trimmed")),
        ("Signed by Ida Brandt, master, in May", "master, ", 22, ("master,", 22, "answer_trimmed")),
        ("\n  The ferry left", "\n  The ferry", 0, ("The ferry", 3, "answer_trimmed")),
        ("Signed by Ida Brandt", " Ida ", 10, ("Ida", 10, "answer_trimmed")),  # counted without the space
        ("Ida and Ida", " Ida", 7, ("Ida", 8, "answer_trimmed")),
        ("at the\u200bpier", "\u200bpier", 6, ("pier", 7, "answer_trimmed")),
        ("é🙂 at the pier", " the ", 9, ("the", 6, "offset_in_bytes")),
        # slipped by one, which the check puts right: what is trimmed would be cut all the same
        ("at the pier", " pie", 6, (" pie", 6, None)),
    ],
)
def test_white_space_at_an_end_is_no_part_of_an_answer(
    context: str, text: str, start: int | None, expected: tuple[str, int, str | None]
) -> None:
    assert _found(context, text, start) == expected


@given(spans(), st.text(" \t\n\u00a0\u200b", max_size=3), st.text(" \t\n\u00a0\u200b", max_size=3))
def test_blanks_around_an_exact_span_change_nothing(span: tuple[str, int, int], before: str, after: str) -> None:
    context, start, end = span
    whole = f"{context[:start]} {before}{context[start:end]}{after} {context[end:]}"
    placed = _placed(whole, f"{before}{context[start:end]}{after}", start + 1)
    assert (placed.answer.text, placed.answer.start) == (context[start:end], start + 1 + len(before))


def test_without_offset_the_first_of_several_is_taken() -> None:
    placed = _placed("one two one", "one", None)
    assert (placed.answer.start, placed.is_ambiguous, placed.repair) == (0, True, None)
    assert not _placed("one two", "one", None).is_ambiguous


def test_lone_surrogates_do_not_crash() -> None:
    locate_answer("a\ud83d b \ude42é", "b", 5)
    locate_answer("a\ud83d\ude42é b", "\ude42", 3)


@pytest.mark.parametrize(
    ("context", "text", "expected"),
    [
        ("It’s the mill’s lease.", "the mill's lease", "the mill’s lease"),
        ("the “Herring Fair”", '"herring fair"', "“Herring Fair”"),
        ("96 metres long – was put up", "long - was", "long – was"),
        ("it's so", "it’s", "it's"),
        ("İ said “yes”", '"yes"', "“yes”"),  # a letter that gets longer when it is made small
        ("nothing of it", "the mill's", ""),
        ("nothing of it", "", ""),
    ],
)
def test_what_differs_by_its_quotation_marks_or_dashes(context: str, text: str, expected: str) -> None:
    assert in_other_signs(context, text) == expected
