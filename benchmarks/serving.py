"""`distiltune serve` beside a plain FastAPI and transformers server, under load: ``python -m benchmarks.serving``.

Both servers run all the time and take turns, so that noise hits both alike. Then ten times what it can do is sent to
distiltune's: it must refuse the rest with 503 and Retry-After, answer nothing wrong, and keep its memory. Last it is
killed under load and started again.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from distiltune.system.device import describe_machine
from distiltune.tasks.question_answering.answerer import Answerer
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.question_data import load_examples

RESULTS = Path("benchmarks/results")
PACKAGES = ("distiltune", "torch", "transformers", "fastapi", "uvicorn")
CLIENTS = (1, 8, 64)
PLAIN_PORT, OUR_PORT = 8_751, 8_752


@dataclass(frozen=True, slots=True)
class Row:
    """One server under one load: medians over the rounds."""

    server: str
    clients: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    wrong: int
    not_answered: int


class Server:
    """A server's process."""

    def __init__(self, *command: str, url: str) -> None:
        self.url = url
        self._command = [sys.executable, "-m", *command]
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"{self.url}/openapi.json", timeout=5).read()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise SystemExit(f"{' '.join(self._command)} does not answer")

    @property
    def memory_mib(self) -> float:
        """Resident memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        found = re.search(r"VmRSS:\s+(\d+)", status)
        return int(found.group(1)) / 1024 if found else 0.0

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """End it; its exit status."""
        self.process.send_signal(with_signal)
        return self.process.wait(90)


@dataclass(frozen=True, slots=True)
class Served:
    """One of distiltune's servers: what it is called here, its model, its precision."""

    name: str
    model: str
    precision: str

    def start(self, port: int) -> Server:
        """Start it."""
        command = ("distiltune", "serve", self.model, "--precision", self.precision, "--port", str(port))
        return Server(*command, url=f"http://127.0.0.1:{port}")

    def requests(self, examples: Sequence[Example], file: Path) -> Path:
        """A file of requests with the answers that it must give: those that the same model gives one by one."""
        answerer = Answerer(self.model, precision=self.precision)
        rows = []
        for example in examples:
            body = {"questions": [example.question], "documents": [{"text": example.context}]}
            expected = answerer(example.question, example.context, n_best=1).text
            rows.append({"path": "/api/answers", "body": body, "expected": expected})
        file.write_text(json.dumps(rows), encoding="utf-8")
        return file


def plain_requests(examples: Sequence[Example], file: Path) -> Path:
    """A file of requests for the plain server."""
    bodies = [{"question": example.question, "context": example.context} for example in examples]
    file.write_text(json.dumps([{"path": "/answer", "body": body, "expected": ""} for body in bodies]))
    return file


def load(server: Server, requests: Path, clients: int, seconds: float, interval: float = 0.0) -> dict[str, Any]:
    """The clients' outcome."""
    arguments = ["--clients", str(clients), "--seconds", str(seconds), "--interval", str(interval)]
    command = [sys.executable, "-m", "benchmarks.load", server.url, str(requests), *arguments]
    outcome: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return outcome


def row(name: str, clients: int, outcomes: Sequence[dict[str, Any]]) -> Row:
    """Medians over the rounds; a rate counts answers only."""

    def percentile(outcome: dict[str, Any], share: float) -> float:
        ordered = sorted(outcome["latencies"])
        return 1e3 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")

    return Row(
        name,
        clients,
        statistics.median(len(outcome["latencies"]) / outcome["seconds"] for outcome in outcomes),
        statistics.median(percentile(outcome, 0.5) for outcome in outcomes),
        statistics.median(percentile(outcome, 0.99) for outcome in outcomes),
        sum(outcome["wrong"] for outcome in outcomes),
        sum(outcome["sent"] - len(outcome["latencies"]) for outcome in outcomes),
    )


