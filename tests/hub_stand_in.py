"""A stand-in for the Hugging Face hub on the loopback: enough of its HTTP API for listing, downloading and uploading.

    with HubStandIn() as hub:
        hub.add("dataset", "owner/name", {"train.json": b"[]"})
        subprocess.run([...], env=hub.environment(tmp_path / "hf-home"))
        hub.stop()  # from here on the hub cannot be reached

``huggingface_hub`` reads HF_ENDPOINT and HF_HOME when it is imported, so run what talks to the stand-in in a
subprocess with `HubStandIn.environment`, or patch its constants with `HubStandIn.patch`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import pytest

RepoKind = Literal["model", "dataset"]

_API = re.compile(r"^/api/(?P<kind>models|datasets)/(?P<name>.+?)(?:/(?P<what>revision|tree)/(?P<rev>[^/]+))?$")
_WRITE = re.compile(r"^(?:/api/models)?/(?P<name>[^/]+/[^/]+?)(?:\.git)?/(?P<what>preupload/.+|commit/.+|info/lfs/.+)$")
_FILE = re.compile(r"^/(?P<kind>datasets/)?(?P<name>.+?)/resolve/(?P<rev>[^/]+)/(?P<path>.+)$")


@dataclass(slots=True)
class Repo:
    """One repository: its files by path, whether downloads are refused as gated, and whether it is private."""

    files: dict[str, bytes]
    gated: bool = False
    private: bool = False

    @property
    def commit(self) -> str:
        """Forty hex digits that change with the contents."""
        digest = hashlib.sha1()
        for path in sorted(self.files):
            digest.update(path.encode() + b"\0" + self.files[path] + b"\0")
        return digest.hexdigest()


@dataclass(slots=True)
class HubStandIn:
    """A running stand-in; a context manager. ``requests`` lists ``METHOD path`` in the order served.

    Only who brings ``token`` may write. ``bad_card`` is what it says against model cards. What writes gets a 500 where
    its address contains ``fails_at``. ``objects`` holds large files by their SHA-256 until they are committed.
    """

    repos: dict[tuple[RepoKind, str], Repo] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    url: str = ""
    token: str = "hf_stand_in"
    bad_card: str = ""
    fails_at: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> HubStandIn:
        hub = self

        class Handler(_Handler):
            stand_in = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop serving; afterwards connections are refused. May be called twice."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def add(self, kind: RepoKind, name: str, files: Mapping[str, bytes], *, gated: bool = False) -> None:
        """Serve a repository of these files (path → contents)."""
        self.repos[kind, name] = Repo(dict(files), gated)

    def add_directory(self, kind: RepoKind, name: str, directory: Path, *, gated: bool = False) -> None:
        """Serve every file below a directory as a repository."""
        paths = [path for path in sorted(directory.rglob("*")) if path.is_file()]
        files = {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}
        self.add(kind, name, files, gated=gated)

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """An environment for a subprocess: this hub, an own cache, no token, no telemetry."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
        own = {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        return {**kept, **own, **more}

    def patch(self, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
        """Point this process's ``huggingface_hub`` at the stand-in, with an own cache, for one test."""
        from huggingface_hub import constants
        from huggingface_hub.hf_api import api
        from huggingface_hub.utils import close_session

        monkeypatch.setattr(constants, "ENDPOINT", self.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", self.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(api, "endpoint", self.url)
        monkeypatch.setattr(constants, "HF_HOME", str(home))
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        close_session()  # a client kept from before may have read other proxy settings


class _Handler(BaseHTTPRequestHandler):
    """Answers one request from the stand-in's repositories."""

    stand_in: HubStandIn
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._take(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def do_PUT(self) -> None:
        self._take(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output quiet."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.stand_in.requests.append(f"{self.command} {path}")
        if api := _API.match(path):
            kind: RepoKind = "dataset" if api["kind"] == "datasets" else "model"
            self._answer_api(kind, api["name"], api["what"], api["rev"])
        elif file := _FILE.match(path):
            kind = "dataset" if file["kind"] else "model"
            self._answer_file(kind, file["name"], file["rev"], file["path"])
        else:
            self._refuse(404, "NotFound", "no such address")

    def _take(self, body: bytes) -> None:
        """Answer what writes: the card's check, a new repository, large files, a commit."""
        path = unquote(urlsplit(self.path).path)
        hub = self.stand_in
        hub.requests.append(f"{self.command} {path}")
        if hub.fails_at and hub.fails_at in path:
            self._refuse(500, "", "Something broke.")
        elif path.startswith("/objects/"):  # signed addresses need no token
            hub.objects[path.removeprefix("/objects/")] = body
            self._send_json({})
        elif path == "/api/validate-yaml":  # nor does this
            errors = [{"message": hub.bad_card}] if hub.bad_card else []
            self._send_json({"errors": errors, "warnings": []}, 400 if errors else 200)
        elif self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._refuse(401, "", "Invalid username or password.")
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            status = 409 if ("model", name) in hub.repos else 200
            private = bool(asked.get("private")) or asked.get("visibility") == "private"  # before version 2, and since
            hub.repos.setdefault(("model", name), Repo({}, private=private))
            self._send_json({"url": f"{hub.url}/{name}", "name": name}, status)
        elif match := _WRITE.match(path):
            repo = self._repo("model", match["name"], None)
            if repo is not None:
                self._write(match["name"], repo, match["what"], body)
        else:
            self._refuse(404, "NotFound", "no such address")

    def _write(self, name: str, repo: Repo, what: str, body: bytes) -> None:
        hub = self.stand_in
        if what.startswith("preupload"):
            files = json.loads(body)["files"]
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith((".safetensors", ".onnx")) else "regular",
                    "shouldIgnore": False,
                }
                for file in files
            ]
            self._send_json({"files": modes})
        elif what.startswith("info/lfs"):
            wanted = json.loads(body)["objects"]
            places = [{**each, "actions": {"upload": {"href": f"{hub.url}/objects/{each['oid']}"}}} for each in wanted]
            self._send_json({"transfer": "basic", "objects": places})
        else:
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    repo.files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    repo.files[value["path"]] = hub.objects[value["oid"]]
            self._send_json({"commitUrl": f"{hub.url}/{name}/commit/{repo.commit}", "commitOid": repo.commit})

    def _send_json(self, value: object, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _repo(self, kind: RepoKind, name: str, revision: str | None) -> Repo | None:
        """The repository at that revision, or None once the refusal has been sent."""
        repo = self.stand_in.repos.get((kind, name))
        if repo is None:
            self._refuse(404, "RepoNotFound", "Repository not found")
            return None
        if revision not in (None, "main", repo.commit):
            self._refuse(404, "RevisionNotFound", "Invalid rev id")
            return None
        return repo

    def _answer_api(self, kind: RepoKind, name: str, what: str | None, revision: str | None) -> None:
        repo = self._repo(kind, name, revision)
        if repo is None:
            return
        if what == "tree":
            tree = [
                {"type": "file", "path": path, "size": len(content), "oid": _etag(content)}
                for path, content in sorted(repo.files.items())
            ]
            self._send(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})
            return
        info = {
            "id": name,
            "modelId": name,
            "sha": repo.commit,
            "private": repo.private,
            "gated": "manual" if repo.gated else False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": [{"rfilename": path} for path in sorted(repo.files)],
        }
        self._send(200, json.dumps(info).encode(), {"Content-Type": "application/json"})

    def _answer_file(self, kind: RepoKind, name: str, revision: str, path: str) -> None:
        repo = self._repo(kind, name, revision)
        if repo is None:
            return
        if repo.gated:
            # The real hub lists a gated repository to anyone and refuses only its files.
            status = 403 if self.headers.get("Authorization") else 401
            self._refuse(status, "GatedRepo", f"Access to {kind} {name} is restricted")
            return
        content = repo.files.get(path)
        if content is None:
            self._refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": repo.commit})
            return
        headers = {"X-Repo-Commit": repo.commit, "ETag": f'"{_etag(content)}"', "Accept-Ranges": "bytes"}
        if wanted := re.match(r"^bytes=(\d+)-$", self.headers.get("Range", "")):
            first = int(wanted[1])
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            self._send(206, content[first:], headers)
        else:
            self._send(200, content, headers)

    def _refuse(self, status: int, code: str, message: str, more: Mapping[str, str] | None = None) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message, **(more or {})}
        self._send(status, json.dumps({"error": message}).encode(), headers)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        # a connection kept alive would be served even after `stop`
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
