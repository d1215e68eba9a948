"""Sixteen writers post three-legged events at random while the clock is stepped back ten seconds.

Statements 1 and 8 of the ledger ask for a minute over 10,000 accounts. The test runs it short;
`python -m tests.statements.sixteen_writers` runs it in full on a server of its own.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from kernel.database import connect, snapshot, transaction
from kernel.embedded import EmbeddedServer
from ledger.chart import account
from ledger.model import AccountKey, Draft, Posted
from ledger.proof import prove
from ledger.service import post
from tests.fixtures.databases import TENANT, TestDatabase, cloned_database
from tests.ledger.drafts import draft, entry, fund, wallet

WRITERS: Final = 16
EACH: Final = 1_000
HOT: Final = account("custody.suspense", "EUR")
PATIENCE_S: Final = 240

_STEPPED_BACK: Final = """
CREATE OR REPLACE FUNCTION clock_now() RETURNS timestamptz LANGUAGE sql VOLATILE
SET search_path FROM CURRENT AS $$ SELECT clock_timestamp() - interval '10 seconds' $$
"""

_DEADLOCKS: Final = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"

# Statement 1: currencies that do not sum to zero, and accounts that are not the sum of their lines.
OFF_CURRENCIES: Final = """
SELECT a.currency, sum(l.amount_minor) FROM line l JOIN account a ON a.id = l.account_id
GROUP BY a.currency HAVING sum(l.amount_minor) <> 0
"""
OFF_BALANCES: Final = """
SELECT a.code FROM account a
LEFT JOIN (SELECT account_id, sum(amount_minor) AS total FROM line GROUP BY account_id) l
    ON l.account_id = a.id
WHERE a.balance_minor <> coalesce(l.total, 0)
"""

# Statement 8: lines that do not go on from the one before, and accounts whose numbers have a hole.
OFF_CHAINS: Final = """
SELECT account_id, account_seq
FROM (
    SELECT account_id, account_seq, balance_after_minor, amount_minor, recorded_at,
           lag(account_seq) OVER chain AS seq_before,
           lag(balance_after_minor) OVER chain AS after_before,
           lag(recorded_at) OVER chain AS recorded_before
    FROM line WINDOW chain AS (PARTITION BY account_id ORDER BY account_seq)
) c
WHERE account_seq <> coalesce(seq_before, 0) + 1
   OR balance_after_minor <> coalesce(after_before, 0) + amount_minor
   OR recorded_at <= recorded_before
"""

_NEWEST: Final = "SELECT max(id) FROM event"
_SINCE: Final = "SELECT count(*) FROM event WHERE id > %s"


@dataclass(frozen=True)
class Ran:
    """What a run came to: events accepted, how many after the step, and what is wrong: nothing."""

    accepted: int
    after_the_step: int
    deadlocks: int
    wrong: dict[str, int]


def run(database: TestDatabase, *, accounts: int, turns: int, is_over: Callable[[], bool]) -> Ran:
    """Each writer takes at least so many turns, until it is over; then look at the books."""
    engine = connect(database.app_url, pool_size=WRITERS + 2)
    parties = [wallet(f"p{number}") for number in range(accounts)]
    with transaction(engine, TENANT) as connection:
        answers = post(connection, [fund(EACH, party) for party in parties])
        assert all(isinstance(answer, Posted) for answer in answers)
    stepped_at: list[int] = []

    def write(seed: int) -> int:
        chance = random.Random(seed)
        done = taken = 0
        while taken < turns or not is_over():
            with transaction(engine, TENANT) as connection:
                some = [_move(chance, parties) for _ in range(chance.randint(1, 5))]
                done += sum(isinstance(answer, Posted) for answer in post(connection, some))
            taken += 1
            if seed == 0 and taken == turns // 2:
                stepped_at.append(_step_back(database))
        return done

    with ThreadPoolExecutor(WRITERS) as pool:
        accepted = sum(pool.map(write, range(WRITERS)))
    ran = _look(engine, database, accepted, *stepped_at)
    engine.dispose()
    return ran


def _move(chance: random.Random, parties: Sequence[AccountKey]) -> Draft:
    """Three legs: from one to another, with a unit for a third, most often the hot account."""
    source, target, third = chance.sample(parties, 3)
    amount = chance.randrange(2, 400)
    fee = HOT if chance.random() < 0.7 else third
    return draft(entry((source, amount), (target, 1 - amount), (fee, -1)))


def _step_back(database: TestDatabase) -> int:
    """From now on the tenant's clock is ten seconds late; the newest event before that."""
    owner = create_engine(database.owner_url, poolclass=NullPool)
    with owner.begin() as connection:
        path = "SELECT set_config('search_path', %s, true)"
        connection.exec_driver_sql(path, (TENANT.search_path,))
        connection.exec_driver_sql(_STEPPED_BACK)
        return int(connection.exec_driver_sql(_NEWEST).scalar_one())


def _look(engine: Engine, database: TestDatabase, accepted: int, stepped_at: int) -> Ran:
    with snapshot(engine, TENANT) as connection:
        wrong = {
            name: len(connection.exec_driver_sql(statement).all())
            for name, statement in (
                ("currencies", OFF_CURRENCIES),
                ("balances", OFF_BALANCES),
                ("chains", OFF_CHAINS),
            )
        }
        wrong["promises"] = len(prove(connection).findings)
        since = connection.exec_driver_sql(_SINCE, (stepped_at,)).scalar_one()
    admin = create_engine(database.admin_url, poolclass=NullPool)
    with admin.begin() as connection:
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
    with admin.begin() as connection:
        deadlocks = connection.exec_driver_sql(_DEADLOCKS).scalar_one()
    return Ran(accepted, int(since), int(deadlocks), wrong)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--accounts", type=int, default=10_000)
    given = parser.parse_args()
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(EmbeddedServer.start(Path(directory) / "data"))
        found = stack.enter_context(cloned_database(server))
        until = time.monotonic() + given.seconds
        ran = run(
            found, accounts=given.accounts, turns=50, is_over=lambda: time.monotonic() > until
        )
        sys.stdout.write(f"{ran}\n")
        sys.exit(1 if ran.deadlocks or any(ran.wrong.values()) else 0)
