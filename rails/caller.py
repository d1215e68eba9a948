"""The loop body of the rail worker: intents out, answers in, and never a call inside a transaction.

Every step is two transactions with the rail's call between them. A worker that dies at any point
leaves operations `sent`, which a later run reads from the rail: it never sends them unread.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import Connection, Engine

from kernel.database import Tenant, transaction
from kernel.errors import RailTrouble
from rails import service
from rails.model import (
    KEY_SPENT,
    NOT_FOUND,
    NOT_NOW,
    Notice,
    RailOperation,
    RailOutcome,
    RailResult,
    ResolveBy,
)
from rails.port import Rail, StepwiseRail
from rails.store import Unresolved, Unsent
from rails.telling import (
    POISON,
    NoticeHandler,
    ResultHandler,
    is_outage,
    tell_news,
    tell_results,
)

LEASE: Final = timedelta(minutes=1)
"""Real time after which an operation that was sent, and is silent, is read from the rail."""

_KEY_RESTS: Final = timedelta(minutes=2)
"""A fresh key follows a spent one after more than a call may take."""

_NO_NOTICE_HANDLERS: Final[Mapping[str, NoticeHandler]] = MappingProxyType({})

_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Counts:
    """What one run came to. `taken` are operations sent, `news` words that changed something."""

    taken: int = 0
    lost: int = 0
    resolved: int = 0
    sent_again: int = 0
    put_off: int = 0
    heard: int = 0
    news: int = 0
    parked: int = 0
    failed: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing was sent and nothing new was heard: there is no more to be done now."""
        return not (self.taken or self.news or self.sent_again or self.heard)

    def add(self, other: "Counts") -> None:
        """Sum two runs."""
        for each in fields(self):
            if each.name != "outcomes":
                total = getattr(self, each.name) + getattr(other, each.name)
                setattr(self, each.name, total)
        for outcome, number in other.outcomes.items():
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + number


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where one run works: whose money, at which rail, who hears of it, at what time.

    `spent` are operations whose key only brings back an old answer.
    """

    engine: Engine
    tenant: Tenant
    rail: Rail
    handlers: Mapping[str, ResultHandler]
    notice_handlers: Mapping[str, NoticeHandler]
    at: datetime
    limit: int
    counts: Counts
    spent: set[UUID] = field(default_factory=set)


def run_once(
    engine: Engine,
    tenant: Tenant,
    rail: Rail,
    handlers: Mapping[str, ResultHandler],
    at: datetime,
    *,
    notice_handlers: Mapping[str, NoticeHandler] = _NO_NOTICE_HANDLERS,
    limit: int = 1_000,
    lease: timedelta = LEASE,
) -> Counts:
    """Read open outcomes, send up to `limit` intents, hear up to `limit` notices; once each.

    Args:
        engine: logs in as the app; no transaction is open while the rail is called.
        tenant: whose operations.
        rail: one account at one rail.
        handlers: by the name that operations carry; called with the news in the transaction that
            stores them. A handler that raises, or answers with a refused Outcome, rolls back its
            result, which stays open and is read again.
        at: the tenant's clock.
        notice_handlers: by kind of notice, for notices about no operation. A kind without a
            handler is parked, looked at again and then an exception; it is never dropped.
        limit: operations and notices per run.
        lease: real time after which a silent operation is read from the rail.

    Returns:
        Counts of this run; call again until they are quiet.
    """
    desk = _Desk(engine, tenant, rail, handlers, notice_handlers, at, limit, Counts())
    _read_unresolved(desk, lease)
    _send(desk)
    _read_lost(desk)
    _hear(desk)
    return desk.counts


def run_until_quiet(
    engine: Engine,
    tenant: Tenant,
    rail: Rail,
    handlers: Mapping[str, ResultHandler],
    at: datetime,
    *,
    notice_handlers: Mapping[str, NoticeHandler] = _NO_NOTICE_HANDLERS,
    limit: int = 1_000,
    most_runs: int = 10_000,
) -> Counts:
    """Run until nothing is left to send or hear at this time; the sum of all runs."""
    total = Counts()
    for _ in range(most_runs):
        counts = run_once(
            engine, tenant, rail, handlers, at, notice_handlers=notice_handlers, limit=limit
        )
        total.add(counts)
        if counts.is_quiet:
            break
    return total


def _read_unresolved(desk: _Desk, lease: timedelta) -> None:
    older_than = datetime.now(UTC) - lease
    with transaction(desk.engine, desk.tenant) as connection:
        unresolved = service.list_unresolved(
            connection, older_than, limit=desk.limit, rail=desk.rail.name
        )
    if unresolved:
        _resolve(desk, unresolved)


def _read_lost(desk: _Desk) -> None:
    """Read at once what this run's own sending left unknown, so that no one waits for nothing."""
    if desk.counts.lost:
        _read_unresolved(desk, timedelta(days=36_500))


