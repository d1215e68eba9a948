"""The statement with which DuckDB turns rows of JSON into a Parquet file."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import duckdb

from ledger.exports.tables import Cell, Table

_TYPES: Final = MappingProxyType(
    {
        Cell.TEXT: "VARCHAR",
        Cell.NUMBER: "BIGINT",
        Cell.MINOR: "DECIMAL(38,0)",
        Cell.TIME: "TIMESTAMP WITH TIME ZONE",
        Cell.DAY: "DATE",
        Cell.UUID: "UUID",
    }
)


def connect(spill: Path) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory, bounded, on one thread: so its files come out the same each time."""
    settings: Mapping[str, str | int] = {
        "threads": 1,
        "memory_limit": "512MB",
        "temp_directory": str(spill),
        "autoinstall_known_extensions": "false",
    }
    return duckdb.connect(":memory:", config=dict(settings))


def convert(duck: duckdb.DuckDBPyConnection, table: Table, source: Path, *, target: Path) -> None:
    """Write the rows of `source`, one JSON array's worth of named values a line, as Parquet."""
    columns = {name: _TYPES[cell] for name, cell in table.columns}
    rows = duck.read_json(str(source), columns=columns, format="newline_delimited")
    rows.write_parquet(str(target), compression="zstd", row_group_size=100_000)
