"""What the Hugging Face hub's many errors mean to a user: unreachable, absent, gated, refused, no room.

``huggingface_hub`` is imported inside the functions because it costs a third of a second that most commands,
and every ``--help``, do not need.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar

from distiltune.errors import HubError
from distiltune.system.background import in_background

HubKind = Literal["model", "dataset"]
T = TypeVar("T")

HUB_DEADLINE_S = 12.0
"""Longest wait for the hub's first answer. The HTTP library's own timeout does not bound name look-up, and
counts again for each of a host's addresses, so that it alone can take minutes."""

_WORDS: dict[HubKind, str] = {"model": "model", "dataset": "data set"}
_ON_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}


def within_deadline(call: Callable[[], T], seconds: float | None = None) -> T:
    """The result of ``call()``, or ``TimeoutError`` once ``seconds`` have passed (default `HUB_DEADLINE_S`).

    The call goes on in a daemon thread after a timeout and its result is dropped: use it for look-ups only.
    Whatever the call raises is raised here.
    """
    seconds = HUB_DEADLINE_S if seconds is None else seconds
    called = in_background(call, "distiltune-hub-lookup")
    try:
        return called.result(seconds)
    except TimeoutError:
        if called.done():  # it is the call's own
            raise
        raise TimeoutError(f"no answer within {seconds:g} s") from None


@contextmanager
def hub_errors(name: str, kind: HubKind) -> Iterator[None]:
    """Turn whatever ``huggingface_hub`` raises inside the block into a `HubError` about ``name``.

    Its progress bars are left out where standard error is no terminal.
    ``name`` is the repository's name as the user gave it. Errors of other origin, `DistiltuneError` among
    them, pass through unchanged.
    """
    try:
        with bars_on_terminals_only():
            yield
    except Exception as error:
        translated = _translate(error, name, kind)
        if translated is None:
            raise
        raise translated from error


@contextmanager
def from_cache_only() -> Iterator[None]:
    """Within it the hub is not asked: what a file of somebody else names is looked for in the local cache alone.

    Nobody then learns that it was looked for, nor is the user's token sent for it.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@contextmanager
def bars_on_terminals_only() -> Iterator[None]:
    """Keep progress bars out of log files, unless HF_HUB_DISABLE_PROGRESS_BARS asks for them."""
    from huggingface_hub import constants, utils

    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    if is_terminal or constants.HF_HUB_DISABLE_PROGRESS_BARS is False or utils.are_progress_bars_disabled():
        yield
        return
    utils.disable_progress_bars()
    try:
        yield
    finally:
        utils.enable_progress_bars()


def _translate(error: Exception, name: str, kind: HubKind) -> HubError | None:
    """The `HubError` that says what ``error`` means, or None if it does not come from the hub."""
    # HTTPError is the base of the HTTP library's own errors; taken from here because huggingface_hub 1 uses
    # httpx and huggingface_hub 2 uses httpx2.
    from huggingface_hub import errors as hub
    from huggingface_hub.errors import HTTPError

    # The order matters: gated is a kind of "not found", and all of these are kinds of HTTPError or OSError.
    if isinstance(error, hub.GatedRepoError):
        return _gated(name, kind)
    if isinstance(error, hub.RepositoryNotFoundError):
        return _absent(name, kind)
    if isinstance(error, hub.RevisionNotFoundError):
        return _no_such_revision(name, kind)
    if isinstance(error, hub.OfflineModeIsEnabled) or isinstance(error.__cause__, hub.OfflineModeIsEnabled):
        return _offline(name, kind)
    if isinstance(error, hub.LocalEntryNotFoundError):
        return _unreachable(name, kind, error.__cause__ or error)
    if isinstance(error, hub.EntryNotFoundError):
        return _no_such_file(name, kind, error)
    if isinstance(error, hub.HfHubHTTPError):
        return _refused(name, kind, error, error.response.status_code)
    if isinstance(error, HTTPError | TimeoutError | ConnectionError):
        return _unreachable(name, kind, error)
    if isinstance(error, hub.HFValidationError):
        return _bad_name(name, kind)
    if isinstance(error, OSError) and error.errno in _ON_THE_DISK:
        return _not_stored(name, kind, error)
    return None


def _endpoint() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _page(name: str, kind: HubKind) -> str:
    """The address of the repository's page."""
    return f"{_endpoint()}/{'datasets/' if kind == 'dataset' else ''}{name}"


