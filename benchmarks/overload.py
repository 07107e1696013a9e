"""`distiltune serve` under what it cannot do: ``python -m benchmarks.overload --model RUN``.

Long texts from many clients at once, ten times the tokens that it can read, sockets that say nothing, many PDFs. Every
request must be answered or refused within the time that an answer may take, `/healthz` must answer within a second all
along, no answer may differ from the one that the model gives alone, and the memory must stay.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import platform
import random
import socket
import statistics
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.load import Client, Request, as_request
from benchmarks.serving import OUR_PORT, RESULTS, Server
from distiltune.system.device import describe_machine
from distiltune.tasks.question_answering.answerer import Answerer
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.question_data import load_examples

LONG_CHARACTERS: Final = 44_000
LONG_REQUESTS: Final = 6
"""Different ones, since each must be answered once in peace."""

N_LONG, N_SOCKETS, N_PDFS = 32, 200, 24
PDF_PAGES: Final = 400


@dataclass(slots=True)
class Seen:
    """What clients saw: an outcome a request, as (status, seconds), and how many answers were wrong."""

    outcomes: list[tuple[int, float]] = field(default_factory=list)
    wrong: int = 0
    incomplete: int = 0
    retry_after: list[int] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Counts by status, and the longest and the median time of each."""
        seconds = {status: sorted(s for each, s in self.outcomes if each == status) for status, _ in self.outcomes}
        return {
            "statuses": dict(Counter(status for status, _ in self.outcomes)),
            "seconds_median": {status: round(statistics.median(each), 3) for status, each in seconds.items()},
            "seconds_longest": {status: round(each[-1], 3) for status, each in seconds.items()},
            "wrong": self.wrong,
            "incomplete": self.incomplete,
            "retry_after_s": [min(self.retry_after), max(self.retry_after)] if self.retry_after else [],
        }


class Watch:
    """Looks at the server five times a second: how long `/healthz` takes, and how much memory there is in use."""

    def __init__(self, server: Server) -> None:
        self._server, self._stop = server, threading.Event()
        self.seconds: list[float] = []
        self.failed = 0
        self.memory: list[float] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            began = time.perf_counter()
            try:
                urllib.request.urlopen(f"{self._server.url}/healthz", timeout=10).read()
            except OSError:
                self.failed += 1
            self.seconds.append(time.perf_counter() - began)
            self.memory.append(self._server.memory_mib)

    def stop(self) -> dict[str, Any]:
        """What was seen."""
        self._stop.set()
        self._thread.join()
        return {
            "healthz_longest_s": round(max(self.seconds), 3),
            "healthz_failed": self.failed,
            "memory_mib_first": round(self.memory[0]),
            "memory_mib_most": round(max(self.memory)),
            "memory_mib_last": round(self.memory[-1]),
        }


def long_requests(model: str, examples: Sequence[Example], host: str) -> list[Request]:
    """Questions about texts of 44 kB, with the answers that the model gives alone."""
    answerer, rng = Answerer(model), random.Random(0)
    contexts = list(dict.fromkeys(example.context for example in examples))
    requests = []
    for example in rng.sample(list(examples), LONG_REQUESTS):
        parts = [example.context]
        while sum(map(len, parts)) < LONG_CHARACTERS:
            parts.append(rng.choice(contexts))
        rng.shuffle(parts)
        text = "\n\n".join(parts)[:LONG_CHARACTERS]
        body = {"questions": [example.question], "documents": [{"text": text}], "n_best": 1, "passages": 0}
        requests.append(as_request(host, "/api/answers", body, answerer(example.question, text, n_best=1).text))
    return requests


def pdf(n_pages: int) -> bytes:
    """A PDF of so many pages."""
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    named = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    font = DictionaryObject({NameObject(key): NameObject(value) for key, value in named.items()})
    for number in range(n_pages):
        page = writer.add_blank_page(600, 800)
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        lines = " ".join(f"(Line {i} of page {number} says little more.) Tj 0 -14 Td" for i in range(45))
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 10 Tf 40 760 Td {lines} ET".encode())
        page[NameObject("/Contents")] = stream
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


async def send(host: str, request: Request, seen: Seen) -> int:
    """Send one on a connection of its own; its status (0: broken off), or how long to wait as a negative number."""
    name, _, port = host.partition(":")
    client, began = Client(name, int(port)), time.perf_counter()
    try:
        status, headers, body = await client.send(request)
    except (OSError, asyncio.IncompleteReadError):
        status, headers, body = 0, {}, b""
    client.close()
    seen.outcomes.append((status, time.perf_counter() - began))
    if status == 200 and request.expected:
        reply = json.loads(body)
        answer = reply["replies"][0]["answer"]
        seen.incomplete += not reply["complete"]
        seen.wrong += bool(reply["complete"]) and (answer["text"] if answer else "") != request.expected
    if status == 503:
        seen.retry_after.append(int(headers["retry-after"]))
        return -seen.retry_after[-1]
    return status


