"""Which reader a file wants, by what it holds; its name only where that does not tell."""

from collections.abc import Callable
from typing import Final

from rails.statements import bai2, camt, mt940, stripe_csv
from rails.statements.model import Statement, Unreadable, check_size

Reader = Callable[[bytes], list[Statement]]

_BY_ENDING: Final[tuple[tuple[str, Reader], ...]] = (
    (".xml", camt.read),
    (".sta", mt940.read),
    (".940", mt940.read),
    (".bai", bai2.read),
    (".bai2", bai2.read),
    (".csv", stripe_csv.read),
)


def read_any(name: str, data: bytes) -> list[Statement]:
    """The statements of a file of any format that we read.

    Refuses: `statement.unreadable`, with the line and the reason.
    """
    return reader_of(name, data)(data)


def reader_of(name: str, data: bytes) -> Reader:
    """The reader for a file."""
    check_size(data)
    start = data[:4_096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"<"):
        return camt.read
    if start.startswith(b"01,"):
        return bai2.read
    if start.startswith(b":20:") or b"\n:20:" in start:
        return mt940.read
    for ending, reader in _BY_ENDING:
        if name.lower().endswith(ending):
            return reader
    if b"," in start.partition(b"\n")[0]:
        return stripe_csv.read
    raise Unreadable(0, "it is no camt, MT940, BAI2 or Stripe report")
