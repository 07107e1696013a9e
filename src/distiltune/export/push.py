"""A model directory onto the Hugging Face hub: its card is checked first, and only what belongs to a model is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from distiltune.errors import HubError, ModelError
from distiltune.inference.onnx_model import ONNX_FILE
from distiltune.model.source import resolve_model
from distiltune.system.hub import bars_on_terminals_only
from distiltune.system.names import as_name

_MODEL_FILES: Final = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "README.md"),
    *("model.safetensors", "model.safetensors.index.json", "example.py", ONNX_FILE),
)
"""Pickles and weights of the TensorFlow era are none: they may hold code, which would go out under the user's name."""
_TELLS_OF_ITS_MAKING: Final = ("README.md", "config.json", "tokenizer_config.json", "special_tokens_map.json")
_SHARD: Final = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_NEEDED: Final = ("config.json", "tokenizer.json", "README.md")
_OWN_MACHINE: Final = re.compile(r"(?:/(?:home|Users|root|tmp)/|[A-Za-z]:\\Users\\)[^\s`'\")<]*")


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was put on the hub.

    Attributes:
        name: as ``owner/name``.
        url: of its page.
        commit: forty hex digits.
        files: what was sent, by name.

    """

    name: str
    url: str
    commit: str
    files: tuple[str, ...]


def push(model: str | Path, name: str, *, private: bool = False, message: str = "Model made with distiltune") -> Pushed:
    """Put a model directory on the hub, as one commit; the repository is made if there is none.

    The token is that of ``hf auth login`` or of HF_TOKEN.

    Args:
        model: a run, or a model directory; also an exported ONNX folder.
        name: ``owner/name`` on the hub.
        private: whether the repository is to be private; one that is there already must be.
        message: of the commit.

    Raises:
        ModelError: if the directory is not whole or its card is not fit to be shown.
        HubError: if nobody is logged in, the repository is public although ``private`` was asked for, or the hub
            refuses or cannot be reached.

    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    local = as_name(model, "model")
    if not Path(local).exists():
        raise ModelError("There is no such model here.", where=local, fix="give a run or a model directory")
    directory = resolve_model(local)
    files = model_files(directory)
    check_card(directory / "README.md")
    _check_settings(files)
    if get_token() is None:
        raise HubError(
            "Nobody is logged in to the Hugging Face hub.",
            where=name,
            fix="log in with `hf auth login`, or set HF_TOKEN; the token must be allowed to write",
        )
    api = HfApi()
    with bars_on_terminals_only():
        with _writing(name, "the model card was checked", "nothing was changed there"):
            _let_the_hub_check(directory / "README.md")  # or a card that it refuses would leave an empty repository
        with _writing(name, "the repository was to be made", "no file was sent"):
            owner_and_name = api.create_repo(name, private=private, exist_ok=True).repo_id
        if private:  # one that was there already stays as it is, whatever was asked for
            with _writing(owner_and_name, "it was asked whether the repository is private", "no file was sent"):
                _check_private(api.model_info(owner_and_name).private, f"{api.endpoint}/{owner_and_name}")
        with _writing(
            owner_and_name, "the files were sent", "the repository is there, most likely without these files"
        ):
            done = api.create_commit(
                owner_and_name,
                [CommitOperationAdd(path.name, path) for path in files],
                commit_message=message,
            )
    return Pushed(
        name=owner_and_name,
        url=f"{api.endpoint}/{owner_and_name}",
        commit=done.oid,
        files=tuple(path.name for path in files),
    )


def model_files(directory: Path) -> Sequence[Path]:
    """What of a directory belongs to its model, by name.

    Raises:
        ModelError: if something that a model needs is not there, or is a link: what it leads to may be anything.

    """
    files = [
        path
        for path in sorted(directory.iterdir())
        if path.is_file() and (path.name in _MODEL_FILES or _SHARD.fullmatch(path.name))
    ]
    if (link := next((path for path in files if path.is_symlink()), None)) is not None:
        raise ModelError(
            f"{link.name} is a link, and what it leads to would be sent.",
            where=f"{link} → {link.resolve()}",
            fix="if that is right, put a copy in its place",
        )
    names = {path.name for path in files}
    missing = [name for name in _NEEDED if name not in names]
    if not names & {ONNX_FILE, "model.safetensors"} and not any(_SHARD.fullmatch(name) for name in names):
        missing.append("model.safetensors")
    if missing:
        raise ModelError(
            f"The model directory is not whole: there is no {', no '.join(missing)}.",
            where=str(directory),
            fix="push what `distiltune train`, `convert` or `export` wrote; `convert` makes it of older forms",
        )
    return files


