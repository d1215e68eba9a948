"""A receiver of webhooks on this machine: it remembers what came, and answers as it is told."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kernel.ids import new_id
from kernel.principals import SYSTEM
from ledger.model import Draft
from ledger.service import post
from tests.rails.builders import NOON


@dataclass
class Receiver:
    """`answers` are the next statuses, then 204; `body` is what it answers with."""

    port: int = 0
    path: str = field(default_factory=lambda: f"/hooks/{new_id()}")
    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}?token=1"

    @property
    def ids(self) -> list[str]:
        """The `webhook-id` of each message, in the order in which they came."""
        return [headers["webhook-id"] for headers, _ in self.came]


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver at a free port of the loopback; over TLS if a context is given."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            if tls is None and not self.path.startswith(receiver.path):
                # A message to who listened here before.
                self.send_error(404)
                return
            with receiver.lock:
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.came.append((headers, body))
                status = receiver.answers.pop(0) if receiver.answers else 204
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(receiver.body)))
            self.end_headers()
            if receiver.body:
                self.wfile.write(receiver.body)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Who hangs up early is no trouble of ours."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def say(connection: Any, *kinds: str) -> None:
    """Events of these kinds in the log, as yet unsealed."""
    drafts = [Draft(kind, f"slot:{number}", SYSTEM, NOON) for number, kind in enumerate(kinds)]
    assert not [each for each in post(connection, drafts) if isinstance(each, Exception)]
