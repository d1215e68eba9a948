"""Notices that a rail sends us: each is a hint, and what it is about is read from the rail itself.

Nothing of a notice's content moves money. What is true of the operation is fetched from the rail,
outside any transaction; then the notice is kept and the truth applied, in one transaction, once.
A notice on a chargeback has all that the rail says of the payment's chargebacks fetched, and each
word of it heard once. Notices about nothing of ours are left to the rail's own feed.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import structlog
from pydantic import Field
from sqlalchemy import Connection, Engine

from engine.api.models import Id, Reference, Request, Time
from escrow.service_chargeback_notices import hear_notices
from kernel import clock
from kernel.database import Tenant, transaction
from kernel.errors import Broken
from rails import service
from rails.model import (
    CHARGEBACK_CHANGED,
    CHARGEBACK_FUNDS,
    Notice,
    RailOperation,
    RailOutcome,
    RailResult,
)
from rails.port import Rail
from rails.telling import POISON, ResultHandler, check_answer, is_outage

RailFinder = Callable[[Tenant, str], Rail | None]
"""A tenant's rail by name, or None where it has no such rail."""

MOST_NOTICES: Final = 1_000
CHARGEBACK_KINDS: Final = frozenset({CHARGEBACK_CHANGED, CHARGEBACK_FUNDS})

_log = structlog.get_logger(__name__)


class NoticeBody(Request):
    """One notice: its own id, and the operation of ours that it is about."""

    notice_id: Reference
    kind: Reference
    operation_id: Id | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    occurred_at: Time


class NoticesBody(Request):
    """Some notices, in any order, however often."""

    notices: Annotated[tuple[NoticeBody, ...], Field(min_length=1, max_length=MOST_NOTICES)]


@dataclass(frozen=True, slots=True)
class Inbox:
    """Where a tenant's notices are taken in."""

    engine: Engine
    tenant: Tenant
    rail: Rail
    handlers: Mapping[str, ResultHandler]


def take_in(inbox: Inbox, bodies: Sequence[NoticeBody]) -> dict[str, Any]:
    """Apply what the rail says by now of the operations that the notices name.

    What a handler cannot book fails alone, and waits for people with its trouble beside it.
    """
    cases = {b.operation_id for b in bodies if b.operation_id and b.kind in CHARGEBACK_KINDS}
    named = [
        body
        for body in bodies
        if body.operation_id is not None and body.kind not in CHARGEBACK_KINDS
    ]
    with transaction(inbox.engine, inbox.tenant) as connection:
        at = clock.now(connection)
        ids = sorted({body.operation_id for body in named if body.operation_id is not None})
        ours = service.list_operations(connection, ids)
        paid = [each.id for each in service.list_operations(connection, sorted(cases))]
    truths = {result.operation_id: result for result in _ask(inbox.rail, ours, at)}
    handlers = {operation.id: operation.handler for operation in ours}
    piles: dict[str, list[Notice]] = defaultdict(list)
    for body in named:
        notice = _notice(inbox.rail.name, body, ours)
        piles[handlers.get(body.operation_id, "") if body.operation_id else ""].append(notice)
    counted = Counter[str]()
    for name in sorted(piles):
        counted += _hear(inbox, piles[name], truths, is_known=bool(name), at=at)
    counted += _hear_cases(inbox, inbox.rail.chargebacks(paid, at=at) if paid else [], at=at)
    return {"received": len(bodies), "new": counted["new"], "parked": counted["parked"]}


def _hear(
    inbox: Inbox,
    notices: Sequence[Notice],
    truths: Mapping[UUID, RailResult],
    *,
    is_known: bool,
    at: datetime,
) -> Counter[str]:
    """Take in notices of one handler in one transaction; alone if that breaks."""
    try:
        with transaction(inbox.engine, inbox.tenant) as connection:
            fresh = service.receive(connection, notices, at=at)
            heard = {notice.operation_id for notice in fresh}
            _tell(connection, inbox.handlers, [truths[i] for i in truths if i in heard], at)
            parked = [] if is_known else fresh
            service.park(connection, parked, at=at)
    except POISON as error:
        if len(notices) > 1:
            alone = (_hear(inbox, [n], truths, is_known=is_known, at=at) for n in notices)
            return sum(alone, Counter[str]())
        if is_outage(error):
            raise
        _log.error("rail.notice_failed", notice_id=notices[0].notice_id, error=type(error).__name__)
        with transaction(inbox.engine, inbox.tenant) as connection:
            service.receive(connection, notices, at=at)
            service.except_notices(connection, notices, trouble=str(error)[:500])
        return Counter(new=1)
    return Counter(new=len(fresh), parked=len(parked))


def _hear_cases(inbox: Inbox, words: Sequence[Notice], *, at: datetime) -> Counter[str]:
    """What the rail itself says of chargebacks, in one transaction; alone if that breaks."""
    try:
        with transaction(inbox.engine, inbox.tenant) as connection:
            fresh = service.receive(connection, words, at=at)
            check_answer("chargebacks", hear_notices(connection, fresh, at=at))
    except POISON as error:
        if len(words) > 1:
            return sum((_hear_cases(inbox, [w], at=at) for w in words), Counter[str]())
        if is_outage(error):
            raise
        _log.error("rail.notice_failed", notice_id=words[0].notice_id, error=type(error).__name__)
        with transaction(inbox.engine, inbox.tenant) as connection:
            service.receive(connection, words, at=at)
            service.except_notices(connection, words, trouble=str(error)[:500])
        return Counter(new=1)
    return Counter(new=len(fresh))


def _ask(rail: Rail, operations: Sequence[RailOperation], at: datetime) -> list[RailResult]:
    if not operations:
        return []
    results = rail.resolve(operations, at=at)
    return [result for result in results if result.outcome is not RailOutcome.UNKNOWN]


def _tell(
    connection: Connection,
    handlers: Mapping[str, ResultHandler],
    results: Sequence[RailResult],
    at: datetime,
) -> None:
    by_handler = service.store_results(connection, results, at) if results else {}
    for name in sorted(by_handler):
        if name not in handlers:
            raise Broken("no handler has the name that an operation carries", handler=name)
        check_answer(name, handlers[name](connection, by_handler[name], at))


def _notice(rail: str, body: NoticeBody, ours: Sequence[RailOperation]) -> Notice:
    amounts = {operation.id: operation.amount_minor for operation in ours}
    return Notice(
        rail=rail,
        notice_id=body.notice_id,
        kind=body.kind,
        operation_id=body.operation_id,
        amount_minor=amounts.get(body.operation_id, 0) if body.operation_id else 0,
        currency=body.currency,
        occurred_at=body.occurred_at,
    )
