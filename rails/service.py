"""Operations and notices: intents first, then what rails say of them, each word counted once.

None of these functions calls a rail; `rails.caller` does, between two transactions.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy import Connection

from kernel.errors import Broken
from rails import store, store_notices
from rails.capabilities import capabilities_of
from rails.model import Notice, OperationKind, RailBalance, RailOperation, RailResult
from rails.rules import best, is_news
from rails.store import Locked, Unresolved, Unsent

PARKED_FOR: Final = timedelta(minutes=10)
"""How long a notice about something unknown waits for it (domain/escrow.md 2.11, edge case 4)."""

PUT_OFF_FOR: Final = timedelta(seconds=30)
"""How long an operation waits that the rail did not take in, if the rail does not say."""

PARKED_TRIES: Final = 3
"""A notice that still concerns nothing of ours after so many looks is an exception."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """What a batch of notices came to: results of ours, news of another kind, and the parked."""

    results: tuple[RailResult, ...]
    others: tuple[Notice, ...]
    parked: tuple[Notice, ...]


def intend(connection: Connection, operations: Sequence[RailOperation], *, at: datetime) -> None:
    """Write down what we want of a rail, in the transaction of the command that wants it.

    The database refuses an operation whose id was used before, and amounts that are not positive.
    """
    if operations:
        store.add_operations(connection, operations, at)


def withdraw(connection: Connection, ids: Sequence[UUID]) -> int:
    """Take intents back that no rail was told of; what is on its way already stays as it is."""
    return store.withdraw_operations(connection, ids) if ids else 0


def call_off(connection: Connection, ids: Sequence[UUID], *, handler: str, at: datetime) -> None:
    """Withdraw intents; what is on its way already is called off at rails where that can be.

    The rail's word on the operation itself says whether it came in time. Once per operation.
    """
    if not ids:
        return
    store.withdraw_operations(connection, ids)
    sent = store.list_sent(connection, ids)
    intend(
        connection,
        [
            RailOperation(
                id=uuid5(operation.id, "cancel"),
                kind=OperationKind.CANCEL,
                handler=handler,
                subject=operation.subject,
                amount_minor=0,
                currency=operation.currency,
                method=operation.method,
                facts={"funding_id": str(operation.id), "funding_ref": operation.rail_ref},
                rail=operation.rail,
            )
            for operation in sent
            if capabilities_of(operation.rail).cancels
        ],
        at=at,
    )


def take(
    connection: Connection, limit: int, at: datetime, *, rail: str = "simulated"
) -> list[RailOperation]:
    """Mark up to `limit` intents as sent, oldest first, and give them to the one who will call.

    Two takers never get the same operation. The caller commits before he calls the rail.
    """
    return store.take_operations(connection, limit, at, rail=rail)


def store_results(
    connection: Connection, results: Sequence[RailResult], at: datetime
) -> dict[str, list[RailResult]]:
    """Move operations on to what a rail said of them; the news by the handler they name.

    An operation only moves forward: unknown or pending to done or refused, done to refused (a
    payment that came back), uncleared to cleared. A duplicate or an older word changes nothing
    and is left out. A result about no operation of ours, or about other money than was asked for,
    is Broken; only a funding may bring another amount, which its handler then reviews. Order
    within a handler is that of the results.
    """
    assert at.tzinfo is not None
    per_operation: dict[UUID, list[RailResult]] = defaultdict(list)
    for result in results:
        per_operation[result.operation_id].append(result)
    locked = store.lock_operations(connection, sorted(per_operation))
    news: list[RailResult] = []
    by_handler: dict[str, list[RailResult]] = defaultdict(list)
    for operation_id, heard in per_operation.items():
        operation = locked.get(operation_id)
        if operation is None:
            raise Broken("a rail answered for no operation of ours", operation_id=str(operation_id))
        result = _checked(operation, best(heard))
        if is_news(operation.standing, result):
            news.append(result)
            by_handler[operation.handler].append(result)
    if news:
        store.save_results(connection, news)
    return dict(by_handler)


def lose_replies(connection: Connection, operations: Sequence[RailOperation]) -> int:
    """Mark sent operations unknown after RailTrouble; how many were still without an answer."""
    return store.save_unknown(connection, [operation.id for operation in operations])


def list_unresolved(
    connection: Connection, older_than: datetime, *, limit: int = 1_000, rail: str = "simulated"
) -> list[Unresolved]:
    """Operations to be read from the rail: unknown, or silent since `older_than`.

    `older_than` is real time, as leases are; the tenant's clock may stand still.
    """
    return store.list_unresolved(connection, older_than, limit, rail=rail)


def send_again(connection: Connection, absent: Sequence[Unsent]) -> int:
    """Put back what a read proved that the rail never saw; it will be sent again.

    An operation that someone sent in the meantime stays as it is. Gives the number put back.
    """
    return store.save_unsent(connection, absent) if absent else 0


def put_off(connection: Connection, results: Sequence[RailResult], *, at: datetime) -> int:
    """Put back what a rail did not take in now (NOT_NOW), to be sent at `retry_at` with its key."""
    attempts = store.find_attempts(connection, [result.operation_id for result in results])
    return send_again(
        connection,
        [
            Unsent(
                result.operation_id,
                attempts[result.operation_id],
                retry_at=result.retry_at or at + PUT_OFF_FOR,
            )
            for result in results
        ],
    )


def note_asked(connection: Connection, operations: Sequence[RailOperation]) -> None:
    """Note that the rail was asked, so that the next look begins with others."""
    if operations:
        store.save_asked(connection, [operation.id for operation in operations])


def list_operations(connection: Connection, ids: Sequence[UUID]) -> list[RailOperation]:
    """Operations by id, as they were intended."""
    return store.list_operations(connection, ids)


def list_rails(connection: Connection) -> list[str]:
    """The rails that were ever asked for anything, by name."""
    return store.list_rails(connection)


def list_open(connection: Connection, handler: str) -> list[RailOperation]:
    """Operations of one handler whose end is not known yet, oldest first."""
    return store.list_open(connection, handler)


def list_between(connection: Connection, banks: Sequence[str]) -> list[tuple[RailBalance, bool]]:
    """What processors did with our banks: no bank's rail knows it, so it is taken on their word.

    By bank and currency in minor units what came, less what went; and, marked True, by processor's
    account what has left it and is not in the bank yet, which the books still have there. `banks`
    are the rails whose own balances count our banks' money.
    """
    return store.list_between(connection, banks)


def receive(connection: Connection, notices: Sequence[Notice], *, at: datetime) -> list[Notice]:
    """Keep notices in the inbox; gives those that were never seen before, in their order.

    Source: domain/escrow.md 2.11, edge case 2 (unique per rail and notice id).
    """
    if not notices:
        return []
    first = {(notice.rail, notice.notice_id): notice for notice in reversed(notices)}
    fresh = store_notices.add_notices(connection, list(first.values()), at)
    in_order = {(notice.rail, notice.notice_id): None for notice in notices}
    return [first[key] for key in in_order if key in fresh]


def sort(
    connection: Connection, notices: Sequence[Notice], known_kinds: Mapping[str, object]
) -> Sorted:
    """Tell results of our operations from news of a known kind, and from what must wait.

    News may be about no operation, or about one of ours (a chargeback of a payment).
    """
    ids = sorted({notice.operation_id for notice in notices if notice.operation_id is not None})
    ours = {operation.id: operation for operation in store.list_operations(connection, ids)}
    results: list[RailResult] = []
    others: list[Notice] = []
    parked: list[Notice] = []
    for notice in notices:
        operation = ours.get(notice.operation_id) if notice.operation_id else None
        if operation is not None and notice.outcome is not None:
            results.append(_as_result(operation, notice))
        elif notice.kind in known_kinds and (notice.operation_id is None or operation):
            others.append(notice)
        else:
            parked.append(notice)
    return Sorted(tuple(results), tuple(others), tuple(parked))


def park(connection: Connection, notices: Sequence[Notice], *, at: datetime) -> None:
    """Let notices about something unknown wait: our own insert may not be committed yet.

    Source: domain/escrow.md 2.11, edge case 4.
    """
    if notices:
        store_notices.save_notices(
            connection,
            notices,
            state="parked",
            trouble="concerns nothing that we know",
            retry_at=at + PARKED_FOR,
        )


def take_parked(connection: Connection, *, at: datetime, limit: int = 1_000) -> list[Notice]:
    """Parked notices to look at once more; what was tried often enough becomes an exception.

    Those given count as applied unless they are parked again.
    """
    due = store_notices.lock_parked(connection, at, limit)
    given_up = [notice for notice, tries in due if tries >= PARKED_TRIES]
    again = [notice for notice, tries in due if tries < PARKED_TRIES]
    if given_up:
        except_notices(connection, given_up, trouble="concerned nothing that we know, to the end")
    if again:
        store_notices.save_notices(connection, again, state="applied", more_tries=1)
    return again


def except_notices(connection: Connection, notices: Sequence[Notice], *, trouble: str) -> None:
    """Put notices into the queue that people look at; `trouble` says what was wrong."""
    store_notices.save_notices(connection, notices, state="exception", trouble=trouble)


def list_exceptions(connection: Connection, *, limit: int = 100) -> list[tuple[Notice, str]]:
    """Notices that someone must look at, oldest first, each with what was wrong."""
    return store_notices.list_exceptions(connection, limit)


def find_position(connection: Connection, rail: str) -> str:
    """How far a rail's notices were read; empty for not at all."""
    return store.find_position(connection, rail)


