"""Bodies that never end, over a real socket: refused in time, with memory that stays flat.

Source: domain/audit-and-reliability.md 4.3, line 20.
"""

import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import pytest
import uvicorn

from engine.api.app import make_app, server_config
from engine.api.doors import TenantDoors
from tests.engine.api.conftest import Api, World

MIB: Final = 1 << 20
BODY_TIMEOUT_S: Final = 0.5


@pytest.fixture(scope="module")
def port(api: Api) -> Iterator[int]:
    """The API served as in production, with little patience."""
    doors = TenantDoors(api.engine)
    app = make_app(api.engine, doors, body_timeout_s=BODY_TIMEOUT_S, logs_access=False)
    server = uvicorn.Server(server_config(app, host="127.0.0.1", port=0))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield int(listening.getsockname()[1])
    server.should_exit = True
    thread.join(timeout=120)
    doors.close()


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=120)


def _head(api: Api, *headers: str) -> bytes:
    lines = [
        "POST /v1/parties HTTP/1.1",
        "Host: test",
        f"Authorization: Bearer {api.secret}",
        f"Idempotency-Key: slow-{len(headers)}",
        "Content-Type: application/json",
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


def _answer(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def test_a_body_that_trickles_is_given_up(api: Api, port: int, world: World) -> None:
    """A body that is announced and does not come: 408, and the connection is closed."""
    before = world.count_rows()
    with closing(_connect(port)) as connection:
        connection.sendall(_head(api, "Content-Length: 1000") + b'{"kind"')
        answer = _answer(connection)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"request.too_slow" in answer
    assert world.count_rows() == before


def test_a_chunked_body_without_end_is_cut_off(api: Api, port: int, world: World) -> None:
    """Chunk after chunk for ever: 413 at 1 MiB, whatever was announced; memory stays flat."""
    before = world.count_rows()
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    tracemalloc.start()
    with closing(_connect(port)) as connection:
        connection.sendall(_head(api, "Transfer-Encoding: chunked"))
        sent = _pour(connection, chunk, most=512)
        answer = _answer_if_any(connection)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert answer.startswith(b"HTTP/1.1 413 ") or sent < 512
    assert peak < 8 * MIB
    assert world.count_rows() == before


def _pour(connection: socket.socket, chunk: bytes, *, most: int) -> int:
    """Send chunks until the server has enough; how many it took."""
    for number in range(most):
        try:
            connection.sendall(chunk)
        except OSError:
            return number
    return most


def _answer_if_any(connection: socket.socket) -> bytes:
    try:
        return _answer(connection)
    except OSError:
        return b""


def test_a_body_of_a_gibibyte_is_refused_by_its_length(api: Api, port: int) -> None:
    """What announces too much is refused before one byte of it is read."""
    with closing(_connect(port)) as connection:
        connection.sendall(_head(api, f"Content-Length: {1 << 30}"))
        answer = _answer(connection)

    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "header",
    [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: -1",
        "X-Odd: a\rb",
        "X-Odd : space",
    ],
)
def test_headers_that_can_be_read_in_two_ways_are_refused(
    api: Api, port: int, world: World, header: str
) -> None:
    """Line 46: what a proxy and we could read differently is 400, and nothing is written."""
    before = world.count_rows()
    with closing(_connect(port)) as connection:
        connection.sendall(_head(api, header) + b"{}")
        answer = _answer_if_any(connection)

    assert answer[9:12] in {b"400", b"408", b"413", b"422", b""}
    assert world.count_rows() == before


def test_the_server_says_nothing_of_itself(api: Api, port: int) -> None:
    """No name and no version of what serves."""
    with closing(_connect(port)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        answer = _answer(connection)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"uvicorn" not in answer.lower()
    assert api.secret.encode() not in answer
