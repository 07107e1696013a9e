from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.tasks.token_classification.examples import Entity
from distiltune.tasks.token_classification.tags import entities_of, iob2, tag_names

LABELS = ("loc", "per", "org-unit")


@st.composite
def marked(draw: st.DrawFn) -> tuple[int, list[Entity]]:
    """A sentence's length and entities in it that share no word, next to each other too."""
    cuts = draw(st.lists(st.integers(0, 12), min_size=2, max_size=8, unique=True).map(sorted))
    chosen = [pair for pair in pairwise(cuts) if draw(st.booleans())]
    return 12, [Entity(start, end, draw(st.sampled_from(LABELS))) for start, end in chosen]


def write(n: int, entities: Sequence[Entity], scheme: str) -> list[str]:
    """The tags of a scheme, written plainly."""
    tags = ["O"] * n
    before: Entity | None = None
    for entity in entities:
        inside = list(range(entity.start, entity.end))
        touches = before is not None and before.end == entity.start and before.label == entity.label
        for place in inside:
            prefix = "I"
            if scheme == "IOB1":
                prefix = "B" if place == entity.start and touches else "I"
            elif place == entity.start:
                prefix = "B"
            if scheme in ("BIOES", "BILOU"):
                if len(inside) == 1:
                    prefix = "S" if scheme == "BIOES" else "U"
                elif place == inside[-1]:
                    prefix = "E" if scheme == "BIOES" else "L"
            tags[place] = f"{prefix}-{entity.label}"
        before = entity
    return tags


@pytest.mark.parametrize("scheme", ["IOB1", "IOB2", "BIOES", "BILOU"])
@given(marked())
def test_every_scheme_reads_back(scheme: str, sentence: tuple[int, list[Entity]]) -> None:
    n, entities = sentence
    assert entities_of(write(n, entities, scheme)) == entities


@given(marked())
def test_what_is_written_is_iob2(sentence: tuple[int, list[Entity]]) -> None:
    n, entities = sentence
    tags = iob2(n, entities)
    assert tags == write(n, entities, "IOB2")
    assert set(tags) <= set(tag_names(LABELS))


def test_bare_labels_and_tags_that_break_the_rules() -> None:
    assert entities_of(["loc", "loc", "O", "per"]) == [Entity(0, 2, "loc"), Entity(3, 4, "per")]
    assert entities_of(["O", "I-loc", "I-per", "E-per", "I-per"]) == [
        *(Entity(1, 2, "loc"), Entity(2, 4, "per"), Entity(4, 5, "per"))
    ]
