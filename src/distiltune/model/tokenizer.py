"""The tokenizer of a model directory: how it is read, and the files that it is saved by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel, WordPiece

from distiltune.data.panics import panics_told
from distiltune.errors import ModelError
from distiltune.model.added_tokens import add_tokens
from distiltune.model.small_json import check_size, read_json
from distiltune.model.tokenizer_parts import check_parts
from distiltune.model.vocabulary_case import check_case

TOKENIZER_FILES: Final = ("tokenizer.json", "vocab.txt")
"""The files that a tokenizer is read from, the preferred first."""

SPECIAL_TOKENS: Final = {  # the names in tokenizer_config.json → DistilBERT's and BERT's tokens
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


def tokenizer_file(directory: Path) -> Path:
    """The file that the tokenizer of a model directory is read from.

    Raises:
        ModelError: if the directory has none.

    """
    file = next((directory / name for name in TOKENIZER_FILES if (directory / name).is_file()), None)
    if file is None:
        raise ModelError(
            "The model directory has no tokenizer.",
            where=str(directory),
            fix=f"put {' or '.join(TOKENIZER_FILES)} of the model that it was made from into it.",
        )
    return file


def load_tokenizer(directory: Path) -> Tokenizer:
    """The tokenizer of a model directory, with truncation and padding switched off.

    Without ``tokenizer.json`` it is built from ``vocab.txt`` as BERT's; whether it lowers case, strips
    accents and sets Chinese characters apart is read from ``tokenizer_config.json``, and is as for uncased
    BERT where not said. Tokens that other files of the directory add are added.

    Raises:
        ModelError: if there is no tokenizer, it cannot be read, lacks [CLS] or [SEP], or its files contradict each
            other.

    """
    file = tokenizer_file(directory)
    with panics_told(
        "The tokenizer cannot be read.", str(file), "fetch or copy the file again; it is damaged or not complete."
    ):
        tokenizer = _from_vocabulary(file) if file.name == "vocab.txt" else _from_json(file)
        add_tokens(tokenizer, directory)
        check_case(directory, tokenizer)
        tokenizer.no_truncation()
        tokenizer.no_padding()
    absent = [token for token in ("[CLS]", "[SEP]") if tokenizer.token_to_id(token) is None]
    pieces = tokenizer.model
    # which fails at the first unknown word otherwise; a token that was only added to the vocabulary does not help it
    if isinstance(pieces, WordPiece | WordLevel) and pieces.token_to_id(pieces.unk_token) is None:
        absent.append(pieces.unk_token)
    if absent:
        raise ModelError(
            f"The tokenizer has no {' and no '.join(absent)}, which it needs.",
            where=str(file),
            fix="use a model with a BERT tokenizer.",
        )
    return tokenizer


def n_token_ids(tokenizer: Tokenizer) -> int:
    """How many embeddings the tokenizer's ids need: the largest id and one."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1


def _from_json(file: Path) -> Tokenizer:
    """The tokenizer that a ``tokenizer.json`` describes, if it is made of what DistilBERT's are made of."""
    check_parts(read_json(file), file)
    return Tokenizer.from_file(str(file))


def check_vocabulary_file(directory: Path, tokenizer: Tokenizer) -> None:
    """Check that ``vocab.txt``, where there is one beside ``tokenizer.json``, gives its tokens the same ids.

    Raises:
        ModelError: if it does not, so that it depends on the reader which model this is.

    """
    file = directory / "vocab.txt"
    if tokenizer_file(directory) == file or not file.is_file():
        return
    ids = tokenizer.get_vocab(with_added_tokens=True)
    try:
        check_size(file)
        listed = {token: i for i, token in enumerate(file.read_text(encoding="utf-8").split("\n")) if token}
    except (OSError, ValueError) as error:
        raise ModelError("vocab.txt cannot be read.", where=f"{file} ({error})", fix="fetch it again.") from error
    wrong = next((token for token, i in listed.items() if ids.get(token, i) != i), None)
    if wrong is not None:
        raise ModelError(
            f"vocab.txt gives {wrong!r} the id {listed[wrong]}, tokenizer.json {ids[wrong]}.",
            where=str(directory),
            fix="use the tokenizer files that the model was trained with.",
        )


