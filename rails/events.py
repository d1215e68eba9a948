"""Events that rails send: kept once as they came, read from the rail, and booked once.

An event is a hint. What it is about is fetched outside any transaction; what is true of it by now
is told to the handlers, and the event marked processed, in one transaction. What fails is tried
again, what concerns nothing of ours yet is parked, and nothing is ever dropped.

Source: domain/rails.md 1.5; domain/escrow.md 2.11, edge cases 2 to 4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import Connection, Engine

from kernel.database import Tenant, transaction
from kernel.errors import RailTrouble
from rails import service, store_events, transactions
from rails.model import TRANSACTIONS_BOOKED, Notice
from rails.model_events import RailEvent
from rails.model_kept import KeptEvent
from rails.port import Rail, WebhookRail
from rails.service import PARKED_FOR, PARKED_TRIES
from rails.store_events import list_events, save_retry
from rails.telling import (
    POISON,
    NoticeHandler,
    ResultHandler,
    is_outage,
    tell_news,
    tell_results,
)

LEASE: Final = timedelta(minutes=1)
"""Real time for which an event belongs to the worker that took it."""

MOST_FAILURES: Final = 12
"""A handler that failed so often on one event has some two hours behind it: people look."""

LONGEST_WAIT: Final = timedelta(minutes=30)
WHOLE_EVERY: Final = timedelta(hours=24)
"""How often all that a rail still lists is read from its start, for what was added behind us."""

_AWAY_FOR: Final = timedelta(seconds=15)
_MOST_PUT_OFF: Final = 3
"""A rail that could not tell of so many events is asked for no more of them in this look."""

_PAGE: Final = 100
_MOST_PAGES: Final = 20
_UNKNOWN: Final = "concerns nothing that we know"

_log = structlog.get_logger(__name__)

__all__ = ["Counts", "fill_gaps", "list_events", "save_retry", "step", "take_in", "work_events"]


@dataclass(slots=True, kw_only=True)
class Counts:
    """What one look came to. `filled` are events that no webhook had brought."""

    taken: int = 0
    processed: int = 0
    news: int = 0
    parked: int = 0
    failed: int = 0
    put_off: int = 0
    exceptions: int = 0
    filled: int = 0
    transactions: int = 0

    @property
    def is_quiet(self) -> bool:
        """Whether there was nothing to work: what is put off has its time."""
        return not (self.processed or self.filled or self.transactions)

    def add(self, other: "Counts") -> None:
        """Sum two looks."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    engine: Engine
    tenant: Tenant
    rail: WebhookRail
    handlers: Mapping[str, ResultHandler]
    notice_handlers: Mapping[str, NoticeHandler]
    at: datetime
    counts: Counts


def step(
    engine: Engine,
    tenant: Tenant,
    rail: Rail,
    result_handlers: Mapping[str, ResultHandler],
    notice_handlers: Mapping[str, NoticeHandler],
    at: datetime,
    *,
    limit: int = _PAGE,
) -> Counts:
    """All that a rail's events and statement lead to now; call again until it is quiet.

    Gaps are filled first, then events worked, then what the rail's statement says is booked by
    the handler of TRANSACTIONS_BOOKED. A rail without events, or without a statement, has nothing
    to do here. A list that we cannot keep (a currency that is none of ours) keeps no event waiting.
    """
    counts = _filled(engine, tenant, rail, at)
    if isinstance(rail, WebhookRail):
        counts.add(
            work_events(engine, tenant, rail, result_handlers, notice_handlers, at, limit=limit)
        )
    handler = notice_handlers.get(TRANSACTIONS_BOOKED)
    with transaction(engine, tenant) as connection:
        waits = handler is not None and transactions.has_work(connection, rail.name, at)
        if waits and handler is not None:
            handler(connection, [_statement_grew(rail.name, at)], at)
    return counts


def _filled(engine: Engine, tenant: Tenant, rail: Rail, at: datetime) -> Counts:
    try:
        return fill_gaps(engine, tenant, rail, at)
    except POISON as error:
        if is_outage(error):
            raise
        _log.error("rail.gaps_failed", rail=rail.name, error=type(error).__name__)
        return Counts()


def take_in(connection: Connection, events: Sequence[RailEvent], at: datetime) -> int:
    """Keep events as they came; how many were never seen before. The caller commits, then answers.

    Source: domain/rails.md 1.5, rule 4.
    """
    return store_events.add_events(connection, events, at) if events else 0


def work_events(
    engine: Engine,
    tenant: Tenant,
    rail: WebhookRail,
    handlers: Mapping[str, ResultHandler],
    notice_handlers: Mapping[str, NoticeHandler],
    at: datetime,
    *,
    limit: int = _PAGE,
    lease: timedelta = LEASE,
) -> Counts:
    """Work up to `limit` events of a rail, oldest first, each in a transaction of its own.

    Several may work at once. An event whose worker died is taken again when its lease is over.
    """
    desk = _Desk(
        engine=engine,
        tenant=tenant,
        rail=rail,
        handlers=handlers,
        notice_handlers=notice_handlers,
        at=at,
        counts=Counts(),
    )
    with transaction(engine, tenant) as connection:
        taken = store_events.take_events(connection, rail.name, at, limit=limit, lease=lease)
    desk.counts.taken = len(taken)
    for kept in taken:
        if desk.counts.put_off < _MOST_PUT_OFF:
            _work(desk, kept)
        else:
            _put_off(desk, kept, "the rail is away", counts=False)
    return desk.counts


