"""All SQL of sealing: what waits, the order it gets, the tree's rows, checkpoints and receipts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection

from kernel.copying import BigintArray
from kernel.database import driver
from ledger.merkle import Piece, Subtree

_LOCK: Final = """
SELECT pg_advisory_xact_lock(hashtextextended('holdfast.log.' || current_schema(), 0))
"""

_LIST_WAITING: Final = "SELECT batch_id, event_count FROM waiting_batches(%s)"

_LIST_EVENTS: Final = "SELECT event_id, leaf_hash, entries FROM waiting_events(%s::bigint[])"

_NEWEST_BLOCK: Final = """
SELECT no, last_journal_no, root, custody_entries, platform_entries, sealed_at
FROM block ORDER BY no DESC LIMIT 1
"""

_ADD_BLOCK: Final = """
INSERT INTO block (no, first_journal_no, last_journal_no, root, custody_entries, platform_entries,
                   sealed_at)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""

_ADD_NODES: Final = """
INSERT INTO tree_node (level, position, hash)
SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::bytea[])
"""

_ADD_SEALS: Final = """
INSERT INTO seal (journal_no, event_id, custody_entries, platform_entries)
SELECT %s::bigint + n.ordinal, n.event_id, n.custody_entries, n.platform_entries
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[])
    WITH ORDINALITY AS n (event_id, custody_entries, platform_entries, ordinal)
"""

_FORGET: Final = "DELETE FROM unsealed WHERE batch_id = ANY (%s::bigint[])"

_LIST_NODES: Final = """
SELECT t.hash
FROM tree_node t
WHERE t.level = %s AND t.position >= %s AND t.position < %s
ORDER BY t.position
"""

_LIST_LEAVES: Final = """
SELECT v.leaf_hash
FROM seal s JOIN event v ON v.id = s.event_id
WHERE s.journal_no > %s AND s.journal_no <= %s
ORDER BY s.journal_no
"""


_FIND_LEAF: Final = """
SELECT s.event_id, v.leaf_hash
FROM seal s JOIN event v ON v.id = s.event_id
WHERE s.journal_no = %s
"""

_NEWEST_CHECKPOINT: Final = """
SELECT size, root, note, signed_at FROM checkpoint ORDER BY size DESC LIMIT 1
"""

_ADD_CHECKPOINT: Final = """
INSERT INTO checkpoint (size, root, note, signed_at) VALUES (%s, %s, %s, %s)
ON CONFLICT (size) DO NOTHING
"""

_LIST_UNANCHORED: Final = """
SELECT c.size, c.root, c.note, c.signed_at
FROM checkpoint c
WHERE c.size > (SELECT coalesce(max(size), 0) FROM anchored WHERE anchor = %(anchor)s)
ORDER BY c.size
LIMIT %(limit)s
"""

_ADD_RECEIPT: Final = """
INSERT INTO anchored (size, anchor, receipt, anchored_at) VALUES (%s, %s, %s, %s)
ON CONFLICT (size, anchor) DO NOTHING
"""

_LAG: Final = """
SELECT count(*), coalesce(sum(b.event_count), 0)::bigint, min(b.opened_at),
       greatest(extract(epoch FROM clock_timestamp() - min(b.opened_at)) * 1000, 0)::bigint
FROM unsealed u JOIN batch b ON b.id = u.batch_id
"""


class Stored(NamedTuple):
    """A signed checkpoint as it is kept."""

    size: int
    root: bytes
    note: str
    signed_at: datetime


class Lag(NamedTuple):
    """What waits for the sealer: batches, their events, since when; None: nothing waits."""

    batches: int
    events: int
    oldest_at: datetime | None
    lag_ms: int | None


class Head(NamedTuple):
    """The newest block; zeros and an empty root before the first."""

    no: int
    size: int
    root: bytes | None
    custody_entries: int
    platform_entries: int
    sealed_at: datetime | None


class Leaf(NamedTuple):
    """An event that waits: its number, its leaf hash, and its entries in custody and platform."""

    event_id: int
    hash: bytes
    entries: int
    """Entries of custody << 32 | entries of platform."""


