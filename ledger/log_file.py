"""The files of an export: what stands in each, how one is begun, and how it is read again.

An export is a folder or a zip. `manifest.json` is written last, so a folder with a manifest is
whole. `log.jsonl` holds one event a line in journal order, with every field of
`docs/canonical-bytes.md`; amounts are texts, times have six digits and end in `Z`. The other files
are lists: `accounts.csv`, `periods.csv`, `blocks.csv`, and `checkpoints.txt` of signed notes.
`docs/verify.md` shows them all.
"""

import csv
import gzip
import io
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, cast
from uuid import UUID

import orjson

from kernel.errors import Refusal
from ledger.model import EntryRef

FORMAT: Final = "holdfast-export/1"
MANIFEST: Final = "manifest.json"
LOG: Final = "log.jsonl"
LOG_GZ: Final = "log.jsonl.gz"
_LONGEST_NAME: Final = 200
_LONGEST_LINE: Final = 64 * 2**20
"""Bytes of one line of a file: the largest batch is one event of some ten megabytes."""

ACCOUNTS: Final = "accounts.csv"
PERIODS: Final = "periods.csv"
BLOCKS: Final = "blocks.csv"
CHECKPOINTS: Final = "checkpoints.txt"

ACCOUNT_COLUMNS: Final = "code book kind subject currency state lines balance_minor".split()
PERIOD_COLUMNS: Final = "from until state".split()
BLOCK_COLUMNS: Final = (
    "no first_journal_no last_journal_no root custody_entries platform_entries sealed_at"
).split()


class NotAnExport(Refusal):
    """There is no whole export of a form that we read: no manifest, or a file that is torn."""

    code = "export.unreadable"


