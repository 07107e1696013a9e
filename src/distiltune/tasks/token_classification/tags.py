"""Tags ↔ entities: IOB1, IOB2, BIOES, BILOU and bare labels read; IOB2 written.

One reading serves all of these schemes: it is conlleval's (Tjong Kim Sang 2000), as ``seqeval`` has it by default.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from distiltune.tasks.token_classification.examples import Entity

OUTSIDE = "O"
_PREFIXES = frozenset("BIESLU")
_AS_BIOES = {"L": "E", "U": "S"}


def entities_of(tags: Sequence[str]) -> list[Entity]:
    """The entities that the tags of one sentence mark.

    One begins at B and S, after E and S, and wherever inside is not preceded by the same label; it ends before the
    next begins and before O. Labels without a prefix are taken as I.
    """
    entities: list[Entity] = []
    start, before = -1, (OUTSIDE, "")
    for place, tag in enumerate((*tags, OUTSIDE)):
        prefix, label = split_tag(tag)
        goes_on = prefix in "IE" and before[0] in "BI" and label == before[1]
        if start >= 0 and not goes_on:
            entities.append(Entity(start, place, before[1]))
            start = -1
        if prefix != OUTSIDE and start < 0:
            start = place
        before = prefix, label
    return entities


def split_tag(tag: str) -> tuple[str, str]:
    """``B-place`` → ``("B", "place")``; a bare label counts as inside, L and U as E and S."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, dash, label = tag.partition("-")
    if dash and prefix in _PREFIXES:
        return _AS_BIOES.get(prefix, prefix), label
    return "I", tag


def iob2(n_words: int, entities: Iterable[Entity]) -> list[str]:
    """The tags of a sentence of so many words: B at an entity's first word, I at its others."""
    tags = [OUTSIDE] * n_words
    for entity in entities:
        tags[entity.start] = f"B-{entity.label}"
        for place in range(entity.start + 1, entity.end):
            tags[place] = f"I-{entity.label}"
    return tags


def tag_names(labels: Iterable[str]) -> tuple[str, ...]:
    """The tags that a model gives for these labels, in the order of their ids: O, then B and I of each label."""
    return (OUTSIDE, *(f"{prefix}-{label}" for label in sorted(set(labels)) for prefix in "BI"))