def fill_gaps(
    engine: Engine, tenant: Tenant, rail: Rail, at: datetime, *, at_once: bool = False
) -> Counts:
    """Ask the rail for events that no webhook brought, and for its statement, if it is time.

    Every `poll_every_s` of real time behind the last position, and each day all from the start;
    `at_once`: whenever it was asked last.
    """
    counts = Counts()
    every = timedelta(seconds=0 if at_once else rail.capabilities.poll_every_s)
    if isinstance(rail, WebhookRail):
        counts.filled += _fill(engine, tenant, rail, at, name=f"{rail.name}/events", every=every)
        whole = f"{rail.name}/events:whole"
        counts.filled += _fill(engine, tenant, rail, at, name=whole, every=WHOLE_EVERY)
    counts.transactions += transactions.take(engine, tenant, rail, at=at, every=every)
    return counts


def _fill(
    engine: Engine, tenant: Tenant, rail: WebhookRail, at: datetime, *, name: str, every: timedelta
) -> int:
    """Page through a rail's own list of events; a list read whole begins anew at its end."""
    with transaction(engine, tenant) as connection:
        position = store_events.claim_asking(connection, name, every)
    if position is None:
        return 0
    found = 0
    for _ in range(_MOST_PAGES):
        try:
            events, following = rail.list_events(after=position, limit=_PAGE, at=at)
        except RailTrouble as trouble:
            _log.warning("rail.events_failed", rail=rail.name, trouble=str(trouble))
            break
        is_end = following == position
        kept_at = "" if is_end and name.endswith(":whole") else following
        with transaction(engine, tenant) as connection:
            found += take_in(connection, events, at)
            service.save_position(connection, rail=name, position=kept_at)
        position = following
        if is_end:
            return found
    else:
        with transaction(engine, tenant) as connection:
            store_events.ask_again(connection, name)
    return found


def _work(desk: _Desk, kept: KeptEvent) -> None:
    """Read what an event is about, then tell what is true of it; each failure is its own."""
    try:
        notices = desk.rail.read_event(kept.event, at=desk.at)
    except RailTrouble as trouble:
        _put_off(desk, kept, str(trouble), counts=False)
        return
    except POISON as error:
        _fail(desk, kept, error)
        return
    try:
        with transaction(desk.engine, desk.tenant) as connection:
            _apply(desk, connection, kept.event_no, notices)
    except POISON as error:
        if is_outage(error):
            _log.warning("rail.event_put_off", rail=desk.rail.name, event_id=kept.event.event_id)
            _put_off(desk, kept, type(error).__name__, counts=False)
            return
        _fail(desk, kept, error)


def _fail(desk: _Desk, kept: KeptEvent, error: Exception) -> None:
    name, event_id = type(error).__name__, kept.event.event_id
    _log.error("rail.event_failed", rail=desk.rail.name, event_id=event_id, error=name)
    _put_off(desk, kept, str(error)[:500] or name, counts=True)


def _apply(desk: _Desk, connection: Connection, event_no: int, notices: Sequence[Notice]) -> None:
    """Tell what is news and mark the event processed; or park it whole, with nothing heard.

    Of an event that is partly about something unknown, what is known is told at once.
    """
    now = store_events.lock_event(connection, event_no)
    if now is None or now.state not in ("new", "parked"):
        return
    known = service.sort(connection, notices, desk.notice_handlers)
    parked = {notice.notice_id for notice in known.parked}
    fresh = service.receive(
        connection, [each for each in notices if each.notice_id not in parked], at=desk.at
    )
    piles = service.sort(connection, fresh, desk.notice_handlers)
    desk_news = tell_results(connection, piles.results, desk.handlers, desk.at)
    desk_news += tell_news(connection, piles.others, desk.notice_handlers, desk.at)
    if not parked:
        store_events.save_processed(connection, event_no, desk.at)
        desk.counts.processed += 1
    elif now.tries < PARKED_TRIES:
        store_events.save_parked(connection, event_no, desk.at + PARKED_FOR, _UNKNOWN)
        desk.counts.parked += 1
    else:
        store_events.save_exception(connection, event_no, f"{_UNKNOWN}, to the end")
        desk.counts.exceptions += 1
    desk.counts.news += desk_news


def _put_off(desk: _Desk, kept: KeptEvent, trouble: str, *, counts: bool) -> None:
    """Have it tried again later; what failed too often by itself is put before people."""
    with transaction(desk.engine, desk.tenant) as connection:
        if counts and kept.failures + 1 >= MOST_FAILURES:
            store_events.save_exception(connection, kept.event_no, trouble)
            desk.counts.exceptions += 1
            return
        grown = min(LONGEST_WAIT, timedelta(seconds=2 ** min(kept.failures, 20)))
        wait = grown if counts else _AWAY_FOR
        store_events.save_failure(
            connection, kept.event_no, trouble=trouble, wait=wait, counts=counts
        )
    if counts:
        desk.counts.failed += 1
    else:
        desk.counts.put_off += 1


def _statement_grew(rail: str, at: datetime) -> Notice:
    return Notice(
        rail=rail,
        notice_id="transactions",
        kind=TRANSACTIONS_BOOKED,
        currency="",
        occurred_at=at,
    )
