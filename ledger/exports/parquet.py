"""Parquet: the same tables as CSV; amounts are DECIMAL(38,0) in minor units.

Rows go to a file of JSON lines first and are turned into Parquet by DuckDB file by file, so that
no table ever has to fit into memory.
"""

from collections.abc import Callable, Sequence
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
from sqlalchemy import Connection

from ledger.exports.files import OutFile
from ledger.exports.model import AsKnown, ExportedFile, Period
from ledger.exports.store_parquet import connect, convert
from ledger.exports.tables import AddRow, Cell, Shelf, Table, fill


def write(
    connection: Connection,
    known: AsKnown,
    folder: Path,
    *,
    period: Period | None,
    progress: Callable[[int], None],
) -> list[ExportedFile]:
    """Write the tables as `parquet/<table>/period=<month>/<table>.parquet`; `formats.Writer`."""
    tables: dict[str, Table] = {}
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".parquet-") as scratch:

        def open_file(table: Table, name: str) -> tuple[OutFile, AddRow]:
            out = OutFile(Path(scratch), f"parquet/{name}.parquet")
            tables[out.name] = table
            return out, _json_rows(table, out)

        shelf = Shelf(open_file)
        fill(connection, known, shelf, period=period, progress=progress)
        with connect(Path(scratch)) as duck:
            written = []
            for out in shelf.files():
                rows = out.close()
                target = folder / out.name
                target.parent.mkdir(parents=True, exist_ok=True)
                convert(duck, tables[out.name], out.path, target=target)
                out.path.unlink()
                written.append(ExportedFile(rows.name, rows.rows, _sha256(target), rows.totals))
    return written


def _json_rows(table: Table, out: OutFile) -> AddRow:
    """Adds a row as one line of JSON; amounts are texts, since they may outgrow 64 bits."""
    names = [name for name, _ in table.columns]
    minor = [number for number, (_, cell) in enumerate(table.columns) if cell is Cell.MINOR]

    def add(row: Sequence[object]) -> None:
        values = list(row)
        for number in minor:
            values[number] = str(values[number])
        out.write(orjson.dumps(dict(zip(names, values, strict=True))).decode() + "\n")

    return add


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
