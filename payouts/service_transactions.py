"""What the lines of a rail's statement mean in the books: each is booked, or explained, once.

A line of an operation of ours was booked by the operation's result; it only tells when its money
becomes available, and whether the rail kept another fee. A fee or reserve is booked by itself. What
belongs to nothing stays open for people (`rail.transaction_open` among the open items).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection

from kernel.errors import Broken, Refusal
from kernel.principals import RAIL
from ledger.entries import Entries
from ledger.model import Draft
from ledger.service import post
from payouts import movements, movements_transactions
from rails import store_transactions
from rails.model import Notice
from rails.model_events import RailTransaction, TransactionKind
from rails.model_kept import FoundTransaction, TransactionMove, account_of

_RESERVES: Final = frozenset({TransactionKind.RESERVE, TransactionKind.RESERVE_BACK})
_FEES_BOOKED: Final = frozenset(
    {TransactionKind.FUNDING, TransactionKind.FUNDING_BACK, TransactionKind.REFUND}
)
"""Whose operations book the rail's fee as they are told it (P01, P15)."""

_NOTHING: Final = "nothing moved"
_LIMIT: Final = 500


@dataclass(slots=True)
class _Page:
    """Drafts in the order of posting, each with the line and the column that its event goes to."""

    drafts: list[Draft] = field(default_factory=list)
    places: list[tuple[int, str]] = field(default_factory=list)

    def add(self, found: FoundTransaction, column: str, draft: Draft) -> None:
        """Post this draft for that line, if it moves anything."""
        if draft.entries:
            self.drafts.append(draft)
            self.places.append((found.seen_no, column))

    def post(self, connection: Connection) -> Mapping[tuple[int, str], int]:
        """The events by line and column; Broken if the books refuse what has happened."""
        events: dict[tuple[int, str], int] = {}
        answers = post(connection, self.drafts) if self.drafts else []
        for place, draft, answer in zip(self.places, self.drafts, answers, strict=True):
            if isinstance(answer, Refusal):
                raise Broken("the books refused what a rail did", kind=draft.kind, why=str(answer))
            events[place] = answer.event_id
        return MappingProxyType(events)


def hear_statement(connection: Connection, notices: Sequence[Notice], at: datetime) -> None:
    """Book what the statements of the rails say that these notices come from."""
    for rail in sorted({notice.rail for notice in notices}):
        book(connection, rail, at=at)


def book(connection: Connection, rail: str, *, at: datetime, limit: int = _LIMIT) -> int:
    """Book and explain the lines of one rail's statement that can be by now; how many.

    A line whose operation has no end yet waits for it, so that nothing becomes available that
    was never booked as pending. Run again it books nothing twice.
    """
    of_ours = store_transactions.lock_explained(connection, rail, limit)
    contested = store_transactions.lock_chargebacks(connection, rail, limit)
    own = store_transactions.lock_own(connection, rail, limit)
    page = _Page()
    for found in own:
        page.add(found, "event", _own(found, at))
    for found in of_ours:
        page.add(found, "event", _fee_changed(found, at))
    for found in (*own, *of_ours, *contested):
        if not _is_over(found, at) and not _is_pending(found):
            page.add(found, "pending", _available(found, at, is_yet=False))
    events = page.post(connection)
    moves = [_move(found, events, at) for found in (*own, *of_ours, *contested)]
    if moves:
        store_transactions.save_moves(connection, moves)
    return len(moves) + _become_available(connection, rail, at, limit)


def _become_available(connection: Connection, rail: str, at: datetime, limit: int) -> int:
    """P02, first half, for every booked line whose time has come."""
    due = store_transactions.lock_due(connection, rail, at, limit)
    page = _Page()
    for found in due:
        page.add(found, "available", _available(found, at, is_yet=True))
    events = page.post(connection)
    if due:
        numbers = [(found.seen_no, events.get((found.seen_no, "available"))) for found in due]
        store_transactions.save_available(connection, numbers, at)
    return len(due)