def _two_ways_on(kind: HubKind) -> str:
    if kind == "dataset":
        return "give a local file or directory, or the word `starter`"
    return "give a local model directory, or `starter` to fine-tune or `starter-qa` to ask questions"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _unreachable(name: str, kind: HubKind, error: BaseException) -> HubError:
    return HubError(
        f"The Hugging Face hub cannot be reached, and the {_WORDS[kind]} {name!r} is not in the local cache.",
        where=f"{_endpoint()} ({type(error).__name__}: {_first_line(error)})",
        fix=f"{_two_ways_on(kind)}; or check the network and try again.",
    )


def _offline(name: str, kind: HubKind) -> HubError:
    return HubError(
        f"The {_WORDS[kind]} {name!r} is not in the local cache, and HF_HUB_OFFLINE forbids to fetch it.",
        where=_page(name, kind),
        fix=f"{_two_ways_on(kind)}; or unset HF_HUB_OFFLINE to fetch it.",
    )


def _absent(name: str, kind: HubKind) -> HubError:
    log_in = "" if os.environ.get("HF_TOKEN") else " If it is private, log in with `hf auth login`."
    return HubError(
        f"The Hugging Face hub has no {_WORDS[kind]} {name!r} that you may read, and no local path.",
        where=_page(name, kind),
        fix=f"check the spelling, `owner/name` as on the hub.{log_in} Otherwise {_two_ways_on(kind)}.",
    )


def _gated(name: str, kind: HubKind) -> HubError:
    return HubError(
        f"The {_WORDS[kind]} {name!r} is gated: its owner wants you to ask for access first.",
        where=_page(name, kind),
        fix=f"ask on that page, then log in with `hf auth login` or set HF_TOKEN; or {_two_ways_on(kind)}.",
    )


def _no_such_revision(name: str, kind: HubKind) -> HubError:
    return HubError(
        f"The {_WORDS[kind]} {name!r} has no such revision.",
        where=_page(name, kind),
        fix="take a branch, tag or commit that its page on the hub lists.",
    )


def _no_such_file(name: str, kind: HubKind, error: BaseException) -> HubError:
    return HubError(
        f"The {_WORDS[kind]} {name!r} lacks a file that is needed.",
        where=f"{_page(name, kind)} ({_last_line(error)})",
        fix=f"take another {_WORDS[kind]}, or {_two_ways_on(kind)}.",
    )


def _last_line(error: BaseException) -> str:
    """The line that names the file: the message's last one that holds an address, or its first line."""
    lines = [line.strip() for line in str(error).splitlines() if "://" in line]
    return lines[-1] if lines else _first_line(error)


def _refused(name: str, kind: HubKind, error: BaseException, status: int) -> HubError:
    reasons = {401: "log in with `hf auth login` or set HF_TOKEN", 403: "check that your token may read it"}
    fix = reasons.get(status, "wait a while and try again")
    return HubError(
        f"The Hugging Face hub answered {status} when asked for the {_WORDS[kind]} {name!r}.",
        where=f"{_page(name, kind)} ({_first_line(error)})",
        fix=f"{fix}, or {_two_ways_on(kind)}.",
    )


def _bad_name(name: str, kind: HubKind) -> HubError:
    return HubError(
        f"{name!r} is neither a path that exists nor a name that the Hugging Face hub could have.",
        where=name,
        fix=f"write `owner/name`, or {_two_ways_on(kind)}.",
    )


def _not_stored(name: str, kind: HubKind, error: OSError) -> HubError:
    from huggingface_hub import constants

    return HubError(
        f"The {_WORDS[kind]} {name!r} could not be stored in the local cache: {error.strerror}.",
        where=str(error.filename or constants.HF_HUB_CACHE),
        fix="make room, or set HF_HOME to a folder that can be written to.",
    )
