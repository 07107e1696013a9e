"""Clients on loopback, in a process of their own: ``python -m benchmarks.load URL REQUESTS.json --clients 64``.

Each client keeps one connection and sends its next request when the last is answered, or not before its turn where an
``--interval`` is given. It prints one JSON object: how many answers by status, seconds for each, wrong ones.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(slots=True)
class Outcome:
    """What the clients saw."""

    seconds: float = 0.0
    sent: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    retry_after_missing: int = 0
    wrong: int = 0
    broken: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """A request's bytes and the answer that it must get, empty if any will do."""

    data: bytes
    expected: str


class Client:
    """One connection that is opened again whenever it is closed."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Send, and read the whole answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        try:
            writer.write(request.data)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        except BaseException:
            self.close()
            raise
        if headers.get("connection") == "close":
            self.close()
        return int(head[0].split()[1]), headers, body

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def as_request(host: str, path: str, body: dict[str, Any], expected: str) -> Request:
    """The bytes of a POST."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    return Request(head.encode() + b"\r\n\r\n" + content, expected)


async def load(url: str, requests: list[Request], n_clients: int, seconds: float, interval: float) -> Outcome:
    """Let the clients work for so long."""
    parts = urlsplit(url)
    outcome = Outcome()
    began = time.perf_counter()
    until = began + seconds

    async def work(number: int) -> None:
        client = Client(parts.hostname or "", parts.port or 80)
        order = random.Random(number)
        due = began + order.random() * interval
        while time.perf_counter() < until:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            due += interval
            request = order.choice(requests)
            outcome.sent += 1
            sent = time.perf_counter()
            try:
                status, headers, body = await client.send(request)
            except (OSError, asyncio.IncompleteReadError):
                outcome.broken += 1
                await asyncio.sleep(0.02)
                continue
            if status == 200:
                outcome.latencies.append(time.perf_counter() - sent)
                outcome.wrong += bool(request.expected) and _answer(json.loads(body)) != request.expected
            elif status == 503 and "retry-after" not in headers:
                outcome.retry_after_missing += 1
            outcome.statuses[str(status)] = outcome.statuses.get(str(status), 0) + 1
        client.close()

    await asyncio.gather(*(work(number) for number in range(n_clients)))
    outcome.seconds = time.perf_counter() - began
    return outcome


def _answer(reply: dict[str, Any]) -> str:
    """The answer's text in either server's form."""
    if "replies" in reply:
        answer = reply["replies"][0]["answer"]
        return answer["text"] if answer else ""
    return str(reply["answer"])


def main() -> None:
    """Read the requests, send them, print what came back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("requests", type=Path)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--interval", type=float, default=0.0)
    arguments = parser.parse_args()
    host = urlsplit(arguments.url).netloc
    rows = json.loads(arguments.requests.read_text(encoding="utf-8"))
    requests = [as_request(host, row["path"], row["body"], row["expected"]) for row in rows]
    outcome = asyncio.run(load(arguments.url, requests, arguments.clients, arguments.seconds, arguments.interval))
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