class SupportsLines(Protocol):
    """What is read line by line: a file, a member of a zip, or what is unpacked on the way."""

    def readline(self, size: int = ..., /) -> bytes:
        """At the most `size` bytes of the next line; nothing at the end."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of an export: its name, how many rows it has, control totals, SHA-256 in hex."""

    name: str
    rows: int
    sums: Mapping[str, int]
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """As it stands in the manifest; totals are texts, since they outgrow 2^53."""
        sums = {name: str(total) for name, total in sorted(self.sums.items())}
        return {"name": self.name, "rows": self.rows, "sums": sums, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an export says of itself. `size` is its newest journal number, `root` that of the tree.

    `arguments` are those that it was asked for with.
    """

    tenant: str
    size: int
    root: bytes
    arguments: Mapping[str, Any]
    files: tuple[File, ...]

    def as_bytes(self) -> bytes:
        """The manifest as it is written."""
        value = {
            "format": FORMAT,
            "tenant": self.tenant,
            "size": self.size,
            "root": self.root.hex(),
            "arguments": dict(self.arguments),
            "files": [each.as_json() for each in self.files],
        }
        return orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"


@dataclass(frozen=True, slots=True)
class LoggedLine:
    """One line: debit positive, credit negative, its place in the account's chain from 1."""

    account: str
    amount_minor: int
    account_seq: int
    balance_after_minor: int


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """One journal entry; `book_no` is its gapless number in its book."""

    entry_no: int
    book_no: int
    book: str
    currency: str
    reverses: EntryRef | None
    lines: tuple[LoggedLine, ...]


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One event of the log with all its entries."""

    journal_no: int
    event_id: int
    kind: str
    subject: str
    actor_kind: str
    actor_id: UUID
    party_id: UUID | None
    effective_at: datetime
    recorded_at: datetime
    reason: str
    detail: str
    leaf_hash: bytes
    entries: tuple[LoggedEntry, ...]


class _Hashed:
    """A file that hashes what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = sha256()

    def write(self, octets: bytes) -> int:
        self.digest.update(octets)
        return self._file.write(octets)


class FileWriter:
    """Counts rows and totals, and hashes, while a file is written."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name = name
        self.rows = 0
        self.sums: dict[str, int] = {}
        self._hashed = _Hashed(file)
        self._packed: gzip.GzipFile | None = None
        if name.endswith(".gz"):
            # Without a name and a time of its own, so that the same rows give the same bytes.
            self._packed = gzip.GzipFile("", "wb", 6, cast(BinaryIO, self._hashed), mtime=0)

    def write(self, octets: bytes, *, rows: int = 0) -> None:
        """Write some bytes that hold so many whole rows."""
        (self._packed or self._hashed).write(octets)
        self.rows += rows

    def write_csv(self, rows: Iterable[Sequence[object]], *, is_header: bool = False) -> None:
        """Write rows of a CSV file (RFC 4180, but lines end in a line feed)."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        for row in rows:
            writer.writerow(row)
            self.rows += not is_header
            if text.tell() > 1 << 16:
                self.write(text.getvalue().encode())
                text.seek(0)
                text.truncate()
        self.write(text.getvalue().encode())

    def add(self, name: str, amount: int) -> None:
        """Add to a control total."""
        self.sums[name] = self.sums.get(name, 0) + amount

    def close(self) -> None:
        """Write the end of a packed file."""
        if self._packed is not None:
            self._packed.close()

    def file(self) -> File:
        """What the manifest says about it, once all is written."""
        return File(self.name, self.rows, self.sums, self._hashed.digest.hexdigest())


@contextmanager
def written(folder: Path, name: str) -> Iterator[FileWriter]:
    """A new file of an export, on the disk when the block ends; refuses to overwrite one."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        out = FileWriter(name, file)
        yield out
        out.close()
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def opened(path: Path) -> Iterator[Path | zipfile.Path]:
    """The folder of an export, or its zip as if it were one; refuses what is neither."""
    if path.is_dir():
        yield path
        return
    try:
        with zipfile.ZipFile(path) as archive:
            yield zipfile.Path(archive)
    except (zipfile.BadZipFile, FileNotFoundError) as trouble:
        raise NotAnExport(path=str(path), why=str(trouble)) from trouble


def read_manifest(folder: Path | zipfile.Path) -> Manifest:
    """What the export says of itself; refuses one without a manifest, or of another form."""
    try:
        value = orjson.loads(folder.joinpath(MANIFEST).read_bytes())
        if value["format"] != FORMAT:
            raise NotAnExport(why=f"the format is {value['format']}, not {FORMAT}")
        files = tuple(
            File(
                _inside(each["name"]),
                each["rows"],
                {name: int(total) for name, total in dict(each["sums"]).items()},
                _text(each["sha256"]),
            )
            for each in value["files"]
        )
        root = bytes.fromhex(value["root"])
        size = _size(value["size"])
        return Manifest(_text(value["tenant"]), size, root, value["arguments"], files)
    except (OSError, KeyError, TypeError, ValueError) as trouble:
        raise NotAnExport(why=f"{MANIFEST} cannot be read: {trouble!r}") from trouble


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} is no text")
    return value


def _size(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError(f"{str(value)[:40]!r} is no size")
    return value


def _inside(value: object) -> str:
    """The name of a file below the folder; ValueError for any other."""
    name = _text(value)
    parts = name.split("/")
    if len(name) > _LONGEST_NAME or not name.isprintable() or {"", ".", ".."} & set(parts):
        raise ValueError(f"{name[:40]!r} is no file of an export")
    return name


def read_log(folder: Path | zipfile.Path) -> Iterator[LoggedEvent]:
    """The events in journal order, one at a time; refuses a line that is no event."""
    for number, line in enumerate(_log_lines(folder), start=1):
        try:
            yield event_of(orjson.loads(line))
        except (KeyError, TypeError, ValueError) as trouble:
            raise NotAnExport(line=number, why=f"not an event of the log: {trouble!r}") from trouble


def _log_lines(folder: Path | zipfile.Path) -> Iterator[bytes]:
    packed = folder.joinpath(LOG_GZ)
    if packed.exists():
        try:
            with packed.open("rb") as file, gzip.GzipFile(fileobj=file) as octets:
                yield from _lines_of(octets, LOG_GZ)
        except (gzip.BadGzipFile, EOFError, zlib.error) as trouble:
            raise NotAnExport(why=f"{LOG_GZ} cannot be unpacked: {trouble}") from trouble
        return
    plain = folder.joinpath(LOG)
    if not plain.exists():
        raise NotAnExport(why=f"{LOG} is missing")
    with plain.open("rb") as octets:
        yield from _lines_of(octets, LOG)


def _lines_of(octets: SupportsLines, name: str) -> Iterator[bytes]:
    """The lines of a file, none longer than we would hold in memory."""
    while line := octets.readline(_LONGEST_LINE + 1):
        if len(line) > _LONGEST_LINE:
            raise NotAnExport(why=f"{name} has a line of more than {_LONGEST_LINE:,} bytes")
        yield line


def event_of(value: Mapping[str, Any]) -> LoggedEvent:
    """One event out of its JSON; KeyError, TypeError or ValueError where it is none."""
    actor = value["actor"]
    party = actor["party_id"]
    if value["entry_count"] != len(value["entries"]):
        raise ValueError("entry_count")
    return LoggedEvent(
        value["journal_no"],
        value["id"],
        _text(value["kind"]),
        _text(value["subject"]),
        _text(actor["kind"]),
        UUID(actor["principal_id"]),
        None if party is None else UUID(party),
        datetime.fromisoformat(value["effective_at"]),
        datetime.fromisoformat(value["recorded_at"]),
        _text(value["reason"]),
        _text(value["detail"]),
        bytes.fromhex(value["leaf_hash"]),
        tuple(_entry_of(each) for each in value["entries"]),
    )


def _entry_of(value: Mapping[str, Any]) -> LoggedEntry:
    back = value["reverses"]
    if value["line_count"] != len(value["lines"]):
        raise ValueError("line_count")
    return LoggedEntry(
        value["entry_no"],
        value["book_no"],
        _text(value["book"]),
        _text(value["currency"]),
        None if back is None else EntryRef(back["event_id"], back["entry_no"]),
        tuple(
            LoggedLine(
                _text(each["account"]),
                int(each["amount_minor"]),
                each["account_seq"],
                int(each["balance_after_minor"]),
            )
            for each in value["lines"]
        ),
    )


def read_rows(folder: Path | zipfile.Path, name: str) -> Iterator[dict[str, str]]:
    """The rows of one of the CSV files, by column; all values are texts."""
    file = folder.joinpath(name)
    if not file.exists():
        raise NotAnExport(why=f"{name} is missing")
    try:
        with file.open("rb") as octets:
            text = (line.decode() for line in _lines_of(octets, name))
            yield from csv.DictReader(text, strict=True)
    except (UnicodeDecodeError, csv.Error) as trouble:
        raise NotAnExport(why=f"{name} cannot be read: {trouble}") from trouble


def time_of(text: str) -> datetime:
    """An instant; ValueError for one without a zone."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no zone")
    return at


def check_periods(folder: Path | zipfile.Path) -> None:
    """Refuse periods that nobody could open."""
    for row in read_rows(folder, PERIODS):
        try:
            is_sound = time_of(row["from"]) < time_of(row["until"]) and bool(row["state"])
        except (KeyError, ValueError, TypeError) as trouble:
            raise NotAnExport(why=f"{PERIODS}: {trouble!r}") from trouble
        if not is_sound:
            raise NotAnExport(why=f"{PERIODS}: {row['from']} is no beginning")


def read_checkpoints(folder: Path | zipfile.Path) -> str:
    """The signed notes, one after the other, an empty line between two; empty where none was."""
    file = folder.joinpath(CHECKPOINTS)
    return file.read_text("utf-8") if file.exists() else ""
