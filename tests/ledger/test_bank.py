"""The bank test: writers move money at random, readers sum, and every total is right."""

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Final
from uuid import UUID

import psycopg
from sqlalchemy import Connection, Engine, make_url, text

from engine.group_commit import Door, GroupCommit
from kernel.commands import Outcome
from kernel.database import Tenant, connect, snapshot, transaction
from kernel.errors import Refusal
from kernel.idempotency import IdempotencyKey
from kernel.principals import SYSTEM
from ledger.chart import account
from ledger.commands import PostDraft
from ledger.correction import post_drafts
from ledger.model import Book, Draft, Posted
from ledger.service import kind_balances, post
from tests.fixtures.databases import TestDatabase
from tests.ledger.drafts import bank, draft, entry, fund, prove_clean, wallet

ACCOUNTS: Final = 40
EACH: Final = 1_000
WRITERS: Final = 4
TURNS: Final = 60
LOOKS: Final = 3
"""A reader looks more often than that while somebody writes."""

GROUPED: Final = 1_500
PATIENCE_S: Final = 240

PARTIES: Final = [wallet(f"p{n}") for n in range(ACCOUNTS)]
# Everybody pays a fee into it: the row that all writers want.
HOT: Final = account("custody.suspense", "EUR")
DEBT: Final = account("custody.due_to_platform", "EUR")
CLAIM: Final = account("platform.due_from_custody", "EUR")
REVENUE: Final = account("platform.revenue.commission", "EUR")


def random_move(chance: random.Random) -> Draft:
    """Three legs, the fee on the hot account; now and then the fee goes on to the other book."""
    source, target = chance.sample(PARTIES, 2)
    amount = chance.randrange(2, 400)
    if chance.random() < 0.1:
        return draft(
            entry((HOT, 1), (DEBT, -1)), entry((CLAIM, 1), (REVENUE, -1), book=Book.PLATFORM)
        )
    return draft(entry((source, amount), (target, 1 - amount), (HOT, -1)))


def write_alone(engine: Engine, tenant: Tenant, seed: int, is_over: Callable[[], bool]) -> int:
    """One writer with transactions of its own, of one to ten drafts; how many were accepted.

    After its turns it goes on until it is over.
    """
    chance = random.Random(seed)
    done = turns = 0
    while turns < TURNS or not is_over():
        turns += 1
        with transaction(engine, tenant) as connection:
            answers = post(connection, [random_move(chance) for _ in range(chance.randint(1, 10))])
        done += sum(isinstance(answer, Posted) for answer in answers)
        assert {a.code for a in answers if isinstance(a, Refusal)} <= {"ledger.insufficient_funds"}
    return done


def write_in_a_group(engine: Engine, tenant: Tenant, seed: int) -> int:
    """Many callers of one group commit, each command with a key; how many were accepted."""
    chance = random.Random(seed)

    def service(
        connection: Connection, commands: Sequence[PostDraft], *, at: datetime
    ) -> list[Outcome]:
        return post_drafts(connection, commands, at=at)

    group = GroupCommit(engine, tenant, {"post": Door(service, lambda _: ())})
    futures: list[Future[Outcome]] = []
    for number in range(GROUPED):
        key = IdempotencyKey(UUID(int=seed), f"k{number}", bytes(32))
        command = PostDraft(actor=SYSTEM, draft=random_move(chance))
        futures.append(group.submit("post", command, key=key))
        if number % 50 == 0:
            futures[-1].result(PATIENCE_S)
    group.close()
    return sum(future.result().is_done for future in futures)


def read_totals(
    engine: Engine, tenant: Tenant, is_over: Callable[[], bool], looks: list[int], number: int
) -> None:
    """Sum up until the writers are done, counting in one's place of `looks` what was right."""
    per_book = text("SELECT book, sum(balance_minor) FROM account GROUP BY book ORDER BY book")
    per_line = text("SELECT sum(amount_minor), count(*) FROM line")
    lowest = text("SELECT max(balance_minor) FROM account WHERE kind = 'custody.wallet'")
    while True:
        over = is_over()
        with snapshot(engine, tenant) as connection:
            held = kind_balances(connection, "custody.wallet")["EUR"]
            fees = kind_balances(connection, HOT.kind)["EUR"]
            owed = kind_balances(connection, DEBT.kind).get("EUR", 0)
            claimed = kind_balances(connection, CLAIM.kind).get("EUR", 0)
            assert held + fees + owed == -ACCOUNTS * EACH
            assert owed + claimed == 0
            assert {total for _, total in connection.execute(per_book)} == {0}
            assert connection.execute(per_line).scalar_one() == 0
            assert connection.execute(lowest).scalar_one() <= 0
        looks[number] += 1
        if over:
            return


def deadlocks(database: TestDatabase) -> int:
    """How many deadlocks the database has counted; its sessions have reported by now."""
    url = make_url(database.admin_url)
    with psycopg.connect(
        host=str(url.query["host"]), user="postgres", dbname=url.database, autocommit=True
    ) as admin:
        admin.execute("SELECT pg_stat_force_next_flush()")
        row = admin.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_every_total_is_right_at_every_read(
    own_engine: Engine, own_database: TestDatabase, tenant: Tenant
) -> None:
    """Threads and a group commit write, readers see whole sums only, and nobody deadlocks."""
    opening = draft(entry((bank(), 1), (HOT, -1)))
    with transaction(own_engine, tenant) as connection:
        funding = [fund(EACH, party) for party in PARTIES]
        funding[0] = fund(EACH - 1, PARTIES[0])
        assert all(isinstance(a, Posted) for a in post(connection, [*funding, opening]))
    over, looks = threading.Event(), [0, 0]

    def is_seen() -> bool:
        return over.is_set() or min(looks) > LOOKS

    wide = connect(own_database.app_url, pool_size=WRITERS + 4)

    with ThreadPoolExecutor(WRITERS + 3) as pool:
        readers = [pool.submit(read_totals, wide, tenant, over.is_set, looks, n) for n in range(2)]
        writers = [pool.submit(write_alone, wide, tenant, seed, is_seen) for seed in range(WRITERS)]
        writers.append(pool.submit(write_in_a_group, wide, tenant, 99))
        try:
            accepted = [writer.result(PATIENCE_S) for writer in writers]
        finally:
            over.set()
        for reader in readers:
            reader.result(PATIENCE_S)
    wide.dispose()

    assert all(count > 0 for count in accepted)
    assert min(looks) > LOOKS
    assert deadlocks(own_database) == 0
    with snapshot(own_engine, tenant) as connection:
        events = connection.execute(text("SELECT count(*) FROM event")).scalar_one()
        assert events == sum(accepted) + ACCOUNTS + 1
    prove_clean(own_engine, tenant)


def test_a_purse_of_a_hundred_gives_a_hundred(
    own_engine: Engine, own_database: TestDatabase, tenant: Tenant
) -> None:
    """200 concurrent withdrawals of 1 from a purse of 100: exactly 100 pass, and it ends empty."""
    del own_database
    purse, out = wallet("purse"), wallet("out")
    with transaction(own_engine, tenant) as connection:
        post(connection, [fund(100, purse)])

    def withdraw(_: int) -> bool:
        with transaction(own_engine, tenant) as connection:
            (answer,) = post(connection, [draft(entry((purse, 1), (out, -1)))])
        return isinstance(answer, Posted)

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(withdraw, range(200)))

    assert taken.count(True) == 100
    with snapshot(own_engine, tenant) as connection:
        assert kind_balances(connection, "custody.wallet") == {"EUR": -100}
    prove_clean(own_engine, tenant)
