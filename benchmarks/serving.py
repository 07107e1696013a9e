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

from distiltune.device import describe_machine
from distiltune.tasks.question_answering.answerer import Answerer
from distiltune.tasks.question_answering.data import load_examples

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


def requests_of(model: str, data: Sequence[str], n: int, folder: Path) -> tuple[Path, Path]:
    """Files of requests for either server, ours with the answers that it must give."""
    examples = load_examples(data, "validation", "", 0.05).examples[:n]
    answerer = Answerer(model, precision="auto")  # as `serve`
    ours, plain = [], []
    for example in examples:
        question, context = example.question, example.context
        body = {"questions": [question], "documents": [{"text": context}]}
        expected = answerer(question, context, n_best=1).text
        ours.append({"path": "/api/answers", "body": body, "expected": expected})
        plain.append({"path": "/answer", "body": {"question": question, "context": context}, "expected": ""})
    paths = folder / "ours.json", folder / "plain.json"
    for path, rows in zip(paths, (ours, plain), strict=True):
        path.write_text(json.dumps(rows), encoding="utf-8")
    return paths


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
    parser.add_argument("--data", nargs="+", default=["starter"], help="questions to send")
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each stretch")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours_file, plain_file = requests_of(arguments.model, arguments.data, arguments.questions, Path(folder))
        plain = Server(
            "benchmarks.plain_server", arguments.model, str(PLAIN_PORT), url=f"http://127.0.0.1:{PLAIN_PORT}"
        )
        serve = ("distiltune", "serve", arguments.model, "--port", str(OUR_PORT))
        ours = Server(*serve, url=f"http://127.0.0.1:{OUR_PORT}")
        contestants = {"plain": (plain, plain_file), "distiltune": (ours, ours_file)}
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
                for each in rows[-2:]:
                    print(json.dumps(asdict(each)), flush=True)
            plain.stop()
            most = overload(ours, ours_file, rows[-1].requests_per_second, arguments.seconds)
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
        "ratio_at_most_clients": rows[-1].requests_per_second / rows[-2].requests_per_second,
        "overload": most,
        "kill_and_restart": restart,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / "serving.json"
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"{results['ratio_at_most_clients']:.2f} times the plain server at {CLIENTS[-1]} clients; written: {path}")


if __name__ == "__main__":
    main()