def save_position(connection: Connection, *, rail: str, position: str) -> None:
    """Remember how far a rail's notices were read, with the notices in one transaction."""
    store.save_position(connection, rail=rail, position=position)


def _checked(operation: Locked, result: RailResult) -> RailResult:
    """The result under our own kind and subject; a funding may bring another amount than asked.

    It has one payment at its rail: a hint may be forged to name another that was made.
    """
    asked, moved = operation.amount_minor, result.amount_minor
    is_other_amount = moved != asked and operation.kind is not OperationKind.FUND
    if is_other_amount or result.currency != operation.currency:
        raise Broken(
            "a rail moved other money than it was asked to",
            operation_id=str(result.operation_id),
            asked_minor=asked,
            moved_minor=moved,
            currency=result.currency,
        )
    is_other = operation.rail_ref and result.rail_ref not in ("", operation.rail_ref)
    if is_other and operation.kind is OperationKind.FUND:
        raise Broken(
            "a rail tells of another payment than it began",
            operation_id=str(result.operation_id),
            rail_ref=operation.rail_ref,
        )
    return replace(result, kind=operation.kind, subject=operation.subject)


def _as_result(operation: RailOperation, notice: Notice) -> RailResult:
    assert notice.outcome is not None
    return RailResult(
        operation_id=operation.id,
        kind=operation.kind,
        subject=operation.subject,
        outcome=notice.outcome,
        amount_minor=notice.amount_minor,
        currency=notice.currency,
        fee_minor=notice.fee_minor,
        rail_ref=notice.rail_ref,
        code=notice.code,
        occurred_at=notice.occurred_at,
        cleared=notice.cleared,
        has_left=notice.has_left,
        transaction_ref=notice.transaction_ref,
    )
