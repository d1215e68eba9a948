"""Races for one reservation and for one account's money, each racer in transactions of its own.

The tests run them short. `python -m tests.ledger.reservation_races --rounds 500 --reads 10000`
runs them at full length on a server of its own and says how they ended.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Event
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine

from kernel import timers
from kernel.database import Tenant, connect, driver, snapshot, transaction
from kernel.embedded import EmbeddedServer
from kernel.ids import new_id
from kernel.principals import SYSTEM
from ledger.chart import reserved_twin
from ledger.model import AccountKey
from ledger.model_reservations import PostReserved, Reserve, Target, VoidReservation
from ledger.reservations import expire_due, post_reserved, reserve, void
from ledger.service import balances, post
from tests.fixtures.databases import TENANT, cloned_database
from tests.ledger.drafts import fund, prove_clean, wallet

ANN, BEN = wallet("ann"), wallet("ben")
AT: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATE: Final = AT + timedelta(days=8)
EXPIRES: Final = AT + timedelta(days=7)
PATIENCE_S: Final = 240

Act = Callable[[Connection], str]

_READ: Final = "SELECT code, balance_minor FROM account WHERE code = ANY(%s)"


def one(amount: int = 1, source: AccountKey = ANN, *, expires: bool = False) -> Reserve:
    """A command that sets so much aside."""
    return Reserve(
        actor=SYSTEM,
        reservation_id=new_id(),
        account=source,
        amount_minor=amount,
        reason="a race",
        expires_at=EXPIRES if expires else None,
    )


def posting(which: UUID, amount: int) -> Act:
    """Post so much of a reservation; the code of its outcome."""
    command = PostReserved(actor=SYSTEM, reservation_id=which, targets=(Target(BEN, amount),))
    return lambda connection: post_reserved(connection, [command], at=AT)[0].code


def voiding(which: UUID) -> Act:
    command = VoidReservation(actor=SYSTEM, reservation_id=which)
    return lambda connection: void(connection, [command], at=AT)[0].code


def expiring(which: UUID) -> Act:
    """Fire the timer of a reservation; "done" if it was still there."""

    def act(connection: Connection) -> str:
        found = timers.list_of(connection, [f"reservation:{which}"])
        due = [timers.DueTimer(t.due_at, t.subject, t.kind, t.subject_version) for t in found]
        return "done" if expire_due(connection, due, LATE) else "gone"

    return act


def race(
    engine: Engine, tenant: Tenant, pool: ThreadPoolExecutor, acts: Sequence[Act]
) -> list[str]:
    """Run the acts at the same time, each in a transaction of its own."""
    start = Barrier(len(acts))

    def run(act: Act) -> str:
        with transaction(engine, tenant) as connection:
            start.wait(PATIENCE_S)
            return act(connection)

    return [each.result(PATIENCE_S) for each in [pool.submit(run, act) for act in acts]]


def ends_of(engine: Engine, tenant: Tenant, rounds: int) -> Counter[str]:
    """Post, void and expire race for each of so many reservations; how often each came first.

    Asserts that one of them took effect each time, and that the books and the row agree on it.
    """
    ends: Counter[str] = Counter()
    with ThreadPoolExecutor(3) as pool:
        for number in range(rounds):
            with transaction(engine, tenant) as connection:
                post(connection, [fund(100, ANN)])
                before = balances(connection, [ANN, BEN])
                command = one(100, expires=True)
                assert reserve(connection, [command], at=AT)[0].is_done
            which = command.reservation_id
            acts = [posting(which, 100), voiding(which), expiring(which)]
            turn = number % len(acts)
            race(engine, tenant, pool, acts[turn:] + acts[:turn])
            ends[_end(engine, tenant, which, before)] += 1
    return ends


def _end(engine: Engine, tenant: Tenant, which: UUID, before: dict[AccountKey, int]) -> str:
    """How a reservation of 100 ended: the money is where its state says, all of it once."""
    with snapshot(engine, tenant) as connection:
        row = connection.exec_driver_sql(
            "SELECT state, remaining_minor, version FROM reservation WHERE id = %s", (which,)
        ).one()
        after = balances(connection, [ANN, BEN, reserved_twin(ANN)])
        left = timers.list_of(connection, [f"reservation:{which}"])
    gained = (before[ANN] - after[ANN], before[BEN] - after[BEN], -after[reserved_twin(ANN)])
    state = str(row.state)
    assert (row.remaining_minor, row.version) == (0, 2)
    assert gained == ((-100, 100, 0) if state == "posted" else (0, 0, 0)), (state, gained)
    assert left == []
    return state


def crowd(engine: Engine, tenant: Tenant, *, callers: int, reads: int) -> tuple[Counter[str], int]:
    """100 units, 200 reservations of one unit by so many callers at once, and a reader beside them.

    Returns the codes of the outcomes, and how often it was read; at least `reads` times. Asserts
    in every read that neither what is available nor what is set aside is below zero, and that
    both together are what was there.
    """
    with transaction(engine, tenant) as connection:
        post(connection, [fund(100, ANN)])
    finished = Event()

    def ask(_: int) -> str:
        with transaction(engine, tenant) as connection:
            return reserve(connection, [one()], at=AT)[0].code

    with ThreadPoolExecutor(callers + 1) as pool:
        reader = pool.submit(_read_all, engine, tenant, finished, reads)
        codes = Counter(pool.map(ask, range(200)))
        finished.set()
        return codes, reader.result(PATIENCE_S)


def _read_all(engine: Engine, tenant: Tenant, finished: Event, reads: int) -> int:
    done = 0
    names = [str(ANN), str(reserved_twin(ANN))]
    while not (finished.is_set() and done >= reads):
        with transaction(engine, tenant) as connection:
            raw = driver(connection)
            for _ in range(50):
                found = dict(raw.execute(_READ, (names,)).fetchall())
                free, aside = (-found.get(name, 0) for name in names)
                assert 0 <= free <= 100, free
                assert free + aside == 100, (free, aside)
                done += 1
    return done


def _run(rounds: int, reads: int) -> Iterator[str]:
    """What each race came to, in a sentence."""
    races: dict[str, Callable[[Engine], object]] = {
        "200 reservations of 100 units": lambda engine: crowd(
            engine, TENANT, callers=16, reads=reads
        ),
        f"post, void, expire, {rounds} times": lambda engine: ends_of(engine, TENANT, rounds),
    }
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(EmbeddedServer.start(Path(directory) / "data"))
        for name, run in races.items():
            database = stack.enter_context(cloned_database(server))
            engine = connect(database.app_url, pool_size=20)
            stack.callback(engine.dispose)
            began = time.monotonic()
            told = run(engine)
            prove_clean(engine, TENANT)
            yield f"{name}: {told}, books proven, {time.monotonic() - began:.1f} s\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--reads", type=int, default=10_000)
    given = parser.parse_args()
    for sentence in _run(given.rounds, given.reads):
        sys.stdout.write(sentence)
        sys.stdout.flush()
