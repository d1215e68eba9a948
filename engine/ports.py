"""The socket that the API listens on: bound before anything else, so that trouble is told early."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from kernel.settings import CannotStart

_BACKLOG: Final = 2_048


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket; CannotStart says in a sentence why there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror:
        raise CannotStart(
            f"HOLDFAST_HOST is {host!r}, which is no address of this machine: 127.0.0.1 is the"
            " usual one."
        ) from None
    family, _, _, _, address = found[0]
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
            listening.listen(_BACKLOG)
        except OSError as trouble:
            raise CannotStart(_why(trouble, host, port)) from None
        yield listening


def check_free(host: str, port: int) -> None:
    """CannotStart if nobody could listen there now."""
    with listen(host, port):
        return


def _why(trouble: OSError, host: str, port: int) -> str:
    if trouble.errno == errno.EADDRINUSE:
        return (
            f"Port {port} of {host} is in use: stop what listens there, or name another in"
            " HOLDFAST_PORT."
        )
    if trouble.errno == errno.EACCES:
        return f"Port {port} needs root: name one above 1023 in HOLDFAST_PORT."
    return f"Nothing can listen at {host}:{port} ({trouble.strerror}): see HOLDFAST_HOST."
