"""Whether a tokenizer makes small what its vocabulary has in capitals, or the other way round: both say nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from distiltune.errors import ModelError
from distiltune.model.small_json import read_json

_CONFIG: Final = "tokenizer_config.json"
_SAY: Final = "do_lower_case"
_SHARE: Final = 0.01
"""Of its pieces, a share with capitals above which a vocabulary is a cased one; BERT's has 35 %, uncased ones none."""
_FEWEST: Final = 1_000
"""Pieces without any capital from which on their absence says something."""


@dataclass(frozen=True, slots=True)
class CaseDoubt:
    """What is doubtful about capitals: a kind, a sentence, and the way out."""

    kind: str
    message: str
    fix: str

    @property
    def note(self) -> str:
        """All of it in one."""
        return f"{self.message} {self.fix[0].upper()}{self.fix[1:]}."


def lowers_case(tokenizer: Tokenizer) -> bool | None:
    """Whether the tokenizer makes capitals small; None if it is not of BERT's form."""
    normalizer = json.loads(tokenizer.to_str())["normalizer"] or {}
    return bool(normalizer["lowercase"]) if normalizer.get("type") == "BertNormalizer" else None


def case_doubt(directory: Path, tokenizer: Tokenizer) -> CaseDoubt | None:
    """What is doubtful about capitals in the tokenizer of a model directory; None if nothing is.

    Raises:
        ModelError: if ``tokenizer_config.json`` cannot be read.

    """
    lowers = lowers_case(tokenizer)
    if lowers is None:
        return None
    pieces = [piece for piece in tokenizer.get_vocab(with_added_tokens=False) if not piece.startswith("[")]
    n_capital = sum(piece != piece.lower() for piece in pieces)
    said = said_of_case(directory)
    if lowers and n_capital > _SHARE * len(pieces):
        who = f"{_CONFIG} says so" if said else f"{_CONFIG} does not say otherwise"
        return CaseDoubt(
            "vocabulary_cased",
            f"Texts are made lower-case, as {who}, and {n_capital:,} of the vocabulary's {len(pieces):,} pieces have "
            "capitals, which are never used then: it is a cased model.",
            f'write "{_SAY}": false into {_CONFIG}',
        )
    if not lowers and n_capital == 0 and len(pieces) >= _FEWEST:
        return CaseDoubt(
            "vocabulary_uncased",
            f"Capitals are kept, and none of the vocabulary's {len(pieces):,} pieces has one: each word with a capital "
            "becomes [UNK].",
            f'write "{_SAY}": true into {_CONFIG}',
        )
    if not lowers and said is None:
        return CaseDoubt(
            "case_unsaid",
            f"The tokenizer keeps capitals, and {_CONFIG} does not say so: transformers would make them small.",
            f'write "{_SAY}": false into {_CONFIG}, or `distiltune convert` the model',
        )
    return None


def said_of_case(directory: Path) -> bool | None:
    """What ``tokenizer_config.json`` says of lower case; None if nothing."""
    file = directory / _CONFIG
    said = read_json(file).get(_SAY) if file.is_file() else None
    return said if isinstance(said, bool) else None


def check_case(directory: Path, tokenizer: Tokenizer) -> None:
    """Check that ``tokenizer.json`` and ``tokenizer_config.json`` agree on lower case; `transformers` follows the last.

    Raises:
        ModelError: if they do not.

    """
    said, lowers = said_of_case(directory), lowers_case(tokenizer)
    if said is None or lowers is None or said == lowers:
        return
    does = "makes texts lower-case" if lowers else "keeps capitals"
    raise ModelError(
        f"tokenizer.json {does}, and {_CONFIG} says {_SAY}: {str(said).lower()}.",
        where=str(directory),
        fix=f'write "{_SAY}": {str(lowers).lower()} if tokenizer.json is right; otherwise remove that file, and the '
        "tokenizer is made of vocab.txt.",
    )
