"""Job postings read from a CSV file, plain or gzip: each row a posting, or a reason why not.

A row that cannot be read is told with its line and the reason and never ends the reading; only a
file that is no list of postings at all is refused as a whole.
"""

import csv
import gzip
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from kernel.errors import Refusal
from kernel.money import parse_minor

CURRENCY: Final = "USD"

LONGEST_LINE: Final = 100_000
"""Bytes; a longer line is passed over without being held in memory."""

_GZIP: Final = b"\x1f\x8b"
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
_LONGEST_WORD: Final = 500
_NEEDED: Final = ("job_id", "posted_at", "type", "fixed_budget_usd", "duration", "client")


class Kind(StrEnum):
    """What a client offers to pay by."""

    HOURLY = "hourly"
    FIXED_BUDGET = "fixed_budget"
    NO_BUDGET = "no_budget"


class NotPostings(Refusal):
    """The file is no list of job postings."""

    code = "replay.not_postings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One job posting. `budget_minor` is None unless the budget is fixed and known.

    `rate_minor` is per hour, None unless it is paid by the hour and known; `engagement` says in
    the posting's own words how many hours a week are wanted.
    """

    job_id: str
    posted_at: datetime
    kind: Kind
    budget_minor: int | None
    rate_minor: int | None = None
    engagement: str = ""
    duration: str = ""
    tier: str = ""
    title: str = ""
    client: str
    is_verified: bool = False
    country: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that is no posting: where it begins (the header is line 1), and why."""

    line: int
    reason: str


@contextmanager
def open_postings(path: Path) -> Iterator[Iterator[Posting | Unreadable]]:
    """The rows of a file while it is open; refuses `replay.not_postings`; OSError if unreadable."""
    with path.open("rb") as plain:
        is_gzip = plain.read(2) == _GZIP
        plain.seek(0)
        if is_gzip:
            with gzip.open(plain) as unpacked:
                yield read_postings(unpacked)
        else:
            yield read_postings(plain)


class ByteLines(Protocol):
    """An open file, plain or unpacked."""

    def readline(self, size: int = -1, /) -> bytes:
        """The next line with its end, or `size` bytes of it; empty at the end."""


def read_postings(file: ByteLines) -> Iterator[Posting | Unreadable]:
    """Every row of an open file, in its order, in constant memory but for the job ids seen."""
    lines = _Lines(file)
    reader = csv.reader(lines, strict=True)
    columns = _read_header(reader)
    seen: dict[str, int] = {}
    while True:
        line = reader.line_num + lines.passed_over + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except (csv.Error, _BadLine) as trouble:
            last = reader.line_num + lines.passed_over
            yield Unreadable(
                line, f"{trouble} (up to line {last})" if last > line else str(trouble)
            )
            continue
        if cells:
            yield _read_row(columns, cells, line, seen)
    if lines.broke_off:
        yield Unreadable(line, f"the file breaks off here: {lines.broke_off}")


class _BadLine(Exception):  # noqa: N818  private, and turned into a reason at once
    """A line that is not text or not of a reasonable length."""


class _Lines:
    """The lines of a file as text; remembers whether it broke off before its end."""

    def __init__(self, file: ByteLines) -> None:
        self._file = file
        self.broke_off = ""
        self.passed_over = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._read()
        if not raw:
            raise StopIteration
        if len(raw) > LONGEST_LINE:
            while raw and not raw.endswith(b"\n"):
                raw = self._read()
            self.passed_over += 1
            raise _BadLine(f"the line is longer than {LONGEST_LINE} bytes")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self.passed_over += 1
            raise _BadLine("the line is not UTF-8 text") from None

    def _read(self) -> bytes:
        try:
            return self._file.readline(LONGEST_LINE + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as trouble:
            self.broke_off = str(trouble).rstrip(".") or type(trouble).__name__
            return b""


def _read_header(reader: Iterator[list[str]]) -> Mapping[str, int]:
    try:
        header = next(reader)
    except StopIteration:
        raise NotPostings(why="it is empty") from None
    except (csv.Error, _BadLine) as trouble:
        raise NotPostings(why=str(trouble)) from None
    columns = {name.strip().removeprefix("\ufeff"): place for place, name in enumerate(header)}
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise NotPostings(why=f"its first line names no column {', '.join(missing)}")
    return columns


def _read_row(
    columns: Mapping[str, int], cells: list[str], line: int, seen: dict[str, int]
) -> Posting | Unreadable:
    if len(cells) != len(columns):
        return Unreadable(line, f"it has {len(cells)} fields where the header has {len(columns)}")
    row = {name: cells[place].strip() for name, place in columns.items()}
    try:
        posting = _posting(row)
    except (ValueError, Refusal) as trouble:
        return Unreadable(line, str(trouble))
    first = seen.setdefault(posting.job_id, line)
    if first != line:
        return Unreadable(line, f"job_id {posting.job_id!r} stands on line {first} already")
    return posting


def _posting(row: Mapping[str, str]) -> Posting:
    kind = _kind(row["type"])
    return Posting(
        job_id=_word(row, "job_id"),
        posted_at=_time(row["posted_at"]),
        kind=kind,
        budget_minor=_amount(row["fixed_budget_usd"]) if kind is Kind.FIXED_BUDGET else None,
        rate_minor=_amount(row.get("hourly_rate_usd", "")) if kind is Kind.HOURLY else None,
        engagement=row.get("engagement", "")[:_LONGEST_WORD],
        duration=row["duration"][:_LONGEST_WORD],
        tier=row.get("tier", "")[:_LONGEST_WORD],
        title=row.get("title", "")[:_LONGEST_WORD],
        client=_word(row, "client"),
        is_verified=row.get("client_payment_verified") == "1",
        country=row.get("client_country", "")[:_LONGEST_WORD],
        category=row.get("category", "")[:_LONGEST_WORD],
    )


def _kind(text: str) -> Kind:
    try:
        return Kind(text)
    except ValueError:
        raise ValueError(f"type is {text[:40]!r}, not hourly, fixed_budget or no_budget") from None


def _word(row: Mapping[str, str], name: str) -> str:
    word = row[name]
    if not word or len(word) > _LONGEST_WORD or not word.isprintable():
        raise ValueError(f"{name} is {word[:40]!r}, not a name")
    return word


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"posted_at is {text[:40]!r}, not a time") from None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    if not _EARLIEST <= at < _LATEST:
        raise ValueError(f"posted_at is {text[:40]!r}, not of this century")
    return at.astimezone(UTC)


def _amount(text: str) -> int | None:
    return parse_minor(text, CURRENCY) if text else None
