"""SQL of the cells: what a chunk of the journal adds, sixteen chunks together, and dropping all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import Connection

from kernel.database import driver

_SQL: Final = Path(__file__).parent / "sql" / "cells"

TABLES: Final = ("journal_chunk", "journal_day", "kind_cell", "account_cell")
"""All that is derived; the order is that of the locks."""


class Filled(NamedTuple):
    """A chunk of an account that is complete: 1,024 lines, or sixteen chunks of a level below."""

    account_id: int
    chunk: int


def _read(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")


_WRITE_CHUNK: Final = _read("write_chunk")
_WRITE_ACCOUNT_CHUNKS: Final = _read("write_account_chunks")
_ROLL_UP_JOURNAL: Final = _read("roll_up_journal")
_ROLL_UP_ACCOUNTS: Final = _read("roll_up_accounts")

_COUNT_CHUNKS: Final = """
SELECT coalesce(max(chunk) + 1, 0) FROM journal_chunk WHERE level = 0
"""


def count_chunks(connection: Connection) -> int:
    """How many chunks of the journal have their cells."""
    return int(connection.exec_driver_sql(_COUNT_CHUNKS).scalar_one())


def count_sealed(connection: Connection) -> int:
    """The newest `journal_no`, 0 for none: the numbers have no gap."""
    newest = connection.exec_driver_sql("SELECT coalesce(max(journal_no), 0) FROM seal")
    return int(newest.scalar_one())


def add_chunk(connection: Connection, before: int) -> list[Filled]:
    """Write the cells of the 4,096 events behind a `journal_no`; the account chunks they fill."""
    rows = connection.exec_driver_sql(_WRITE_CHUNK, {"before": before})
    return [Filled(*row) for row in rows]


def add_account_chunks(connection: Connection, filled: Sequence[Filled]) -> None:
    """Write the cells of filled chunks of accounts."""
    connection.exec_driver_sql(_WRITE_ACCOUNT_CHUNKS, _arrays(filled))


def add_account_sums(connection: Connection, filled: Sequence[Filled], *, level: int) -> None:
    """Sum sixteen chunks of the level below into each of these chunks of accounts."""
    connection.exec_driver_sql(_ROLL_UP_ACCOUNTS, {"level": level, **_arrays(filled)})


def add_journal_sums(connection: Connection, *, level: int, chunk: int) -> None:
    """Sum sixteen chunks of the level below into this chunk of the journal."""
    connection.exec_driver_sql(_ROLL_UP_JOURNAL, {"level": level, "chunk": chunk})


def drop_cells(connection: Connection) -> None:
    """Delete every cell; the sealer waits until the transaction ends, readers see the old ones."""
    raw = driver(connection)
    raw.execute("LOCK TABLE journal_chunk IN SHARE ROW EXCLUSIVE MODE")
    for table in TABLES:
        raw.execute(f"DELETE FROM {table}".encode())


def _arrays(filled: Sequence[Filled]) -> dict[str, list[int]]:
    return {
        "accounts": [each.account_id for each in filled],
        "chunks": [each.chunk for each in filled],
    }
