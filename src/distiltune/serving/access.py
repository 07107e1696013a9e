"""Who may ask a server: by which names it is addressed, from which pages, with which key."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

_NEEDS_KEY: Final = ("/api/", "/metrics", "/openapi.json", "/docs")
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not taken: an HTTP status, the three parts of an error, and headers of the answer."""

    status: int
    what: str
    where: str
    fix: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask.

    Attributes:
        hosts: names that requests may address the server by (421 otherwise); empty: any.
        api_key: what requests to the API must bring (401 otherwise); empty: nothing. The page itself and the health of
            the server are for everybody.
        metrics_on_loopback: whether only this machine may read the metrics (403 otherwise).

    """

    hosts: tuple[str, ...] = ()
    api_key: str = field(default="", repr=False)
    metrics_on_loopback: bool = False

    def refusal(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> Refusal | None:
        """Why this request is not taken, or None."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self.hosts and _name(host) not in self.hosts:
            what = "This server does not answer by that name."
            return Refusal(421, what, "header Host", "start it with --allow-host NAME")
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and not _is_own_page(host, headers):
            return Refusal(
                403,
                "A page of another site sent this request.",
                "headers Origin and Sec-Fetch-Site",
                "ask from this server's own page or from a program; a proxy in between must hand the Host header on",
            )
        path = str(scope["path"])
        if self.metrics_on_loopback and path == "/metrics" and not is_loopback((scope.get("client") or ("",))[0]):
            what = "The metrics are read on the server's own machine only."
            return Refusal(403, what, path, "read them there, or start it without --metrics-on-loopback")
        if self.api_key and _needs_key(path) and not self._has_key(headers):
            return Refusal(
                401,
                "This server wants its key.",
                "header Authorization",
                'send the header "Authorization: Bearer KEY", with the key that the server was started with',
                ((b"www-authenticate", b"Bearer"),),
            )
        return None

    def _has_key(self, headers: Mapping[bytes, bytes]) -> bool:
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self.api_key.encode())


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    return host in ("localhost", "::1", "[::1]") or host.startswith("127.")


def _needs_key(path: str) -> bool:
    """Whether a path is of the API, also of one of several models: ``/api/model``, ``/leases/api/model``."""
    below = "/" + path.removeprefix("/").partition("/")[2]
    return any(each.startswith(_NEEDS_KEY) for each in (path, below))


def _is_own_page(host: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether what a browser says of the page that sends this speaks for our own; programs say nothing of the kind."""
    if headers.get(b"sec-fetch-site", b"none") not in (b"same-origin", b"none"):
        return False
    if (given := headers.get(b"origin")) is None:
        return True
    origin = urlsplit(given.decode("latin-1").lower())
    port = _DEFAULT_PORTS.get(origin.scheme, "")
    return bool(origin.netloc) and origin.netloc.removesuffix(port) == host.removesuffix(port)


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    return host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
