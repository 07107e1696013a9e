"""Gold answers in all the forms that files have them in → texts with offsets, still unchecked.

A text that is absent, null or empty means that no answer is given, wherever it stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from distiltune.data.literals import literal
from distiltune.tasks.question_answering.raw_question import Decision, NotKnown, RawAnswer, RawAnswers

START_NAMES: Final = ("answer_start", "start", "start_char", "char_start", "span_start")
"""What the offset of an answer is called, the usual name first."""
RANGE_NAMES: Final = ("answer_char_ranges", "char_ranges", "char_spans")
"""What stretches of characters are called that hold the answer: pairs of offsets, or ``24:31|None`` as NewsQA has."""
END_NAMES: Final = ("answer_end", "end", "end_char", "char_end", "span_end")
"""What is called where an answer ends."""

IN_A_CELL: Final = Decision(
    "answers_in_a_cell", "Answers that are written into a cell as a list or a dictionary were read as such."
)

EMPTY: Final = Decision(
    "answers_empty", "Empty texts where answers would be are read as none given: such a question is unanswerable."
)


def nested_answers(value: object) -> RawAnswers | str:
    """The answers of a column ``answers``, or a sentence that says what is wrong with it.

    It is a list of ``{"text", "answer_start"}`` as in SQuAD's files, a list of texts, or
    ``{"text": [...], "answer_start": [...]}`` as the hub has it, or one of these written as text; nothing if absent or
    empty.
    """
    if _is_not_given(value) or value == []:
        return RawAnswers()
    if isinstance(value, NotKnown):
        return value.reason
    if isinstance(value, str):
        spelled = literal(value)
        if spelled is None:
            return (
                "`answers` is text, neither a list nor an object with `text` and `answer_start`; if it is the answer "
                "itself: --columns answer_text=answers."
            )
        return _also(nested_answers(spelled), IN_A_CELL)
    if isinstance(value, dict):
        return _of_object(value)
    if not isinstance(value, list):
        kind = type(value).__name__
        return f"`answers` is of type {kind}, neither a list nor an object with `text` and `answer_start`."
    given: list[RawAnswer] = []
    decisions: list[Decision] = []
    for answer in value:
        if isinstance(answer, dict) and "text" in answer:
            found = _of_object(answer)
            if isinstance(found, str):
                return found
            given += found.given
            decisions += found.decisions or ([EMPTY] if _is_not_given(answer["text"]) else [])
        elif isinstance(answer, str):
            given += [] if _is_not_given(answer) else [RawAnswer(answer, None)]
            decisions += [EMPTY] if _is_not_given(answer) else []
        elif answer is not None:
            return "`answers` has an element that is neither a text nor an object with `text`."
    return RawAnswers(tuple(given), tuple(dict.fromkeys(decisions)))


def _of_object(value: Mapping[object, object]) -> RawAnswers | str:
    """One object with a text or several, and an offset for each."""
    if "text" not in value:
        return "`answers` has no `text`."
    name = next((name for name in START_NAMES if value.get(name) is not None), "")
    if name:
        found = flat_answers(value["text"], value[name])
        return found if name == START_NAMES[0] else _also(found, offsets_from(name))
    name = next((name for name in RANGE_NAMES if value.get(name) is not None), "")
    if not name:
        return flat_answers(value["text"], None)
    pairs = _pairs(value[name])
    if pairs is None:
        return f"`{name}` is neither a pair of offsets nor a list of pairs."
    if _is_not_given(value["text"]):
        return RawAnswers()
    return RawAnswers(tuple(RawAnswer(value["text"], first) for first, _ in pairs), (offsets_from(name),))


def flat_answers(texts: object, starts: object) -> RawAnswers | str:
    """Answers of a text or a list of texts, with an offset, a list of as many, or none."""
    all_texts = texts if isinstance(texts, list) else [texts]
    if all(map(_is_not_given, all_texts)):
        return RawAnswers((), (EMPTY,) if isinstance(texts, list) and texts else ())
    if isinstance(starts, str) and (spelled := literal(starts)) is not None:
        starts = spelled
    if starts is None or starts in ("", []):
        return RawAnswers(tuple(RawAnswer(text, None) for text in all_texts if not _is_not_given(text)))
    if isinstance(texts, str) and (pair := _pairs(starts)) and len(pair) == 1 and _fit(pair[0], texts):
        return RawAnswers((RawAnswer(texts, pair[0][0]),), (_PAIR,))
    all_starts = starts if isinstance(starts, list) else [starts]
    if len(all_texts) != len(all_starts):
        return f"There are {len(all_texts)} answer texts but {len(all_starts)} offsets."
    pairs = zip(all_texts, all_starts, strict=True)
    return RawAnswers(tuple(RawAnswer(text, start) for text, start in pairs if not _is_not_given(text)))


def _fit(pair: tuple[int, int], text: str) -> bool:
    """Whether the second offset is where the text ends, or its last character."""
    return pair[1] - pair[0] in (len(text), len(text) - 1)


_PAIR: Final = Decision("offset_pair", "The offsets come in pairs: the first is where the answer begins.")


def answers_of_cell(text: object, context: object) -> tuple[object, tuple[Decision, ...]]:
    """What is spelled in a cell, texts or objects with one each, if the context does not have just these characters."""
    spelled = literal(text) if isinstance(text, str) else None
    each_of = spelled if isinstance(spelled, list) else [spelled]
    if not all(isinstance(each, str) for each in each_of) and not all(
        isinstance(each, dict) and "text" in each for each in each_of
    ):
        return text, ()
    if isinstance(context, str) and isinstance(text, str) and text.strip() in context:
        return text, ()
    return spelled, (IN_A_CELL,)


def answers_of_ranges(value: object, context: object, name: str) -> RawAnswers | str:
    """The stretches of a context that are named by their offsets, those that most annotators marked first.

    ``24:31|30:33,40:45|None`` has the marks of three people, the last of whom found no answer; where most found none,
    there is none.
    """
    if not isinstance(context, str):
        return RawAnswers()
    marks = _marks(value) if isinstance(value, str) else None
    pairs = _pairs(value) if marks is None else marks
    if pairs is None:
        return f"`{name}` is neither pairs of offsets nor text such as 24:31|None."
    counts = Counter[tuple[int, int] | None](pairs)
    n_none = counts.pop(None, 0)
    decision = Decision(
        "answer_ranges", f"The answers are what stands at the offsets of `{name}`; the ends are left out."
    )
    if n_none > counts.total():
        return RawAnswers((), (decision,))
    given: list[RawAnswer] = []
    for pair, _ in counts.most_common():
        assert pair is not None
        first, stop = pair
        if not 0 <= first < stop <= len(context):
            return f"`{name}` has {first}:{stop}, which is not inside the context of {len(context)} characters."
        given.append(RawAnswer(context[first:stop], first))
    return RawAnswers(tuple(given), (decision,))


def answers_at_ranges(texts: object, value: object, context: object, name: str) -> RawAnswers | str:
    """Answers whose texts are given too, each at the stretch that holds it; without one, where the first begins.

    Args:
        texts: a text or a list of texts.
        value: the stretches, as `answers_of_ranges` takes them.
        context: that they are of.
        name: of the column of stretches.

    """
    marks = _marks(value) if isinstance(value, str) else None
    pairs = [pair for pair in marks if pair] if marks is not None else _pairs(value)
    if pairs is None:
        return f"`{name}` is neither pairs of offsets nor text such as 24:31|None."
    found = flat_answers(texts, None)
    if isinstance(found, str) or not found.given or not pairs:
        return found
    ranked = [pair[0] for pair, _ in Counter(pairs).most_common()]

    def start_of(text: object) -> int:
        held = (first for first in ranked if isinstance(context, str) and context.startswith(str(text), first))
        return next(held, ranked[0])

    given = tuple(RawAnswer(answer.text, start_of(answer.text)) for answer in found.given)
    return RawAnswers(given, (*found.decisions, offsets_from(name)))


def offsets_from(name: str) -> Decision:
    """That the offsets are in a place with another than the usual name."""
    return Decision("offsets_elsewhere", f"The answers' offsets are taken from `{name}`.")


def _also(found: RawAnswers | str, decision: Decision) -> RawAnswers | str:
    return found if isinstance(found, str) else RawAnswers(found.given, (*found.decisions, decision))


def _is_not_given(text: object) -> bool:
    return text is None or text == ""


def _marks(text: str) -> list[tuple[int, int] | None] | None:
    """Each person's stretches as NewsQA writes them, None where there is no answer; None if it is written otherwise."""
    marks: list[tuple[int, int] | None] = []
    for part in (part.strip() for person in text.split("|") for part in person.split(",")):
        first, colon, stop = part.partition(":")
        if part.lower() in ("none", ""):
            marks.append(None)
        elif colon and first.isdecimal() and stop.isdecimal():
            marks.append((int(first), int(stop)))
        else:
            return None
    return marks


def _pairs(value: object) -> list[tuple[int, int]] | None:
    """A pair of offsets or a list of pairs, also spelled in a text; None if it is neither."""
    if isinstance(value, str):
        value = literal(value)
    if not isinstance(value, list):
        return None
    rows: Sequence[object] = value if all(isinstance(each, list | dict) for each in value) else [value]
    pairs: list[tuple[int, int]] = []
    for row in rows:
        both = [row.get("start"), row.get("end")] if isinstance(row, dict) else row
        if not isinstance(both, list) or len(both) != 2 or any(type(each) is not int for each in both):
            return None
        pairs.append((both[0], both[1]))
    return pairs