def lock_log(connection: Connection) -> None:
    """Be the only one who seals this tenant until the transaction ends; waits for another."""
    driver(connection).execute(_LOCK)


def list_waiting(connection: Connection, *, events: int) -> list[tuple[int, int]]:
    """Committed batches that nobody sealed: number and events; together little over `events`."""
    return driver(connection).execute(_LIST_WAITING, (events,)).fetchall()


def list_events(connection: Connection, batches: Sequence[int]) -> list[Leaf]:
    """The events of these batches in the order of the journal."""
    cursor = driver(connection).execute(_LIST_EVENTS, (BigintArray(batches),), binary=True)
    return [Leaf(*row) for row in cursor.fetchall()]


def find_clock(connection: Connection) -> datetime:
    """The real time of the database, which lets no block be sealed in its future."""
    row = driver(connection).execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    at: datetime = row[0]
    return at


def find_head(connection: Connection) -> Head:
    """Where the log ends."""
    row = driver(connection).execute(_NEWEST_BLOCK).fetchone()
    return Head(0, 0, None, 0, 0, None) if row is None else Head(*row)


def add_block(connection: Connection, head: Head, *, first_journal_no: int) -> None:
    """Write the block; its seals come next, in one statement."""
    driver(connection).execute(
        _ADD_BLOCK,
        (
            head.no,
            first_journal_no,
            head.size,
            head.root,
            head.custody_entries,
            head.platform_entries,
            head.sealed_at,
        ),
    )


def add_nodes(connection: Connection, nodes: Sequence[Subtree]) -> None:
    """Write the subtrees that became complete."""
    if nodes:
        levels, positions, hashes = zip(*nodes, strict=True)
        given = (list(levels), BigintArray(positions), list(hashes))
        driver(connection).execute(_ADD_NODES, given)


def add_seals(
    connection: Connection,
    *,
    after: int,
    events: Sequence[int],
    custody: Sequence[int],
    platform: Sequence[int],
) -> None:
    """Number these events from `after` + 1 on; the counts are those of the journal so far."""
    driver(connection).execute(
        _ADD_SEALS, (after, BigintArray(events), BigintArray(custody), BigintArray(platform))
    )


def forget(connection: Connection, batches: Sequence[int]) -> None:
    """Take sealed batches off the work table."""
    driver(connection).execute(_FORGET, (BigintArray(batches),))


def list_hashes(connection: Connection, piece: Piece) -> list[bytes]:
    """The hashes of a piece of the tree, in order."""
    raw = driver(connection)
    if piece.level == 0:
        cursor = raw.execute(_LIST_LEAVES, piece[1:], binary=True)
    else:
        cursor = raw.execute(_LIST_NODES, piece, binary=True)
    return [row[0] for row in cursor]


def find_leaf(connection: Connection, journal_no: int) -> Leaf | None:
    """The event of this number, its entries uncounted."""
    row = driver(connection).execute(_FIND_LEAF, (journal_no,)).fetchone()
    return None if row is None else Leaf(row[0], row[1], 0)


def find_checkpoint(connection: Connection) -> Stored | None:
    """The newest signed checkpoint."""
    row = driver(connection).execute(_NEWEST_CHECKPOINT).fetchone()
    return None if row is None else Stored(*row)


def add_checkpoint(connection: Connection, stored: Stored) -> None:
    """Keep a note; another note of the same size stays as it is."""
    driver(connection).execute(_ADD_CHECKPOINT, stored)


def list_unanchored(connection: Connection, anchor: str, *, limit: int) -> list[Stored]:
    """Checkpoints that an anchor has given no receipt for, the oldest first."""
    given = {"anchor": anchor, "limit": limit}
    return [Stored(*row) for row in driver(connection).execute(_LIST_UNANCHORED, given)]


def add_receipt(
    connection: Connection, size: int, *, anchor: str, receipt: str, at: datetime
) -> None:
    """Keep what an anchor answered."""
    driver(connection).execute(_ADD_RECEIPT, (size, anchor, receipt, at))


def find_lag(connection: Connection) -> Lag:
    """What waits for the sealer as this transaction sees it, by the database's clock."""
    row = driver(connection).execute(_LAG).fetchone()
    assert row is not None
    return Lag(*row)
