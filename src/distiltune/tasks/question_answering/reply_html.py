"""A reply as short HTML, for a notebook's cell; what comes from questions and documents is escaped.

Each such text stands in an element of its own direction, so that no sign in it turns what is beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def reply_html(
    question: str,
    answer: str,
    said: str,
    sentence: tuple[str, str, str] | None,
    others: Iterable[tuple[float, str, str]],
    notes: Iterable[str],
) -> str:
    """The reply.

    Args:
        question: as asked.
        answer: its text, or a sentence that there is none.
        said: of the answer: how sure, and where.
        sentence: what is before the answer in its sentence, the answer, and what is behind; None if there is none.
        others: confidence, text and place of what else might be the answer.
        notes: what is remarkable.

    """
    parts = [
        f'<div style="opacity:0.75">{_own(question)}</div>',
        f'<div style="font-size:115%;font-weight:600">{_own(answer)}</div>',
        f'<div style="opacity:0.75">{_own(said)}</div>',
    ]
    if sentence is not None:
        before, inside, after = map(escape, sentence)
        marked = f'<mark style="background:#ffe08a;color:#1c2126">{inside}</mark>'
        parts.append(f'<blockquote style="margin:0.3em 0 0.3em 0.5em"><bdi>{before}{marked}{after}</bdi></blockquote>')
    rows = "".join(
        f"<tr><td>{confidence:.0%}</td><td style='text-align:left'>{_own(text)}</td><td>{_own(place)}</td></tr>"
        for confidence, text, place in others
    )
    if rows:
        parts.append(f"<details><summary>other candidates</summary><table>{rows}</table></details>")
    parts += [f"<div>note: {_own(note)}</div>" for note in notes]
    return f'<div style="line-height:1.45">{"".join(parts)}</div>'


def _own(text: str) -> str:
    return f"<bdi>{escape(text)}</bdi>"
