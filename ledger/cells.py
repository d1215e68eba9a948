"""Sums per chunk and effective day, from which balances as of any date are read.

Write-once and derived: a chunk's cells are written when all of it is sealed, in the transaction
that seals it, and never change. Dropped and written again they come out the same, byte for byte.

- of the journal: per 4,096 events, kind, currency, kind of event and effective day
- of an account: per 1,024 lines and effective day, so that only accounts with more have any

Each level above the first takes sixteen chunks of the one below, up to the third.
"""

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection

from ledger import store_cells as store
from ledger.store_cells import Filled

EVENTS_PER_CHUNK: Final = 4_096
"""Events of a chunk of the journal; `sql/cells` and `sql/reports` write it as 2 to the 12th."""

LINES_PER_CHUNK: Final = 1_024
"""Lines of a chunk of an account; `sql/cells` and `sql/reports` write it as 2 to the 10th."""

_CHUNKS_PER_NODE: Final = 16
_LEVELS_ABOVE: Final = (1, 2, 3)


def write(connection: Connection, first_journal_no: int, last_journal_no: int) -> None:
    """Write the cells of every chunk that these newly sealed events fill.

    Called by the sealer in the transaction that seals them. Costs one look where no chunk is
    filled. A chunk of earlier events that has no cells yet is written too.
    """
    assert first_journal_no <= last_journal_no
    for chunk in range(store.count_chunks(connection), last_journal_no // EVENTS_PER_CHUNK):
        _write_chunk(connection, chunk)


def rebuild(connection: Connection, progress: Callable[[int, int], None]) -> None:
    """Drop all cells and write them again from the journal, chunk by chunk.

    `progress` is told how many events are done, and of how many. Needs the right to delete, which
    the tenant's role lacks. The sealer waits meanwhile; readers see the old cells until the commit.
    """
    store.drop_cells(connection)
    chunks = store.count_sealed(connection) // EVENTS_PER_CHUNK
    for chunk in range(chunks):
        _write_chunk(connection, chunk)
        progress((chunk + 1) * EVENTS_PER_CHUNK, chunks * EVENTS_PER_CHUNK)


def _write_chunk(connection: Connection, chunk: int) -> None:
    filled = store.add_chunk(connection, chunk * EVENTS_PER_CHUNK)
    if filled:
        store.add_account_chunks(connection, filled)
    accounts: Sequence[Filled] = filled
    journal: Sequence[int] = [chunk]
    for level in _LEVELS_ABOVE:
        accounts = [Filled(whose, _above(last)) for whose, last in accounts if _ends(last)]
        journal = [_above(last) for last in journal if _ends(last)]
        if accounts:
            store.add_account_sums(connection, accounts, level=level)
        for above in journal:
            store.add_journal_sums(connection, level=level, chunk=above)


def _ends(chunk: int) -> bool:
    """Whether a chunk is the last of its sixteen."""
    return (chunk + 1) % _CHUNKS_PER_NODE == 0


def _above(chunk: int) -> int:
    return chunk // _CHUNKS_PER_NODE
