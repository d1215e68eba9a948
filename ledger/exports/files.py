"""A file of an export as it is written: hashed, counted and summed on its way to the disk."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from ledger.exports.model import ExportedFile

_FULL: Final = 1 << 16
_STEP: Final = 1_000

T = TypeVar("T")


class OutFile:
    """A text file in UTF-8. It holds no descriptor between writes, so that many may be open.

    A file of the same name is replaced.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.path = folder / name
        self.rows = 0
        self._totals: dict[str, tuple[int, int]] = {}
        self._waiting: list[str] = []
        self._size = 0
        self._hash = sha256()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(b"")

    def write(self, text: str) -> None:
        """Write a text as it is."""
        self._waiting.append(text)
        self._size += len(text)
        if self._size >= _FULL:
            self._flush()

    def count(self, currency: str, amount_minor: int) -> None:
        """Add what a record debits (positive) or credits (negative) to the totals."""
        debit, credit = self._totals.get(currency, (0, 0))
        if amount_minor > 0:
            self._totals[currency] = debit + amount_minor, credit
        else:
            self._totals[currency] = debit, credit - amount_minor

    def close(self) -> ExportedFile:
        """Write what still waits, and tell what the file holds."""
        self._flush()
        return ExportedFile(self.name, self.rows, self._hash.hexdigest(), self.totals)

    @property
    def totals(self) -> MappingProxyType[str, tuple[int, int]]:
        """What was counted, in the order of the currencies."""
        return MappingProxyType(dict(sorted(self._totals.items())))

    def _flush(self) -> None:
        data = "".join(self._waiting).encode()
        self._waiting.clear()
        self._size = 0
        self._hash.update(data)
        with self.path.open("ab") as file:
            file.write(data)


def reporting(items: Iterable[T], progress: Callable[[int], None]) -> Iterator[T]:
    """The same items; tells how many went by, a thousand at a time and the rest at the end."""
    passed = 0
    for item in items:
        yield item
        passed += 1
        if passed == _STEP:
            progress(passed)
            passed = 0
    if passed:
        progress(passed)


def iso(at: datetime) -> str:
    """A time in UTC with six digits and `Z`."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
