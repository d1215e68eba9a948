"""CSV as RFC 4180 has it: comma, double quotes, CRLF, UTF-8 without a mark, one heading.

A text that a spreadsheet would take for a formula gets an apostrophe in front; so does one that
begins with an apostrophe, so that taking one away always gives the text back. An absent value is
an empty cell.
"""

import csv
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from ledger.exports.files import OutFile, iso
from ledger.exports.model import AsKnown, ExportedFile, Period
from ledger.exports.tables import AddRow, Shelf, Table, fill

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "'")


def write(
    connection: Connection,
    known: AsKnown,
    folder: Path,
    *,
    period: Period | None,
    progress: Callable[[int], None],
) -> list[ExportedFile]:
    """Write the tables as `csv/<table>/period=<month>/<table>.csv`; `formats.Writer`."""

    def open_file(table: Table, name: str) -> tuple[OutFile, AddRow]:
        out = OutFile(folder, f"csv/{name}.csv")
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow([column for column, _ in table.columns])

        def add(row: Sequence[object]) -> None:
            writer.writerow([cell(value) for value in row])

        return out, add

    shelf = Shelf(open_file)
    fill(connection, known, shelf, period=period, progress=progress)
    return [out.close() for out in shelf.files()]


def cell(value: object) -> object:
    """A value as its cell holds it: times in UTC, texts that no spreadsheet takes for a formula."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, datetime):
        return iso(value)
    return value
