"""Reading the file of another system's books: CSV or JSON lines, one record a line, and its hash.

`docs/adoption.md` lists the records. A CSV has one header row with the names of all columns that
its records use; an empty cell is an absent field. In JSON lines every value is a text.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import orjson

from kernel.errors import Refusal
from ledger.adoption import Fault, Record

_MOST_BYTES = 512 * 1024 * 1024


class UnreadableFile(Refusal):
    """The file is neither CSV nor JSON lines in UTF-8, or too large to be one."""

    code = "adoption.unreadable"


@dataclass(frozen=True, slots=True)
class Sheet:
    """What stands in a file: its records in order, what is no record, and its SHA-256."""

    records: tuple[Record, ...]
    faults: tuple[Fault, ...]
    file_hash: bytes


def read_sheet(path: Path) -> Sheet:
    """Read the whole file; JSON lines if its first character opens an object, else CSV."""
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise UnreadableFile(path=path.name, why=f"it has {size} bytes, {_MOST_BYTES} at most")
    octets = path.read_bytes()
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as trouble:
        raise UnreadableFile(path=path.name, why=f"not UTF-8: {trouble.reason}") from trouble
    if "\x00" in text:
        raise UnreadableFile(path=path.name, why="it holds a NUL character")
    found = list(_json_lines(text) if text.lstrip().startswith("{") else _csv_rows(text))
    return Sheet(
        tuple(each for each in found if isinstance(each, Record)),
        tuple(each for each in found if isinstance(each, Fault)),
        sha256(octets).digest(),
    )


def _json_lines(text: str) -> Iterator[Record | Fault]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as trouble:
            yield Fault(number, "record", f"no JSON: {trouble}")
            continue
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            yield Fault(number, "record", "an object whose values are all texts is wanted")
            continue
        yield Record(number, {name: cell for name, cell in value.items() if cell != ""})


def _csv_rows(text: str) -> Iterator[Record | Fault]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                yield Fault(reader.line_num, "record", "other columns than the header row has")
                continue
            yield Record(reader.line_num, {name: cell for name, cell in row.items() if cell})
    except csv.Error as trouble:
        yield Fault(reader.line_num, "record", f"no CSV: {trouble}")
