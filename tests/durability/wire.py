"""A wire to the server that can be cut: after the COMMIT went through, before its answer came."""

import contextlib
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SOCKET_NAME: Final = ".s.PGSQL.5432"
_SIZE: Final = 65_536


class Wire:
    """A socket in a directory of its own that passes everything on to the server's."""

    def __init__(self, server_dir: Path) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="hfw"))
        self.cuts = 0
        self._is_armed = threading.Event()
        self._server = str(server_dir / SOCKET_NAME)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.directory / SOCKET_NAME))
        self._listener.listen()
        self._passing: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def cut_at_next_commit(self) -> None:
        """The next COMMIT reaches the server; its client never hears of it."""
        self._is_armed.set()

    def close(self) -> None:
        """End the wire and everything on it."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for end in self._open:
            _hang_up(end)
        for thread in self._passing:
            thread.join()
        for end in self._open:
            end.close()
        shutil.rmtree(self.directory)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._open += [client, server]
            deaf = threading.Event()
            for pump in (self._to_server, self._to_client):
                thread = threading.Thread(target=pump, args=(client, server, deaf))
                self._passing.append(thread)
                thread.start()

    def _to_server(
        self, client: socket.socket, server: socket.socket, deaf: threading.Event
    ) -> None:
        for data in _read(client):
            if b"COMMIT" in data and self._is_armed.is_set():
                self._is_armed.clear()
                deaf.set()
            with contextlib.suppress(OSError):
                server.sendall(data)
        _hang_up(server)

    def _to_client(
        self, client: socket.socket, server: socket.socket, deaf: threading.Event
    ) -> None:
        for data in _read(server):
            if deaf.is_set():
                self.cuts += 1
                break
            with contextlib.suppress(OSError):
                client.sendall(data)
        _hang_up(client)
        _hang_up(server)


@contextlib.contextmanager
def wire_to(server_dir: Path) -> Iterator[Wire]:
    """A wire to the server whose socket stands in this directory; closed at the end."""
    wire = Wire(server_dir)
    try:
        yield wire
    finally:
        wire.close()


def _read(end: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            data = end.recv(_SIZE)
        except OSError:
            return
        if not data:
            return
        yield data


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
