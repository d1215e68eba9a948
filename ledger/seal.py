"""Sealing: committed events get their place in the one journal order, and the tree grows by them.

The order within a round is (recorded_at, event id). A batch that becomes visible late comes in a
later round. What was sealed never changes its place (decision 0004).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final

from sqlalchemy import Connection

from kernel.errors import Broken, Refusal
from ledger import cells, merkle, store_seal
from ledger.merkle import EMPTY_ROOT, Frontier, Span
from ledger.store_seal import Head, Leaf

ROUND_EVENTS: Final = 4_000
"""A round takes whole batches until it has as many events; more wait for the next one."""

_TICK: Final = timedelta(microseconds=1)
_LOW: Final = 0xFFFFFFFF


class NotSealedYet(Refusal):
    """The log does not reach so far; what was committed is sealed within seconds."""

    code = "log.not_sealed_yet"


class BadRange(Refusal):
    """A proof goes from a smaller tree to a larger one, and both have at least one event."""

    code = "log.bad_range"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What one round did, and how the log stands after it."""

    event_count: int
    """Events that this round sealed; 0: nothing waited, and there is no new block."""
    first_journal_no: int
    size: int
    """The newest journal_no, which is the number of leaves of the tree; 0: nothing is sealed."""
    root: bytes
    sealed_at: datetime | None
    is_full: bool
    """Whether the round stopped at its limit, so that more may wait."""


def seal(connection: Connection, *, at: datetime, limit: int = ROUND_EVENTS) -> Sealed:
    """Seal one round of what is committed and waits, within the caller's transaction.

    Waits for another sealer of the tenant. Run it at READ COMMITTED: an older snapshot would not
    see what the other one did.

    Args:
        connection: a transaction of the tenant.
        at: real time, not the tenant's clock. It becomes the block's `sealed_at`, moved on where it
            is not after the block before, and back where the database's clock is behind.
        limit: events after which the round takes no further batch.
    """
    store_seal.lock_log(connection)
    head = store_seal.find_head(connection)
    waiting = store_seal.list_waiting(connection, events=limit)
    batches = [batch_id for batch_id, _ in waiting]
    leaves = store_seal.list_events(connection, [batch for batch, events in waiting if events])
    if len(leaves) != sum(events for _, events in waiting):
        raise Broken("a batch holds other events than it says", batches=batches[:10])
    after = _write(connection, head, leaves, at) if leaves else head
    if batches:
        store_seal.forget(connection, batches)
    return Sealed(
        event_count=len(leaves),
        first_journal_no=head.size + 1,
        size=after.size,
        root=after.root or EMPTY_ROOT,
        sealed_at=after.sealed_at,
        is_full=len(leaves) >= limit,
    )


def inclusion(connection: Connection, *, journal_no: int, size: int) -> list[bytes]:
    """The proof that the event of this number is in the tree of the first `size` events.

    For `merkle.is_included`, whose index is `journal_no` - 1. Some log2(size) hashes.

    Refuses with: `log.bad_range`, `log.not_sealed_yet`.
    """
    if not 1 <= journal_no <= size:
        raise BadRange(journal_no=journal_no, size=size)
    _reach(connection, size)
    return _roots(connection, merkle.inclusion_spans(index=journal_no - 1, size=size))


def consistency(connection: Connection, *, old_size: int, new_size: int) -> list[bytes]:
    """The proof that the tree of `new_size` events begins with that of `old_size`.

    For `merkle.is_consistent`.

    Refuses with: `log.bad_range`, `log.not_sealed_yet`.
    """
    if not 1 <= old_size <= new_size:
        raise BadRange(old_size=old_size, new_size=new_size)
    _reach(connection, new_size)
    return _roots(connection, merkle.consistency_spans(old=old_size, new=new_size))


def root_at(connection: Connection, size: int) -> bytes:
    """The root of the tree of the first `size` events, reckoned from what is stored.

    Refuses with: `log.not_sealed_yet`.
    """
    _reach(connection, size)
    return _root(connection, Span(0, size)) if size else EMPTY_ROOT


def _write(connection: Connection, head: Head, leaves: Sequence[Leaf], at: datetime) -> Head:
    tree = _frontier(connection, head.size)
    nodes = tree.extend(leaf.hash for leaf in leaves)
    custody = _count((leaf.entries >> 32 for leaf in leaves), head.custody_entries)
    platform = _count((leaf.entries & _LOW for leaf in leaves), head.platform_entries)
    at = min(at, store_seal.find_clock(connection))
    sealed_at = at if head.sealed_at is None else max(at, head.sealed_at + _TICK)
    after = Head(head.no + 1, tree.size, tree.root(), custody[-1], platform[-1], sealed_at)
    store_seal.add_block(connection, after, first_journal_no=head.size + 1)
    store_seal.add_nodes(connection, nodes)
    store_seal.add_seals(
        connection,
        after=head.size,
        events=[leaf.event_id for leaf in leaves],
        custody=custody,
        platform=platform,
    )
    cells.write(connection, head.size + 1, after.size)
    return after


def _count(entries: Iterable[int], before: int) -> list[int]:
    return list(accumulate(entries, initial=before))[1:]


def _frontier(connection: Connection, size: int) -> Frontier:
    tree = Frontier()
    for piece in merkle.pieces(Span(0, size)):
        for hashed in store_seal.list_hashes(connection, piece):
            for _ in tree.push(piece.level, hashed):
                pass
    if tree.size != size:
        raise Broken("the tree of the log has a hole", size=size, found=tree.size)
    return tree


def _reach(connection: Connection, size: int) -> None:
    newest = store_seal.find_head(connection).size
    if size > newest:
        raise NotSealedYet(size=size, newest=newest)


def _roots(connection: Connection, spans: Sequence[Span]) -> list[bytes]:
    return [_root(connection, span) for span in spans]


def _root(connection: Connection, span: Span) -> bytes:
    return merkle.root_of(
        (piece, store_seal.list_hashes(connection, piece)) for piece in merkle.pieces(span)
    )
