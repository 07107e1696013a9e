"""Columns of 0 and 1, one for each label: which they are, and how they are named."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from distiltune.data.column_names import columns_text
from distiltune.tasks.text_classification.columns import TextColumns


def bit_of(value: object) -> bool | None:
    """0 or 1 in whatever way it is written; None for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}.get(
            value.strip().lower()
        )
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else None


def bit_columns(rows: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """The columns that hold 0 or 1 in each row, in their order; none of no rows."""
    found: list[str] | None = None
    for row in rows:
        found = [name for name in (row if found is None else found) if bit_of(row.get(name)) is not None]
        if not found:
            break
    return tuple(map(str, found or ()))


def plain_columns(rows: Iterable[Mapping[str, object]], columns: TextColumns) -> tuple[str, ...]:
    """Two columns or more beside the texts and the id that are nothing but labels: 0 or 1 in each row."""
    own = {columns.text, columns.pair, columns.id, columns.label, columns.labels, columns.sample_weight}
    in_order = iter(rows)
    first = next(in_order, {})
    others = [str(name) for name in first if name not in own]
    found = [name for name in bit_columns(itertools.chain([first], in_order)) if name not in own]
    return tuple(found) if found == others and len(found) > 1 else ()


def way_to_name_bits(names: Sequence[str], before: str = "") -> str:
    """The flag that reads these columns as labels."""
    more = columns_text({"labels": "+".join(names)})
    return f"--columns {before},{more}" if before else f"--columns {more}"
