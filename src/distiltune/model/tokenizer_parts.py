"""What a ``tokenizer.json`` may be made of: the parts of BERT's tokenizers, within bounds.

The library runs whatever the file says, and some of it has no end: regular expressions, replacements that multiply a
text, a word of 2^40 characters that is looked up piece by piece, a part that stops the process. So parts are not
refused that are known to be bad; those are taken that DistilBERTs have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from distiltune.errors import ModelError
from distiltune.model.config import shown

MAX_WORD_CHARACTERS: Final = 200
"""The longest word that may be cut into pieces, BERT's 100 twice: the time grows with the square of it."""

MAX_ADDED_TOKENS: Final = 100_000
MAX_TOKEN_CHARACTERS: Final = 1_000

MAX_ID: Final = 10_000_000
"""The largest id of a token: the library makes room for all below it when it writes a tokenizer."""

_MAX_PARTS: Final = 16
_MAX_PREFIX: Final = 16
_MODELS: Final = frozenset({"WordPiece", "WordLevel"})
_MADE_OF: Final[Mapping[str, frozenset[str]]] = {
    "normalizer": frozenset(
        {"BertNormalizer", "Lowercase", "StripAccents", "NFC", "NFD", "NFKC", "NFKD", "Strip", "Sequence"}
    ),
    "pre_tokenizer": frozenset(
        {"BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Punctuation", "Digits", "Sequence"}
    ),
    "post_processor": frozenset({"BertProcessing", "TemplateProcessing", "Sequence"}),
    "decoder": frozenset({"WordPiece", "Sequence"}),
}
_LISTS: Final = ("normalizers", "pretokenizers", "processors", "decoders", "single", "pair")


def check_parts(parts: Mapping[str, Any], file: Path) -> None:
    """Check what a tokenizer is made of before it is built.

    Raises:
        ModelError: if there is a part that no DistilBERT's tokenizer has, or one that is out of bounds.

    """
    for place, allowed in _MADE_OF.items():
        for part in _inside(parts.get(place), file, place):
            kind = part.get("type")
            if not isinstance(kind, str) or kind not in allowed:
                raise _refused(f"has the {place} {shown(kind)}", file)
    _check_model(parts.get("model"), file)
    added = parts.get("added_tokens") or []
    if not isinstance(added, list) or len(added) > MAX_ADDED_TOKENS:
        raise _refused(f"has no list of at most {MAX_ADDED_TOKENS:,} added tokens", file)
    for token in added:
        content = token.get("content") if isinstance(token, dict) else None
        if not isinstance(content, str) or not 0 < len(content) <= MAX_TOKEN_CHARACTERS:
            raise _refused(f"adds a token that is not of 1 to {MAX_TOKEN_CHARACTERS:,} characters", file)


def _inside(part: object, file: Path, place: str, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """A part and the parts that it is a sequence of."""
    if part is None and not depth:
        return
    if not isinstance(part, dict) or depth > 2:
        raise _refused(f"has a {place} that is none", file)
    yield part
    for name in _LISTS:
        listed = part.get(name, [])
        if not isinstance(listed, list) or len(listed) > _MAX_PARTS:
            raise _refused(f"has a {place} of more than {_MAX_PARTS} parts", file)
        for each in listed if name not in ("single", "pair") else []:
            yield from _inside(each, file, place, depth + 1)


def _check_model(model: object, file: Path) -> None:
    if not isinstance(model, dict):
        raise _refused("has no vocabulary", file)
    # the first files of the library do not name it
    kind = model.get("type", "WordPiece" if "max_input_chars_per_word" in model else None)
    if not isinstance(kind, str) or kind not in _MODELS:
        raise _refused(f"has the model {shown(kind)}", file)
    longest = model.get("max_input_chars_per_word", 100)
    if type(longest) is not int or not 0 <= longest <= MAX_WORD_CHARACTERS:
        raise _refused(f"cuts words of {shown(longest)} characters, where {MAX_WORD_CHARACTERS} may be", file)
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict) or any(type(i) is not int or not 0 <= i <= MAX_ID for i in vocabulary.values()):
        raise _refused(f"has a token whose id is not 0 to {MAX_ID:,}", file)
    prefix = model.get("continuing_subword_prefix", "")
    if not isinstance(prefix, str) or len(prefix) > _MAX_PREFIX:
        raise _refused(f"has pieces that begin with more than {_MAX_PREFIX} characters", file)


def _refused(what: str, file: Path) -> ModelError:
    return ModelError(
        f"The tokenizer {what}, which no DistilBERT's does.",
        where=str(file),
        fix="use a model with a BERT tokenizer.",
    )
