"""An application served over loopback by a thread of the test process, which starts in a tenth of a second."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class InThread:
    """A running server."""

    url: str
    server: Any
    thread: threading.Thread

    def stop(self) -> None:
        """End it; connections are refused from then on."""
        self.server.should_exit = True
        self.thread.join(10)


def serve_in_thread(app: Any) -> InThread:
    """Serve an ASGI application at a free port."""
    import uvicorn

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="test-server", daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    return InThread(f"http://127.0.0.1:{listener.getsockname()[1]}", server, thread)
