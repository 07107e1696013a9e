"""Tokens that were added to a vocabulary, as the small files beside a tokenizer name them.

`transformers` reads them from ``tokenizer_config.json`` (``added_tokens_decoder``, ``additional_special_tokens``), or
else from ``added_tokens.json`` and ``special_tokens_map.json``, and gives those that the vocabulary lacks the ids after
its last. A tokenizer without them cuts such a word into pieces that the model never saw for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tokenizers import AddedToken, Tokenizer

from distiltune.errors import ModelError
from distiltune.model.small_json import read_json
from distiltune.model.tokenizer_parts import MAX_ADDED_TOKENS, MAX_TOKEN_CHARACTERS

_CONFIG: Final = "tokenizer_config.json"
_ADDED: Final = "added_tokens.json"
_MAP: Final = "special_tokens_map.json"
_NAMED: Final = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_LISTED: Final = ("additional_special_tokens", "extra_special_tokens")
_PARTS: Final = ("lstrip", "rstrip", "normalized", "single_word", "special")


@dataclass(frozen=True, slots=True)
class Declared:
    """A token that a file names; ``id`` is None where that gives it none, ``parts`` what it says of it."""

    content: str
    file: Path
    id: int | None = None
    parts: tuple[tuple[str, bool], ...] = ()

    def as_added(self) -> AddedToken:
        """The token as the tokenizers library takes it."""
        return AddedToken(self.content, **dict(self.parts))


def add_tokens(tokenizer: Tokenizer, directory: Path) -> None:
    """Add the tokens that the files of a model directory name to its tokenizer, as `transformers` does.

    Raises:
        ModelError: if a file cannot be read, or gives a token another id than it has then.

    """
    known = {str(token.content) for token in tokenizer.get_added_tokens_decoder().values()}
    declared = declared_tokens(directory)
    # in the order of their ids, which is that in which they were added
    ordered = sorted(declared, key=lambda each: (each.id is None, each.id or 0))
    new = []
    for each in ordered:
        if each.content not in known or (each.id is not None and each.file.name == _CONFIG):  # which wins
            known.add(each.content)
            new.append(each.as_added())
    tokenizer.add_tokens(new)  # at once, since each call looks at all that were added before
    for each in declared:
        found = tokenizer.token_to_id(each.content)
        if each.id is not None and found != each.id:
            raise ModelError(
                f"{each.file.name} gives the token {each.content!r} the id {each.id}, and it has {found} here.",
                where=str(directory),
                fix="use the tokenizer files that the model was trained with; added tokens go on from the vocabulary's "
                "last id without a gap.",
            )


def declared_tokens(directory: Path) -> list[Declared]:
    """The tokens that the files beside a tokenizer name, each once.

    Raises:
        ModelError: if a file cannot be read, or names something that is no token.

    """
    config = _read(directory / _CONFIG)
    if "added_tokens_decoder" in config:
        given = _of_decoder(config["added_tokens_decoder"], directory / _CONFIG)
        named, place = config, directory / _CONFIG
    else:
        named, place = {**config, **_read(directory / _MAP)}, directory / _MAP
        specials = {_content(named.get(name)) for name in _NAMED} | set(_listed(config))
        given = _of_added(_read(directory / _ADDED), directory / _ADDED, specials)
    found = {each.content: each for each in given}
    for content in (*_named(named), *_listed(named)):
        found.setdefault(content, Declared(content, place, parts=(("special", True), ("normalized", False))))
    too_long = next((each for each in found.values() if len(each.content) > MAX_TOKEN_CHARACTERS), None)
    if too_long is not None or len(found) > MAX_ADDED_TOKENS:
        raise ModelError(
            f"More than {MAX_ADDED_TOKENS:,} tokens are added, or one has more than {MAX_TOKEN_CHARACTERS:,} "
            "characters.",
            where=str(place if too_long is None else too_long.file),
            fix="use the tokenizer files that the model was trained with.",
        )
    return list(found.values())


def _read(file: Path) -> dict[str, Any]:
    return read_json(file) if file.is_file() else {}


def _of_decoder(tokens: object, file: Path) -> list[Declared]:
    """``{"30522": {"content": "<ent>", "lstrip": false, ...}}``."""
    found = []
    for number, token in tokens.items() if isinstance(tokens, Mapping) else [("", tokens)]:
        content = _content(token)
        if not isinstance(token, Mapping) or not content or not str(number).isdecimal():
            raise _no_token(token, file)
        parts = tuple((name, bool(token[name])) for name in _PARTS if name in token)
        found.append(Declared(content, file, int(number), parts))
    return found


def _of_added(tokens: Mapping[str, Any], file: Path, specials: Iterable[str]) -> list[Declared]:
    """``{"<ent>": 30522}``; such a token is compared with the text as the vocabulary's are, unless it is special."""
    found = []
    for content, number in tokens.items():
        if type(number) is not int or not content:
            raise _no_token({content: number}, file)
        is_special = content in specials
        found.append(Declared(content, file, number, (("special", is_special), ("normalized", not is_special))))
    return found


def _named(config: Mapping[str, Any]) -> list[str]:
    """The special tokens by their names, those of this model's own last."""
    own = [name for name in config if name.endswith("_token") and name not in _NAMED]
    contents = [_content(config.get(name)) for name in _NAMED]
    return [content for content in (*contents, *(config[name] for name in own)) if content and isinstance(content, str)]


def _listed(config: Mapping[str, Any]) -> list[str]:
    """The special tokens without a name."""
    lists = [config[name] for name in _LISTED if isinstance(config.get(name), list)]
    return [content for each in lists for content in map(_content, each) if content]


def _content(token: object) -> str:
    """What a token is written as; empty if it is none."""
    content = token.get("content") if isinstance(token, Mapping) else token
    return content if isinstance(content, str) else ""


def _no_token(token: object, file: Path) -> ModelError:
    return ModelError(
        f"{file.name} names something that is no token: {str(token)[:60]}.",
        where=str(file),
        fix="fetch or copy the file again.",
    )
