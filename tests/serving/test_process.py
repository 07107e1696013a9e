"""The server as a process of its own: it starts, serves, refuses, stops with grace, and starts again under load."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import people

pytest.importorskip("fastapi", reason="needs the extra `serve`")
pytest.importorskip("uvicorn", reason="needs the extra `serve`")

ASKED = people().examples


class Server:
    """`distiltune serve` in a process."""

    def __init__(self, model: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "distiltune", "serve", str(model), "--threads", "1", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + (self.process.stderr.read() if self.process.stderr else "")
        self.url = found.group()

    def ask(self, number: int = 0, timeout: float = 20.0) -> dict[str, object]:
        asked = ASKED[number]
        body = {"questions": [asked.question], "documents": [{"text": asked.context}]}
        request = urllib.request.Request(
            f"{self.url}/api/answers", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=timeout) as response:
            reply: dict[str, object] = json.load(response)["replies"][0]
            return reply

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> tuple[str, str]:
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        return self.process.communicate(timeout=30)


@pytest.fixture
def server(people_model: Path) -> Iterator[Server]:
    started = Server(people_model, "--port", "0")
    yield started
    started.stop(signal.SIGKILL)


def test_it_answers_and_says_nothing_of_it(server: Server) -> None:
    reply = server.ask(3)
    assert reply["question"] == ASKED[3].question
    said = "".join(server.stop())
    assert ASKED[3].question not in said
    assert "Traceback" not in said


def test_an_answer_is_sent_at_once(server: Server) -> None:
    """Without TCP_NODELAY the end of an answer waits 40 ms for an acknowledgement, on a connection that is kept."""
    host, port = server.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port))
    seconds = []
    for _ in range(9):
        began = time.perf_counter()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        seconds.append(time.perf_counter() - began)
    connection.close()
    assert min(seconds[1:]) < 0.03


def test_a_stop_lets_what_has_begun_finish(server: Server) -> None:
    """The request is on its way when SIGTERM comes: its body arrives after it, and its answer still comes."""
    asked = ASKED[0]
    body = json.dumps({"questions": [asked.question], "documents": [{"text": asked.context}]}).encode()
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = (
            f"POST /api/answers HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(head.encode() + body[:10])
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        connection.sendall(body[10:])
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    assert b"200 OK" in answer.splitlines()[0]
    assert asked.question.encode() in answer
    assert "Traceback" not in "".join(server.process.communicate(timeout=30))
    assert server.process.returncode == 0
    with pytest.raises(urllib.error.URLError):
        server.ask()


def test_killed_and_started_again_under_load(people_model: Path) -> None:
    """Clients that try again get right answers before and after; none gets a wrong one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    wrong: list[object] = []
    served = [0, 0]
    stop = threading.Event()
    server = Server(people_model, "--port", port)
    phase = 0

    def client(number: int) -> None:
        while not stop.is_set():
            now = phase
            try:
                reply = server.ask(number, timeout=5.0)
            except (OSError, urllib.error.URLError, json.JSONDecodeError, ConnectionError):
                time.sleep(0.05)
                continue
            except Exception as error:  # such as a response cut off half way
                if "IncompleteRead" in type(error).__name__ or "RemoteDisconnected" in type(error).__name__:
                    continue
                wrong.append(error)
                continue
            if reply["question"] != ASKED[number].question:
                wrong.append(reply)
            served[now] += 1

    threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.7)
    server.stop(signal.SIGKILL)
    server = Server(people_model, "--port", port)
    phase = 1
    time.sleep(0.7)
    stop.set()
    for thread in threads:
        thread.join(10)
    server.stop()
    assert wrong == []
    assert min(served) > 0


def test_a_port_that_is_taken_is_one_clear_message(people_model: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "distiltune", "serve", str(people_model), "--port", port, "--threads", "1"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "cannot be used" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_on_sighup_the_models_are_loaded_again_and_no_request_is_lost(people_model: Path) -> None:
    server = Server(people_model, "--port", "0")
    stop, lost = threading.Event(), []
    n_answered = 0

    def client(number: int) -> None:
        nonlocal n_answered
        while not stop.is_set():
            try:
                assert server.ask(number)["question"] == ASKED[number].question
                n_answered += 1
            except Exception as error:
                lost.append(error)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    server.process.send_signal(signal.SIGHUP)
    assert server.process.stdout is not None
    assert "loaded again" in server.process.stdout.readline()
    stop.set()
    for thread in threads:
        thread.join(20)
    server.stop()
    assert lost == []
    assert n_answered > 0
    assert server.process.returncode == 0


def test_a_model_that_cannot_be_loaded_again_leaves_the_one_of_before(people_model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(people_model, copy)
    server = Server(copy, "--port", "0", "--json-logs")
    (copy / "config.json").write_text("{")
    server.process.send_signal(signal.SIGHUP)
    assert server.process.stdout is not None
    line = json.loads(server.process.stdout.readline())
    assert "those of before go on" in line["message"]
    assert server.ask(2)["question"] == ASKED[2].question
    lines = [json.loads(line) for line in server.stop()[0].splitlines()]
    (request,) = [line for line in lines if line["message"] == "request"]
    assert (request["route"], request["status"]) == ("/api/answers", 200)
    assert server.process.returncode == 0
