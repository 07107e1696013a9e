"""spaCy's training data → plain rows: pairs of a text and its annotations, documents of version 2, `Doc.to_json`.

Named things come out as ``spans`` of the text or as ``tags`` of ``tokens``, categories as ``cats``: name → 1 or 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from distiltune.data.plain_rows import Plain, Value, is_triple, spans_of_triples, without

_NO_TAG = "-"
"""What spaCy writes for a token of which nothing is known."""


def spacy_pairs(value: object) -> Iterator[Plain]:
    """``["text", {"entities": [[0, 3, "person"]]}]``; what else the object has, such as ``cats``, comes along."""
    if not (isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict)):
        return
    row: dict[str, object] = {"text": value[0], **without(value[1], "entities", "text")}
    triples = value[1].get("entities")
    if isinstance(triples, list):  # one that is no triple is told with its row
        row["spans"] = spans_of_triples(triples)
    held = [name for name in ("entities", "cats") if name in value[1]]
    yield Plain(row, f"rows are spaCy's pairs of a text and its {' and '.join(held) or 'annotations'}")


def spacy_docs(value: Value) -> Iterator[Plain]:
    """What `Doc.to_json` of version 3 writes: a text, ``ents`` with offsets, and perhaps ``cats``."""
    entities = value.get("ents")
    if not (isinstance(value.get("text"), str) and isinstance(entities, list) and "tokens" in value):
        return
    if all(isinstance(each, dict) and {"start", "end", "label"} <= each.keys() for each in entities):
        row: dict[str, object] = {"text": value["text"], "spans": [dict(each) for each in entities]}
        if value.get("cats"):
            row["cats"] = value["cats"]
        yield Plain(row, "rows are spaCy's documents, the spans are `ents`")


def spacy_documents(value: Value) -> Iterator[Plain]:
    """spaCy's JSON for its version 2: paragraphs of sentences of tokens.

    A row is a sentence with its tokens; a paragraph, if spans or categories are said of that; or the whole document, if
    it has the categories.
    """
    given = value.get("paragraphs")
    paragraphs = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    if not paragraphs or any("qas" in each for each in paragraphs):  # SQuAD's articles have paragraphs too
        return
    if categories := _categories(value.get("cats")):
        text = "\n".join(map(_text_of, paragraphs))
        if text.strip():
            told = "each of spaCy's documents is a row, its paragraphs parted by line ends; `cats` are its categories"
            yield Plain({"text": text, "cats": categories}, told)
        return
    for paragraph in paragraphs:
        yield from _paragraph(paragraph)


def _paragraph(paragraph: Value) -> Iterator[Plain]:
    text, entities = _text_of(paragraph), paragraph.get("entities")
    sentences = _sentences(paragraph)
    has_tags = any(token.get("ner", _NO_TAG) != _NO_TAG for tokens in sentences for token in tokens)
    row: dict[str, object] = {"text": text}
    held = []
    if isinstance(entities, list) and all(map(is_triple, entities)) and (entities or not has_tags):
        row["spans"] = spans_of_triples(entities)
        held.append("spans are `entities`")
    if categories := _categories(paragraph.get("cats")):
        row["cats"] = categories
        held.append("categories are `cats`")
        if has_tags and "spans" not in row:
            row.update(_tagged([token for tokens in sentences for token in tokens]))
            held.append("tags are `ner`")
    if text.strip() and held:
        yield Plain(row, f"each paragraph of spaCy's documents is a row, its {', its '.join(held)}")
        return
    for tokens in sentences:
        yield Plain(_tagged(tokens), "each sentence of spaCy's documents is a row, its tags are `ner`")


def _tagged(tokens: Sequence[Value]) -> dict[str, object]:
    row: dict[str, object] = {"tokens": [token["orth"] for token in tokens]}
    if any("ner" in token for token in tokens):
        row["tags"] = [token.get("ner") for token in tokens]
    return row


def _sentences(paragraph: Value) -> list[list[Value]]:
    """The tokens of each sentence that has some."""
    found = []
    sentences = paragraph.get("sentences")
    for sentence in sentences if isinstance(sentences, list) else ():
        tokens = sentence.get("tokens") if isinstance(sentence, dict) else None
        if isinstance(tokens, list) and all(isinstance(token, dict) and "orth" in token for token in tokens):
            found.append(tokens)
    return found


def _text_of(paragraph: Value) -> str:
    """The paragraph's text as it was, or its tokens with blanks between."""
    raw = paragraph.get("raw")
    if isinstance(raw, str) and raw.strip():
        return raw
    return " ".join(str(token["orth"]) for tokens in _sentences(paragraph) for token in tokens)


def _categories(value: object) -> dict[str, object]:
    """``[{"label": "joy", "value": 1.0}]`` or ``{"joy": 1.0}`` as the latter; empty if it is neither."""
    if isinstance(value, Mapping):
        return {str(name): each for name, each in value.items()}
    pairs = value if isinstance(value, list) else []
    if not all(isinstance(each, dict) and {"label", "value"} <= each.keys() for each in pairs):
        return {}
    return {str(each["label"]): each["value"] for each in pairs}