async def at_once(host: str, requests: Sequence[Request]) -> Seen:
    """All at once, each tried once."""
    seen = Seen()
    await asyncio.gather(*(send(host, request, seen) for request in requests))
    return seen


async def until_answered(host: str, requests: Sequence[Request]) -> Seen:
    """All at once; who is refused comes again when told to."""
    seen = Seen()

    async def client(request: Request) -> None:
        while (status := await send(host, request, seen)) < 0:
            await asyncio.sleep(-status)

    await asyncio.gather(*map(client, requests))
    return seen


async def at_rate(host: str, requests: Sequence[Request], per_second: float, seconds: float) -> Seen:
    """So many a second, whether or not those before are answered."""
    seen, tasks, order = Seen(), [], random.Random(1)
    began = time.perf_counter()
    for number in range(int(per_second * seconds)):
        await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
        tasks.append(asyncio.ensure_future(send(host, order.choice(requests), seen)))
    await asyncio.gather(*tasks)
    return seen


async def beside_silent_sockets(host: str, requests: Sequence[Request], seconds: float) -> Seen:
    """Sockets that say nothing, and as many that send half of a head, while a client asks."""
    name, _, port = host.partition(":")
    sockets = []
    for number in range(2 * N_SOCKETS):
        sockets.append(socket.create_connection((name, int(port)), timeout=10))
        if number % 2:
            sockets[-1].sendall(b"POST /api/answers HTTP/1.1\r\nHost: ")
    seen, until = Seen(), time.perf_counter() + seconds
    while time.perf_counter() < until:
        await send(host, random.Random(2).choice(requests), seen)
    for each in sockets:
        each.close()
    return seen


def measured(server: Server, work: Callable[[], Awaitable[Seen]]) -> dict[str, Any]:
    """What clients saw, beside what was seen of the server meanwhile."""
    watch = Watch(server)
    time.sleep(0.5)
    seen = asyncio.run(_awaited(work()))
    time.sleep(1.0)
    return seen.as_json() | watch.stop()


async def _awaited(work: Awaitable[Seen]) -> Seen:
    return await work


def main() -> None:
    """Run, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="starter-qa")
    parser.add_argument("--data", nargs="+", default=["starter"], help="questions and passages to make texts of")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each stretch")
    parser.add_argument("--answer-seconds", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS / "overload.json")
    arguments = parser.parse_args()
    host = f"127.0.0.1:{OUR_PORT}"
    examples = load_examples(arguments.data, "validation", "", 0.05).examples
    requests = long_requests(arguments.model, examples, host)
    command = ("distiltune", "serve", arguments.model, "--precision", "float32", "--port", str(OUR_PORT))
    more = ("--answer-seconds", str(arguments.answer_seconds), "--threads", str(arguments.threads))
    server = Server(*command, *more, url=f"http://{host}")
    content = pdf(PDF_PAGES)
    head = f"POST /api/text?kind=pdf HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(content)}\r\n\r\n"
    found: dict[str, Any] = {}

    def keep(name: str, work: Callable[[], Awaitable[Seen]]) -> None:
        found[name] = measured(server, work)
        print(json.dumps({name: found[name]}), flush=True)

    try:
        keep("one long request", lambda: at_once(host, requests[:1]))
        alone = found["one long request"]["seconds_longest"][200]
        some = [requests[i % LONG_REQUESTS] for i in range(N_LONG)]
        keep(f"{N_LONG} long requests at once", lambda: at_once(host, some))
        keep(f"{N_LONG} at once, who come again", lambda: until_answered(host, some))
        keep("10 times overload by tokens", lambda: at_rate(host, requests, 10 / alone, arguments.seconds))
        keep(f"{2 * N_SOCKETS} silent sockets", lambda: beside_silent_sockets(host, requests, arguments.seconds))
        keep(f"{N_PDFS} PDFs at once", lambda: at_once(host, [Request(head.encode() + content, "")] * N_PDFS))
    finally:
        status = server.stop()
    results = {
        "machine": describe_machine(torch.device("cpu")).as_json(),
        "python": platform.python_version(),
        "model": Path(arguments.model).name,
        "answer_seconds": arguments.answer_seconds,
        "threads": arguments.threads,
        "exit_status_after_sigterm": status,
        **found,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