def _resolve(desk: _Desk, unresolved: Sequence[Unresolved]) -> None:
    operations = [row.operation for row in unresolved]
    try:
        results = _ask(desk.rail, operations, desk.at)
    except RailTrouble as trouble:
        _log.warning("rail.read_failed", rail=desk.rail.name, trouble=str(trouble))
        return
    absent_ids = {r.operation_id for r in results if r.code == NOT_FOUND}
    absent = [
        _unsent(desk, row)
        for row in unresolved
        if row.operation.id in absent_ids
        if not _is_forgotten(desk, row.key_at) or _is_proof(desk)
    ]
    with transaction(desk.engine, desk.tenant) as connection:
        desk.counts.sent_again += service.send_again(connection, absent)
        service.note_asked(connection, operations)
    proven = [r for r in results if r.outcome is not RailOutcome.UNKNOWN]
    desk.counts.resolved += _store_by_handler(desk, operations, proven)


def _ask(rail: Rail, operations: Sequence[RailOperation], at: datetime) -> list[RailResult]:
    """What became of operations; those that take several steps are taken on."""
    if isinstance(rail, StepwiseRail):
        return rail.go_on(operations, at=at)
    return rail.resolve(operations, at=at)


def _unsent(desk: _Desk, row: Unresolved) -> Unsent:
    """What is not there by a list: sent again with its key, or with a fresh one.

    What was sent last may still be at work, and in no list yet: only its own key keeps the rail
    from doing it twice. A key is fresh once the last sending, too, is long forgotten.
    """
    is_spent = row.operation.id in desk.spent
    return Unsent(
        row.operation.id,
        row.attempts,
        key_is_spent=_is_proof(desk) and (is_spent or _is_forgotten(desk, row.sent_at)),
        retry_at=desk.at + _KEY_RESTS if is_spent else None,
    )


def _is_forgotten(desk: _Desk, when: datetime) -> bool:
    """Whether the rail may not know a key of then, so that it would do the same once more."""
    remembered = timedelta(hours=desk.rail.capabilities.idempotency_ttl_hours)
    return when < desk.at - remembered


def _is_proof(desk: _Desk) -> bool:
    """Whether a read that finds nothing proves that nothing is there, however old the key is."""
    return desk.rail.capabilities.resolve_by is ResolveBy.LISTING


def _send(desk: _Desk) -> None:
    with transaction(desk.engine, desk.tenant) as connection:
        operations = service.take(connection, desk.limit, desk.at, rail=desk.rail.name)
    desk.counts.taken += len(operations)
    if not operations:
        return
    try:
        results = desk.rail.execute(operations, at=desk.at)
    except RailTrouble as trouble:
        _log.warning("rail.reply_lost", rail=desk.rail.name, trouble=str(trouble))
        _lose(desk, operations)
        return
    for result in results:
        word = result.outcome.value
        desk.counts.outcomes[word] = desk.counts.outcomes.get(word, 0) + 1
    answered = {r.operation_id for r in results if r.outcome is not RailOutcome.UNKNOWN}
    desk.spent.update(result.operation_id for result in results if result.code == KEY_SPENT)
    _store_by_handler(desk, operations, [r for r in results if r.operation_id in answered])
    later = [result for result in results if result.code == NOT_NOW]
    if later:
        with transaction(desk.engine, desk.tenant) as connection:
            desk.counts.put_off += service.put_off(connection, later, at=desk.at)
    told = answered | {result.operation_id for result in later}
    _lose(desk, [operation for operation in operations if operation.id not in told])


def _lose(desk: _Desk, operations: Sequence[RailOperation]) -> None:
    if operations:
        with transaction(desk.engine, desk.tenant) as connection:
            desk.counts.lost += service.lose_replies(connection, operations)


def _store_by_handler(
    desk: _Desk, operations: Sequence[RailOperation], results: Sequence[RailResult]
) -> int:
    """One transaction for each handler, so that none takes its locks after another's."""
    handlers = {operation.id: operation.handler for operation in operations}
    piles: dict[str, list[RailResult]] = defaultdict(list)
    for result in results:
        piles[handlers[result.operation_id]].append(result)
    return sum(_store(desk, piles[name]) for name in sorted(piles))


