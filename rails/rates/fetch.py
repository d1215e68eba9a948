"""A file of rates from an address: bounded in time and size, over HTTPS, or from this machine."""

from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from kernel.errors import RailTrouble, Refusal

TIMEOUT_S: Final = 30
LARGEST_BYTES: Final = 20_000_000
"""Ten times the whole history of the European Central Bank."""

_OURSELVES: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class BadAddress(Refusal):
    """Rates are read over HTTPS alone, unless they lie on this machine."""

    code = "fx.bad_address"


def fetch(url: str) -> bytes:
    """The bytes at an address.

    Refuses `fx.bad_address`. RailTrouble where nothing answers in half a minute, or with more
    than twenty megabytes.
    """
    parts = urlsplit(url)
    is_near = parts.scheme == "http" and parts.hostname in _OURSELVES
    if not (parts.scheme == "https" or is_near) or not parts.hostname:
        raise BadAddress(scheme=parts.scheme[:20])
    try:
        with urlopen(Request(url), timeout=TIMEOUT_S) as answer:  # noqa: S310  checked above
            content: bytes = answer.read(LARGEST_BYTES + 1)
    except HTTPError as trouble:
        trouble.close()
        raise RailTrouble(f"no rates from {parts.hostname}: {trouble}") from trouble
    except (OSError, HTTPException) as trouble:
        raise RailTrouble(f"no rates from {parts.hostname}: {trouble}") from trouble
    if len(content) > LARGEST_BYTES:
        raise RailTrouble(f"{parts.hostname} sends more than a file of rates")
    return content