def _from_vocabulary(file: Path) -> Tokenizer:
    """BERT's tokenizer with the vocabulary of a ``vocab.txt``, in which line n holds the token of id n."""
    beside = file.with_name("tokenizer_config.json")
    config = read_json(beside) if beside.is_file() else {}
    check_size(file)
    with file.open(encoding="utf-8") as lines:
        vocabulary = {line.rstrip("\n"): i for i, line in enumerate(lines)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=SPECIAL_TOKENS["unk_token"]))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=config.get("tokenize_chinese_chars", True),
        strip_accents=config.get("strip_accents"),
        lowercase=config.get("do_lower_case", True),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    if {"[CLS]", "[SEP]"} <= vocabulary.keys():
        tokenizer.post_processor = processors.BertProcessing(
            ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
        )
    tokenizer.add_special_tokens([token for token in SPECIAL_TOKENS.values() if token in vocabulary])
    return tokenizer


def tokenizer_files(tokenizer: Tokenizer, max_tokens: int) -> dict[str, bytes]:
    """File name → contents of what a model directory needs to hold this tokenizer.

    ``tokenizer.json``, ``tokenizer_config.json`` and, if the vocabulary can be written one token a line,
    ``vocab.txt``. ``max_tokens`` is the longest input that the model takes.
    """
    parts: dict[str, Any] = json.loads(tokenizer.to_str())
    files = {
        "tokenizer.json": tokenizer.to_str(pretty=True),
        "tokenizer_config.json": json.dumps(_tokenizer_config(tokenizer, parts, max_tokens), indent=2) + "\n",
    }
    vocabulary = _vocabulary_lines(parts)
    if vocabulary is not None:
        files["vocab.txt"] = vocabulary
    return {name: text.encode() for name, text in files.items()}


def _tokenizer_config(tokenizer: Tokenizer, parts: Mapping[str, Any], max_tokens: int) -> dict[str, Any]:
    """What transformers needs to build the same tokenizer again.

    Its DistilBertTokenizer builds anew from the vocabulary and these settings, so it is only named where the
    tokenizer has BERT's form throughout; the general class takes ``tokenizer.json`` as it is.
    """
    common = {
        **{name: token for name, token in SPECIAL_TOKENS.items() if tokenizer.token_to_id(token) is not None},
        "model_max_length": max_tokens,
        "clean_up_tokenization_spaces": False,
    }
    normalizer = parts.get("normalizer") or {}
    is_bert = (
        normalizer.get("type") == "BertNormalizer"
        and normalizer.get("clean_text") is True
        and (parts.get("pre_tokenizer") or {}).get("type") == "BertPreTokenizer"
        and parts["model"].get("type") == "WordPiece"
    )
    if not is_bert:
        return {"tokenizer_class": "PreTrainedTokenizerFast", **common}
    return {
        "tokenizer_class": "DistilBertTokenizer",
        "do_lower_case": normalizer["lowercase"],
        "strip_accents": normalizer["strip_accents"],
        "tokenize_chinese_chars": normalizer["handle_chinese_chars"],
        **common,
    }


def _vocabulary_lines(parts: Mapping[str, Any]) -> str | None:
    """The contents of ``vocab.txt``, or None where line numbers could not be the ids."""
    if parts["model"].get("type") != "WordPiece":
        return None
    ids: dict[str, int] = parts["model"]["vocab"]
    tokens = sorted(ids, key=ids.__getitem__)
    if [ids[token] for token in tokens] != list(range(len(tokens))) or any("\n" in token for token in tokens):
        return None
    return "".join(f"{token}\n" for token in tokens)