def _store(desk: _Desk, results: Sequence[RailResult]) -> int:
    """Store results and tell the handlers, all in one transaction; alone if that breaks."""
    if not results:
        return 0
    try:
        with transaction(desk.engine, desk.tenant) as connection:
            news = _tell(desk, connection, results)
    except POISON as error:
        if len(results) > 1:
            return sum(_store(desk, [result]) for result in results)
        desk.counts.failed += 1
        operation_id = str(results[0].operation_id)
        _log.error("rail.result_failed", operation_id=operation_id, error=str(error))
        return 0
    desk.counts.news += news
    return news


def _tell(desk: _Desk, connection: Connection, results: Sequence[RailResult]) -> int:
    return tell_results(connection, results, desk.handlers, desk.at)


def _hear(desk: _Desk) -> None:
    with transaction(desk.engine, desk.tenant) as connection:
        position = service.find_position(connection, desk.rail.name)
    try:
        page = desk.rail.notices(after=position, limit=desk.limit, at=desk.at)
    except RailTrouble as trouble:
        _log.warning("rail.notices_failed", rail=desk.rail.name, trouble=str(trouble))
        return
    desk.counts.heard += len(page.notices)
    for pile in _by_handler(desk, page.notices):
        _hear_all(desk, pile)
    if page.position != position:
        with transaction(desk.engine, desk.tenant) as connection:
            service.save_position(connection, rail=desk.rail.name, position=page.position)
    _retry_parked(desk)


def _by_handler(desk: _Desk, notices: Sequence[Notice]) -> list[list[Notice]]:
    """Notices in their order, apart for each handler of operations, else for each kind."""
    ids = [notice.operation_id for notice in notices if notice.operation_id is not None]
    with transaction(desk.engine, desk.tenant) as connection:
        known = {each.id: each.handler for each in service.list_operations(connection, ids)}
    piles: dict[str, list[Notice]] = defaultdict(list)
    for notice in notices:
        is_result = notice.operation_id is not None and notice.outcome is not None
        handler = known.get(notice.operation_id) if is_result and notice.operation_id else None
        piles[handler or f"kind {notice.kind}"].append(notice)
    return [piles[name] for name in sorted(piles)]


def _hear_all(desk: _Desk, notices: Sequence[Notice]) -> None:
    """Take notices in and act on the new ones in one transaction; alone if that breaks."""
    if not notices:
        return
    try:
        with transaction(desk.engine, desk.tenant) as connection:
            _sort_out(desk, connection, service.receive(connection, notices, at=desk.at))
    except POISON as error:
        if len(notices) > 1:
            for notice in notices:
                _hear_all(desk, [notice])
            return
        if is_outage(error):
            raise
        desk.counts.failed += 1
        _log.error("rail.notice_failed", notice_id=notices[0].notice_id, error=str(error))
        with transaction(desk.engine, desk.tenant) as connection:
            service.receive(connection, notices, at=desk.at)
            service.except_notices(connection, notices, trouble=str(error)[:500])


def _retry_parked(desk: _Desk) -> None:
    """Look at parked notices once more; if the batch breaks, one by one, the broken set aside."""
    try:
        _sort_out_parked(desk, desk.limit)
    except POISON:
        for _ in range(desk.limit):
            if not _retry_oldest_parked(desk):
                return


def _retry_oldest_parked(desk: _Desk) -> bool:
    try:
        return _sort_out_parked(desk, 1)
    except POISON as error:
        if is_outage(error):
            raise
        desk.counts.failed += 1
        _log.error("rail.parked_notice_failed", error=str(error))
        with transaction(desk.engine, desk.tenant) as connection:
            oldest = service.take_parked(connection, at=desk.at, limit=1)
            service.except_notices(connection, oldest, trouble=str(error)[:500])
        return True


def _sort_out_parked(desk: _Desk, limit: int) -> bool:
    with transaction(desk.engine, desk.tenant) as connection:
        parked = service.take_parked(connection, at=desk.at, limit=limit)
        _sort_out(desk, connection, parked)
    return bool(parked)


def _sort_out(desk: _Desk, connection: Connection, notices: Sequence[Notice]) -> None:
    if not notices:
        return
    piles = service.sort(connection, notices, desk.notice_handlers)
    desk.counts.news += _tell(desk, connection, piles.results)
    desk.counts.news += tell_news(connection, piles.others, desk.notice_handlers, desk.at)
    service.park(connection, piles.parked, at=desk.at)
    desk.counts.parked += len(piles.parked)