def check_card(path: Path) -> None:
    """See that a model card says what it must, in a form that the hub reads, and nothing of this machine.

    Raises:
        ModelError: naming all that is wrong with it.

    """
    from huggingface_hub import ModelCard

    text = _text_of(path)
    try:
        card = ModelCard(text, ignore_metadata_errors=False)
        data: dict[str, Any] = card.data.to_dict()
    except Exception as error:  # the YAML library's, and several of the hub library's
        first = next(iter(str(error).splitlines()), "")
        raise _bad_card(path, [f"its front matter cannot be read ({type(error).__name__}: {first})"]) from error
    wrong = [f"its front matter has no {key}" for key in ("library_name", "tags") if not data.get(key)]
    if not re.search(r"^# \S", card.text, re.MULTILINE):
        wrong.append("it has no title")
    if "```" not in card.text:
        wrong.append("it does not show how the model is used")
    wrong += [f"it names a place on your machine: {place}" for place in _own_places(text)]
    if wrong:
        raise _bad_card(path, wrong)


def _check_settings(files: Sequence[Path]) -> None:
    """See that what is sent beside the card names no place on this machine either.

    Raises:
        ModelError: naming the file and the places.

    """
    for path in files:
        if path.name in _TELLS_OF_ITS_MAKING and (places := _own_places(_text_of(path))):
            raise ModelError(
                f"{path.name} names a place on your machine: {', '.join(places)}.",
                where=str(path),
                fix="take it out there; nothing was sent",
            )


def _own_places(text: str) -> list[str]:
    return sorted(set(_OWN_MACHINE.findall(text)))


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(f"The file is no UTF-8 text: {error}.", where=str(path), fix="save it as UTF-8") from error


def _let_the_hub_check(path: Path) -> None:
    from huggingface_hub import ModelCard

    try:
        ModelCard(path.read_text(encoding="utf-8")).validate()
    except ValueError as error:  # its text is what the hub says against the card, as JSON
        raise ModelError(f"The hub refuses the model card: {error}", where=str(path), fix="edit the card") from error


def _check_private(is_private: bool | None, url: str) -> None:
    if not is_private:
        raise HubError(
            "The repository is public, and --private was asked for; no file was sent.",
            where=url,
            fix="make it private in its settings, choose another name, or push without --private",
        )


def _bad_card(path: Path, wrong: Sequence[str]) -> ModelError:
    return ModelError(
        f"The model card is not fit to be shown: {'; '.join(wrong)}.",
        where=str(path),
        fix="edit the card, or let `distiltune train` write it anew",
    )


@contextmanager
def _writing(name: str, when: str, state: str) -> Iterator[None]:
    """Say what the hub's refusals mean to somebody who wants to write.

    Args:
        name: of the repository.
        when: what was being done, as the end of "answered 500 when …".
        state: how things are on the hub if that fails.

    """
    from huggingface_hub import constants
    from huggingface_hub import errors as hub
    from huggingface_hub.errors import HTTPError

    try:
        yield
    except hub.HFValidationError as error:
        raise HubError(f"{name!r} is no name that the hub could have.", fix="write `owner/name`") from error
    except hub.OfflineModeIsEnabled as error:
        raise HubError("HF_HUB_OFFLINE forbids to reach the hub.", where=name, fix="unset it") from error
    except hub.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise HubError(
                f"The Hugging Face hub does not let you write to {name!r} ({status}).",
                where=constants.ENDPOINT,
                fix="choose a name under your own account, and log in with a token that may write",
            ) from error
        first = next(iter(str(error).splitlines()), "")
        raise HubError(
            f"The Hugging Face hub answered {status} when {when}; {state}.",
            where=f"{constants.ENDPOINT}, {name} ({first})",
            fix="wait a while and try again",
        ) from error
    except (HTTPError, TimeoutError, ConnectionError) as error:
        raise HubError(
            f"The Hugging Face hub cannot be reached: it failed when {when}; {state}.",
            where=f"{constants.ENDPOINT}, {name} ({type(error).__name__})",
            fix="check the network and try again; a commit is made whole or not at all",
        ) from error
