"""The page's section on labels: each one's scores, and which is taken for which."""

from __future__ import annotations

from html import escape

from distiltune.report.markup import Section, scrolling_table
from distiltune.report.wording import plain
from distiltune.tasks.analysis import Analysis, Confusion, LabelScores


def label_sections(analysis: Analysis) -> list[Section]:
    """The sections, as far as the task has labels."""
    sections = []
    if analysis.labels:
        sections.append(Section("labels", "Label by label", _labels(analysis.labels)))
    if analysis.confusion is not None:
        sections.append(Section("confusion", "Which label is taken for which", _confusion(analysis.confusion)))
    return sections


def _labels(labels: tuple[LabelScores, ...]) -> str:
    rows = [
        f'<tr><th scope="row">{escape(plain(each.name))}</th><td>{each.n:,}</td><td>{each.n_given:,}</td>'
        f"<td>{_percent(each.precision, each.n_given)}</td><td>{_percent(each.recall, each.n)}</td>"
        f"<td>{_percent(each.f1, each.n + each.n_given)}</td></tr>"
        for each in labels
    ]
    caption = (
        "Precision: of what was given this label, so much is right. Recall: of what has it, so much was found. "
        "F1: their harmonic mean."
    )
    titles = ("Label", "There are", "Given", "Precision", "Recall", "F1")
    return scrolling_table(caption, titles, rows, kind="numbers")


def _percent(share: float, n: int) -> str:
    return f"{100 * share:.1f} %" if n else "–"


def _confusion(confusion: Confusion) -> str:
    names = [escape(plain(name)) for name in confusion.labels]
    rows = []
    for i, (name, counts) in enumerate(zip(names, confusion.counts, strict=True)):
        total = max(1, sum(counts))
        cells = "".join(
            f'<td class="{"right" if i == j else "wrong"} shade-{_shade(n, total)}">{n:,}</td>'
            for j, n in enumerate(counts)
        )
        rows.append(f'<tr><th scope="row">{name}</th>{cells}</tr>')
    more = f" Of {confusion.n_labels:,} labels the commonest are shown." if confusion.n_labels > len(names) else ""
    caption = (
        "A row is what is right, a column what was given; the darker, the more of its row. Off the diagonal are the "
        f"mistakes.{more}"
    )
    worst = _worst(confusion)
    table = scrolling_table(caption, ("Right \\ given", *map(plain, confusion.labels)), rows, kind="confusion")
    return f"<p>{escape(worst)}</p>\n{table}" if worst else table


def _shade(n: int, total: int) -> int:
    """0 to 5: how much of its row a cell holds."""
    return 0 if n == 0 else 1 + min(4, 5 * n // total)


def _worst(confusion: Confusion) -> str:
    """The commonest mistake in words; empty if there is none."""
    mistakes = [(n, i, j) for i, counts in enumerate(confusion.counts) for j, n in enumerate(counts) if i != j and n]
    if not mistakes:
        return ""
    n, i, j = max(mistakes, key=lambda each: (each[0], -each[1], -each[2]))
    right, given = (plain(confusion.labels[each]) for each in (i, j))
    return f"Most often {right!r} is taken for {given!r}: {n:,} times of {sum(confusion.counts[i]):,}."