def _move(
    found: FoundTransaction, events: Mapping[tuple[int, str], int], at: datetime
) -> TransactionMove:
    """A line that was booked as available, and is, is over; others wait for their time."""
    line, event_id = found.transaction, events.get((found.seen_no, "event"))
    explained_by = found.explained_by or ("" if event_id else _NOTHING)
    return TransactionMove(
        seen_no=found.seen_no,
        state="explained" if explained_by else "booked",
        explained_by=explained_by,
        event_id=event_id,
        pending_event_id=events.get((found.seen_no, "pending")),
        became_available_at=max(at, line.available_at) if _is_over(found, at) else None,
    )


def _is_pending(found: FoundTransaction) -> bool:
    """Whether its booking stands in the pending account: a payment's does, all of its lines.

    What a rail takes back of one that stands (a part that was not captured) is of that booking; a
    payment that failed late was booked out of what is available.
    """
    kind, is_standing = found.transaction.kind, found.booked_fee_minor is not None
    return kind is TransactionKind.FUNDING or (kind is TransactionKind.FUNDING_BACK and is_standing)


def _is_over(found: FoundTransaction, at: datetime) -> bool:
    """Whether nothing of it is still to become available."""
    line = found.transaction
    return _is_other_side(line) or (not _is_pending(found) and line.available_at <= at)


def _is_other_side(line: RailTransaction) -> bool:
    """Whether a line only shows on the reserve's own balance what another took from ours."""
    net_minor = line.net_minor
    return (line.kind is TransactionKind.RESERVE and net_minor > 0) or (
        line.kind is TransactionKind.RESERVE_BACK and net_minor < 0
    )


def _own(found: FoundTransaction, at: datetime) -> Draft:
    line = found.transaction
    place = account_of(line.rail, account=line.account)
    if _is_other_side(line):
        return _draft("settlement.reserved", line, (), at)
    if line.kind in _RESERVES:
        entries = movements_transactions.keep_in_reserve(
            rail_account=place, currency=line.currency, amount_minor=-line.net_minor
        )
        return _draft("settlement.reserved", line, entries, at)
    entries = movements_transactions.fee_billed(
        rail_account=place, currency=line.currency, fee_minor=-line.net_minor
    )
    return _draft("settlement.fee_billed", line, entries, at)


def _fee_changed(found: FoundTransaction, at: datetime) -> Draft:
    """The rail's fee by its statement, less what the operation's result said of it."""
    line, booked_minor = found.transaction, found.booked_fee_minor
    if booked_minor is None or line.kind not in _FEES_BOOKED:
        booked_minor = line.fee_minor
    elif line.kind is TransactionKind.FUNDING_BACK:
        booked_minor = 0
    entries = movements_transactions.fee_changed(
        rail_account=account_of(line.rail, account=line.account),
        currency=line.currency,
        more_minor=line.fee_minor - booked_minor,
        is_pending=_is_pending(found),
    )
    return _draft("settlement.fee_changed", line, entries, at)


def _available(found: FoundTransaction, at: datetime, *, is_yet: bool) -> Draft:
    line = found.transaction
    move = (
        movements.p02_become_available if is_yet else movements_transactions.p02_not_yet_available
    )
    entries = move(
        rail_account=account_of(line.rail, account=line.account),
        currency=line.currency,
        amount_minor=line.net_minor,
    )
    kind = "settlement.available" if is_yet else "settlement.not_available"
    return _draft(kind, line, entries, at)


def _draft(kind: str, line: RailTransaction, entries: Entries, at: datetime) -> Draft:
    detail: dict[str, Any] = {
        "transaction": line.transaction_ref,
        "rail_kind": line.rail_kind,
        "source": line.source_ref,
        "occurred_at": line.occurred_at.isoformat(),
        "available_at": line.available_at.isoformat(),
    }
    subject = f"rail_account:{account_of(line.rail, account=line.account)}"
    return Draft(
        kind=kind, subject=subject, actor=RAIL, effective_at=at, entries=entries, detail=detail
    )
