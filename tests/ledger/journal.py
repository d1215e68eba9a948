"""A journal on two axes for tests: random postings, some back-dated, sealed in random rounds.

And full scans of the lines, which every answer from cells must equal.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from sqlalchemy import Connection, Engine

from kernel.database import Tenant, connect, transaction
from kernel.embedded import EmbeddedServer
from kernel.errors import Refusal
from ledger import seal, service
from ledger.known import Known
from ledger.model import Draft
from ledger.store_asof import END_OF_TIME
from tests.fixtures.databases import TENANT, TestDatabase, cloned_database
from tests.ledger.drafts import fund, move, wallet

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
DAYS: Final = 60
SEALED_AT: Final = datetime(2026, 6, 1, tzinfo=UTC)
WALLETS: Final = 50

_KNOWN: Final = """
FROM line l
JOIN account a ON a.id = l.account_id
JOIN event e ON e.id = l.event_id
LEFT JOIN seal s ON s.event_id = l.event_id
WHERE (%(provisional)s OR s.journal_no <= %(journal_no)s) AND l.effective_at < %(before)s
"""


@dataclass(frozen=True)
class Journal:
    """A database with a journal, and the program's engine on it."""

    database: TestDatabase
    engine: Engine
    size: int


@contextmanager
def journal(
    server: EmbeddedServer,
    *,
    events: int,
    waiting: int = 0,
    seed: int = 1,
    is_sealed_late: bool = False,
) -> Iterator[Journal]:
    """So many events posted and sealed in random rounds, and some more that wait unsealed.

    `is_sealed_late`: the same events, but the sealer comes once, when all are posted.
    """
    random = Random(seed)
    with ExitStack() as stack:
        database = stack.enter_context(cloned_database(server))
        engine = connect(database.app_url)
        stack.callback(engine.dispose)
        done = 0
        while done < events:
            count = min(random.randrange(1, 8_000), events - done)
            first_day = DAYS * done // events
            post(engine, TENANT, draw(count, random, day=first_day))
            limit = random.choice([500, 3_000, 6_000])
            if not is_sealed_late:
                seal_all(engine, limit=limit)
            done += count
        seal_all(engine, limit=100_000)
        if waiting:
            post(engine, TENANT, draw(waiting, random, day=DAYS))
        yield Journal(database, engine, done)


def draw(count: int, random: Random, *, day: int) -> list[Draft]:
    """Drafts that count on a day, a tenth of them on an earlier one."""
    return [_draft(random, START + timedelta(days=day)) for _ in range(count)]


def _draft(random: Random, day: datetime) -> Draft:
    at = day + timedelta(seconds=random.randrange(86_400))
    if random.random() < 0.1:
        at -= timedelta(days=random.randrange(1, 20))
    currency = random.choice(["EUR", "EUR", "EUR", "USD"])
    target = wallet(f"w{random.randrange(WALLETS)}", currency)
    amount_minor = random.randrange(100, 100_000)
    if random.random() < 0.7:
        return replace(fund(amount_minor, target, at=at), kind="test.funded")
    # Out of the first wallet, which is the largest, and never more than came just now.
    first = fund(amount_minor, wallet("w0", currency), at=at)
    onward = move(amount_minor, wallet("w0", currency), target, at=at)
    if target == wallet("w0", currency):
        return first
    return replace(first, entries=(*first.entries, *onward.entries), kind="test.moved")


def post(engine: Engine, tenant: Tenant, drafts: list[Draft]) -> None:
    """Post drafts in a transaction of their own; none may be refused."""
    with transaction(engine, tenant) as connection:
        answers = service.post(connection, drafts)
    assert [each for each in answers if isinstance(each, Refusal)] == []


def seal_all(engine: Engine, *, limit: int = seal.ROUND_EVENTS, at: datetime = SEALED_AT) -> int:
    """Seal round by round until nothing waits; the size of the journal."""
    while True:
        with transaction(engine, TENANT) as connection:
            done = seal.seal(connection, at=at, limit=limit)
        if done.event_count == 0:
            return done.size


def scan_balance(connection: Connection, code: str, known: Known, before: datetime | None) -> int:
    """The balance of an account by a full scan of the lines."""
    total = f"SELECT coalesce(sum(l.amount_minor), 0) {_KNOWN} AND a.code = %(code)s"
    return int(connection.exec_driver_sql(total, _given(known, before, code=code)).scalar_one())


def scan_kinds(
    connection: Connection, known: Known, before: datetime | None
) -> list[tuple[Any, ...]]:
    """Count, debits and credits per kind, currency and kind of event by a full scan."""
    sums = f"""
    SELECT a.kind, a.currency, e.kind, count(*), sum(greatest(l.amount_minor, 0)),
           sum(greatest(-l.amount_minor, 0)) {_KNOWN}
    GROUP BY a.kind, a.currency, e.kind ORDER BY a.kind, a.currency, e.kind
    """
    return [tuple(row) for row in connection.exec_driver_sql(sums, _given(known, before))]


def scan_accounts(
    connection: Connection, known: Known, before: datetime | None
) -> dict[str, tuple[int, int, int]]:
    """Count, debits and credits per account by a full scan."""
    sums = f"""
    SELECT a.code, count(*), sum(greatest(l.amount_minor, 0)),
           sum(greatest(-l.amount_minor, 0)) {_KNOWN} GROUP BY a.code
    """
    rows = connection.exec_driver_sql(sums, _given(known, before))
    return {code: (count, int(debit), int(credit)) for code, count, debit, credit in rows}


def _given(known: Known, before: datetime | None, **more: object) -> Mapping[str, object]:
    return {
        "journal_no": known.journal_no,
        "provisional": known.provisional,
        "before": before or END_OF_TIME,
        **more,
    }
