"""Closings race posters: a month is closed while sixteen of them write into it.

Twelve post as machines do, four prepare and approve manual journals, which a softly closed month
still takes. Each round is a month. At its end the stored trial balance must tie with the recount
up to its journal number, and with all that was ever written. A longer run than the test's:

    python -m tests.ledger.closing_race --rounds 200
"""

import argparse
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from kernel.commands import Outcome
from kernel.database import Tenant, connect, snapshot, transaction
from kernel.embedded import EmbeddedServer
from kernel.errors import Refusal
from ledger import journals, periods, store_periods
from ledger.journals import DecideJournal, PrepareJournal
from ledger.model_periods import document
from ledger.seal import seal
from ledger.service import post
from tests.fixtures.databases import SERVER_SETTINGS, TENANT, cloned_database, data_dir
from tests.ledger.drafts import bank, entry, fund, prove_clean, wallet
from tests.ledger.period_rows import ANN, BOB, close, one, period_at, soft_close

POSTERS: Final = 12
FINANCE: Final = 4
JOURNALS: Final = 3
TRIES: Final = 2_000
AFTER: Final = 4
"""How often a poster tries on when its month is closed, before it goes home."""


def month(number: int) -> datetime:
    """The first instant of the n-th month of the race."""
    return datetime(2026 + number // 12, number % 12 + 1, 1, tzinfo=UTC)


def write(engine: Engine, tenant: Tenant, start: datetime, seed: int) -> Counter[str]:
    """One poster: into the month, now and then the next, until the month has refused it enough."""
    chance = random.Random(seed)
    answers: Counter[str] = Counter()
    while answers["ledger.period_not_open"] < AFTER:
        days = chance.randrange(28) + (31 if chance.random() < 0.2 else 0)
        drafts = [
            fund(chance.randrange(1, 500), wallet(f"p{chance.randrange(20)}"), at=_day(start, days))
            for _ in range(chance.randrange(1, 4))
        ]
        try:
            with transaction(engine, tenant) as connection:
                posted = post(connection, drafts)
        except OperationalError as error:
            # Softly closed between our look and our commit: the group commit would run it again.
            if not isinstance(error.orig, psycopg.Error) or error.orig.sqlstate != "HF004":
                raise
            answers["HF004"] += 1
            continue
        answers.update(each.code if isinstance(each, Refusal) else "done" for each in posted)
    return answers


def adjust(engine: Engine, tenant: Tenant, start: datetime, seed: int) -> Counter[str]:
    """One pair of finance people: manual journals into the month, as long as it takes them."""
    answers: Counter[str] = Counter()
    at = start + timedelta(days=40)
    for number in range(JOURNALS):
        command = PrepareJournal(
            actor=ANN,
            entries=(entry((bank(), seed + 1), (bank("EUR"), -seed - 1)),),
            reason=f"correction {number}",
            attachment_sha256=bytes(32),
            effective_at=_day(start, 10),
        )
        with transaction(engine, tenant) as connection:
            prepared = one(journals.prepare(connection, [command], at=at))
        if not prepared.is_done:
            answers[prepared.code] += 1
            continue
        decide = DecideJournal(actor=BOB, journal_id=_id(prepared), reason="as agreed")
        with transaction(engine, tenant) as connection:
            decided = one(journals.approve(connection, [decide], at=at))
            if not decided.is_done:
                one(journals.reject(connection, [decide], at=at))
        answers[decided.code] += 1
    return answers


def shut(
    engine: Engine, tenant: Tenant, start: datetime, wrote: Callable[[], bool]
) -> Counter[str]:
    """Close the month softly and for good, again and again until nothing stands against it."""
    answers: Counter[str] = Counter()
    at = start + timedelta(days=40)
    while not wrote():
        threading.Event().wait(0.002)
    period_id = period_at(engine, tenant, start)
    with transaction(engine, tenant) as connection:
        assert soft_close(connection, period_id, at=at).is_done
    for _ in range(TRIES):
        with transaction(engine, tenant) as connection:
            outcome = close(connection, period_id, at=at)
        answers[outcome.code] += 1
        if outcome.is_done:
            return answers
        with transaction(engine, tenant) as connection:
            seal(connection, at=datetime.now(UTC))
    raise AssertionError(f"never closed: {answers}")


def run_round(engine: Engine, tenant: Tenant, number: int, *, seed: int) -> Counter[str]:
    """One month: write, close, compare; what the callers were told, by code."""
    start = month(number)
    with transaction(engine, tenant) as connection:
        post(connection, [fund(1, wallet("first"), at=start)])

    def wrote() -> bool:
        with transaction(engine, tenant) as connection:
            found = connection.exec_driver_sql("SELECT count(*) FROM batch").scalar_one()
        return int(found) > before + 20 + 3 * FINANCE * JOURNALS

    with transaction(engine, tenant) as connection:
        before = int(connection.exec_driver_sql("SELECT count(*) FROM batch").scalar_one())
    with ThreadPoolExecutor(POSTERS + FINANCE + 1) as pool:
        told = [
            *(pool.submit(write, engine, tenant, start, seed * 100 + n) for n in range(POSTERS)),
            *(pool.submit(adjust, engine, tenant, start, n) for n in range(FINANCE)),
            pool.submit(shut, engine, tenant, start, wrote),
        ]
        answers: Counter[str] = sum((each.result() for each in told), Counter())
    check_tied(engine, tenant, period_at(engine, tenant, start))
    return answers


def check_tied(engine: Engine, tenant: Tenant, period_id: int) -> None:
    """The newest closing ties with its recount, and with all that is dated before its end."""
    with snapshot(engine, tenant) as connection:
        period = store_periods.find_period(connection, period_id)
        assert period is not None
        closing = store_periods.list_closings(connection, period_id)[-1]
        ever = document(
            period,
            store_periods.trial_balance(connection, period),
            version=closing.version,
            last_journal_no=closing.last_journal_no,
        )
        assert periods.recount(connection, period, closing) == closing.trial_balance
        assert ever.decode() == closing.trial_balance


def _day(start: datetime, days: int) -> datetime:
    return start + timedelta(days=days)


def _id(outcome: Outcome) -> UUID:
    return UUID(outcome.facts["id"])


def main() -> None:
    """Run rounds on a database of their own, and prove the books at the end."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--rounds", type=int, default=200)
    given.add_argument("--seed", type=int, default=1)
    arguments = given.parse_args()
    with (
        EmbeddedServer.start(data_dir(), settings=SERVER_SETTINGS) as server,
        cloned_database(server) as database,
    ):
        engine = connect(database.app_url, pool_size=POSTERS + FINANCE + 2)
        total: Counter[str] = Counter()
        for number in range(arguments.rounds):
            total += run_round(engine, TENANT, number, seed=arguments.seed + number)
            sys.stderr.write(f"\rround {number + 1} of {arguments.rounds}")
        prove_clean(engine, TENANT)
        engine.dispose()
    sys.stdout.write(f"\n{arguments.rounds} closings tied; answers: {dict(total)}\n")


if __name__ == "__main__":
    main()