def overload(server: Server, requests: Path, rate: float, seconds: float) -> dict[str, Any]:
    """Ten times the rate that it can do, from 800 clients."""
    before, samples, stop = server.memory_mib, [], threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            samples.append(server.memory_mib)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    outcome = load(server, requests, 800, seconds, interval=800 / (10 * rate))
    stop.set()
    watcher.join()
    answered = row("", 0, [outcome])
    return {
        "offered_per_second": outcome["sent"] / outcome["seconds"],
        "answered_per_second": answered.requests_per_second,
        "p99_ms_of_answered": answered.p99_ms,
        "statuses": outcome["statuses"],
        "connections_broken": outcome["broken"],
        "refused_without_retry_after": outcome["retry_after_missing"],
        "wrong": outcome["wrong"],
        "memory_mib_before": before,
        "memory_mib_most": max(samples, default=before),
        "healthy_after": load(server, requests, 1, 1.0)["statuses"],
    }


def kill_and_restart(server: Server, requests: Path, seconds: float) -> dict[str, Any]:
    """Killed in the middle of the load of 8 clients that try again, and started again."""
    outcomes: list[dict[str, Any]] = []
    clients = threading.Thread(target=lambda: outcomes.append(load(server, requests, 8, seconds)))
    clients.start()
    time.sleep(seconds / 4)
    server.stop(signal.SIGKILL)
    began = time.perf_counter()
    server.start()
    back = time.perf_counter() - began
    clients.join()
    (outcome,) = outcomes
    return {key: outcome[key] for key in ("statuses", "broken", "wrong")} | {"seconds_until_back": back}


def main() -> None:
    """Run, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="starter", help="a fine-tuned model directory")
    parser.add_argument("--onnx", help="an export of it, served as well")
    parser.add_argument("--data", nargs="+", default=["starter"], help="questions to send")
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each stretch")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    ways = [
        Served("distiltune", arguments.model, "auto"),
        Served("distiltune float32", arguments.model, "float32"),
        Served("distiltune int8", arguments.model, "int8"),
    ]
    if arguments.onnx:
        ways.append(Served("distiltune ONNX", arguments.onnx, "auto"))
    with tempfile.TemporaryDirectory() as folder:
        examples = load_examples(arguments.data, "validation", "", 0.05).examples[: arguments.questions]
        files = {way.name: way.requests(examples, Path(folder) / f"{way.name}.json") for way in ways}
        files["plain"] = plain_requests(examples, Path(folder) / "plain.json")
        plain = Server(
            "benchmarks.plain_server", arguments.model, str(PLAIN_PORT), url=f"http://127.0.0.1:{PLAIN_PORT}"
        )
        servers = {"plain": plain} | {way.name: way.start(OUR_PORT + i) for i, way in enumerate(ways)}
        contestants = {name: (server, files[name]) for name, server in servers.items()}
        ours, ours_file = contestants["distiltune"]
        try:
            for server, file in contestants.values():
                load(server, file, 8, min(2.0, arguments.seconds))  # warm up
            rows: list[Row] = []
            for clients in CLIENTS:
                outcomes: dict[str, list[dict[str, Any]]] = {name: [] for name in contestants}
                for _ in range(arguments.rounds):
                    for name, (server, file) in contestants.items():
                        outcomes[name].append(load(server, file, clients, arguments.seconds))
                rows += [row(name, clients, found) for name, found in outcomes.items()]
                for each in rows[-len(contestants) :]:
                    print(json.dumps(asdict(each)), flush=True)
            at_most = {each.server: each.requests_per_second for each in rows if each.clients == CLIENTS[-1]}
            for name, server in servers.items():
                if name != "distiltune":
                    server.stop()
            most = overload(ours, ours_file, at_most["distiltune"], arguments.seconds)
            print(json.dumps(most), flush=True)
            restart = kill_and_restart(ours, ours_file, max(12.0, arguments.seconds))
            print(json.dumps(restart), flush=True)
        finally:
            for server, _ in contestants.values():
                if server.process.poll() is None:
                    server.stop()
    results = {
        "machine": describe_machine(torch.device("cpu")).as_json(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "model": Path(arguments.model).name,
        "rows": [asdict(each) for each in rows],
        "ratios_at_most_clients": {name: each / at_most["plain"] for name, each in at_most.items()},
        "overload": most,
        "kill_and_restart": restart,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / "serving.json"
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    ratios = ", ".join(f"{name} {each / at_most['plain']:.2f}" for name, each in at_most.items() if name != "plain")
    print(f"times the plain server at {CLIENTS[-1]} clients: {ratios}; written: {path}")


if __name__ == "__main__":
    main()
