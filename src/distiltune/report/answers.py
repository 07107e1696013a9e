"""Replies to questions, as lines for a terminal."""

from __future__ import annotations

from rich.text import Text

from distiltune.errors import with_controls_shown
from distiltune.inference.certainty import certainty
from distiltune.tasks.question_answering.answerer import Reply
from distiltune.tasks.question_answering.found_answers import FoundAnswer
from distiltune.tasks.question_answering.reply_notes import ALWAYS_ANSWERS

_PLACES_SHOWN = 3


def answer_lines(reply: Reply, *, show_question: bool, show_others: bool) -> list[Text]:
    """The answer, its confidence and place, and the sentence around it with the answer marked."""
    lines = [Text(with_controls_shown(reply.question), style="dim")] if show_question else []
    if reply.answer is None:
        lines.append(Text("no answer in this text", style="bold"))
        lines.append(Text(_sure(reply.no_answer_confidence)))
    else:
        lines.append(Text(_on_one_line(reply.answer.text), style="bold"))
        lines.append(Text(f"{_sure(reply.answer.confidence)}, {with_controls_shown(reply.answer.place)}"))
        lines.append(_marked(reply.answer))
        lines += [Text(with_controls_shown(line)) for line in _elsewhere(reply.answer)]
    notes = [note for note in reply.notes if note != ALWAYS_ANSWERS]  # which is told once for all
    lines += [Text(with_controls_shown(f"note: {note}")) for note in notes]
    if show_others:
        for other in reply.candidates[0 if reply.answer is None else 1 :]:
            lines.append(
                Text(f"  {other.confidence:>4.0%}  {_on_one_line(other.text)}  ({with_controls_shown(other.place)})")
            )
    return lines


def _elsewhere(answer: FoundAnswer) -> list[str]:
    """Where the same answer stands too."""
    if not answer.other_places:
        return []
    shown = "; ".join(place.in_words for place in answer.other_places[:_PLACES_SHOWN])
    n_more = len(answer.other_places) - _PLACES_SHOWN
    return [f"also in {shown}{f'; and {n_more:,} more places' if n_more > 1 else '; and 1 more place' * (n_more == 1)}"]


def _sure(confidence: float) -> str:
    return f"{certainty(confidence)}, confidence {confidence:.0%}"


def _marked(answer: FoundAnswer) -> Text:
    """The sentence with the answer's characters in bold; brackets around them where there is no bold."""
    before, _, after = answer.in_sentence
    return Text.assemble(
        _on_one_line(before, keep_end=True),
        ("[" + _on_one_line(answer.text) + "]", "bold"),
        _on_one_line(after, keep_start=True),
    )


def _on_one_line(text: str, *, keep_start: bool = False, keep_end: bool = False) -> str:
    """White space runs as single spaces, the ends stripped unless kept; other control characters are shown."""
    folded = with_controls_shown(" ".join(text.split()))
    if keep_start and text[:1].isspace() and folded:
        folded = " " + folded
    if keep_end and text[-1:].isspace() and folded:
        folded += " "
    return folded
