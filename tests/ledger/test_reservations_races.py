"""Races: what is there is set aside once, and a reservation ends once (ledger.md 4.6, 4 to 6).

Statement 5 asks for 500 rounds and statement 4 for 10,000 reads; here run 60 and 1,000. The whole
length is `python -m tests.ledger.reservation_races`.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text

from engine.api.doors import DOORS
from engine.group_commit import GroupCommit
from kernel.commands import Outcome
from kernel.database import Tenant, connect, transaction
from kernel.idempotency import IdempotencyKey
from kernel.ids import new_id
from ledger.chart import reserved_twin
from ledger.reservations import reserve
from ledger.service import balances, post
from tests.fixtures.databases import TestDatabase
from tests.ledger.drafts import fund, prove_clean
from tests.ledger.raw_rows import refuses
from tests.ledger.reservation_races import (
    ANN,
    AT,
    BEN,
    crowd,
    ends_of,
    one,
    posting,
    race,
)

ROUNDS = 60
READS = 1_000


@pytest.fixture
def wide_engine(own_database: TestDatabase) -> Iterator[Engine]:
    """An engine on a database of this test's own, with connections for all racers."""
    engine = connect(own_database.app_url, pool_size=20)
    yield engine
    engine.dispose()


def made(engine: Engine, tenant: Tenant, amount: int) -> UUID:
    """A committed reservation of all that Ann has."""
    with transaction(engine, tenant) as connection:
        post(connection, [fund(amount, ANN)])
        command = one(amount)
        assert reserve(connection, [command], at=AT)[0].is_done
    return command.reservation_id


def test_what_is_there_is_set_aside_once(wide_engine: Engine, tenant: Tenant) -> None:
    """Of 200 reservations of 1 at once 100 take the 100 there are; no reader sees less than 0."""
    codes, reads = crowd(wide_engine, tenant, callers=16, reads=READS)

    assert codes == {"done": 100, "ledger.insufficient_funds": 100}
    assert reads >= READS
    prove_clean(wide_engine, tenant)


@pytest.mark.parametrize("who", ["connection", "owner_connection"])
def test_nobody_takes_it_by_hand(request: pytest.FixtureRequest, who: str) -> None:
    """A direct UPDATE of what is available, or of what remains, is refused to role and owner."""
    connection: Connection = request.getfixturevalue(who)
    post(connection, [fund(100, ANN)])
    command = one(60)
    assert reserve(connection, [command], at=AT)[0].is_done
    by_hand = (
        "UPDATE account SET balance_minor = balance_minor - 1",
        "UPDATE account SET balance_minor = 1",
        "UPDATE reservation SET remaining_minor = 59, posted_minor = 1, version = 2",
    )

    for statement in by_hand:
        with refuses(connection, "HF", "23514", "42501"):
            connection.execute(text(statement))


def test_two_postings_of_all_of_it_post_once(wide_engine: Engine, tenant: Tenant) -> None:
    """One takes all, the other is told that it is posted already."""
    for _ in range(10):
        which = made(wide_engine, tenant, 100)

        with ThreadPoolExecutor(2) as pool:
            codes = race(wide_engine, tenant, pool, [posting(which, 100)] * 2)

        assert sorted(codes) == ["done", "reservation.already_posted"]
    prove_clean(wide_engine, tenant)


def test_parts_fit_into_the_whole(wide_engine: Engine, tenant: Tenant) -> None:
    """60 and 40 of 100 at once are both taken, and of three more than fit together one is not."""
    which, other = made(wide_engine, tenant, 100), made(wide_engine, tenant, 100)

    with ThreadPoolExecutor(3) as pool:
        both = race(wide_engine, tenant, pool, [posting(which, 60), posting(which, 40)])
        further = race(wide_engine, tenant, pool, [posting(which, 1)])
        three = race(wide_engine, tenant, pool, [posting(other, 40)] * 3)

    assert both == ["done", "done"]
    assert further == ["reservation.already_posted"]
    assert sorted(three) == ["done", "done", "reservation.exceeds_remaining"]
    with transaction(wide_engine, tenant) as connection:
        found = balances(connection, [ANN, reserved_twin(ANN), BEN])
    assert list(found.values()) == [0, -20, -180]
    prove_clean(wide_engine, tenant)


def test_a_reservation_ends_once(wide_engine: Engine, tenant: Tenant) -> None:
    """Post, void and expire at once: one of them takes effect, and nothing is left set aside."""
    ends = ends_of(wide_engine, tenant, ROUNDS)

    assert sum(ends.values()) == ROUNDS
    assert set(ends) <= {"posted", "voided", "expired"}
    prove_clean(wide_engine, tenant)


def test_a_refusal_stays_a_refusal_under_its_key(own_engine: Engine, tenant: Tenant) -> None:
    """What was refused for want of funds is refused again after funding; a new key posts."""
    group = GroupCommit(own_engine, tenant, DOORS)
    principal = new_id()
    command = one(60)

    def ask(name: str) -> Outcome:
        key = IdempotencyKey(principal, name, sha256(b"the same request").digest())
        return group.submit("reservations.make", command, key=key).result(120)

    first = ask("old")
    with transaction(own_engine, tenant) as connection:
        post(connection, [fund(100, ANN)])
    again, anew = ask("old"), ask("new")
    group.close()

    assert first.code == "ledger.insufficient_funds"
    assert (again.code, again.facts, again.replayed) == (first.code, first.facts, True)
    assert (anew.code, anew.replayed) == ("done", False)
    prove_clean(own_engine, tenant)


def test_a_crowd_through_the_group_commit(own_engine: Engine, tenant: Tenant) -> None:
    """200 reservations through one door take the 100 there are, in few transactions."""
    with transaction(own_engine, tenant) as connection:
        post(connection, [fund(100, ANN)])
    group = GroupCommit(own_engine, tenant, DOORS)

    waiting = [group.submit("reservations.make", one()) for _ in range(200)]
    codes = Counter(each.result(120).code for each in waiting)
    group.close()

    assert codes == {"done": 100, "ledger.insufficient_funds": 100}
    prove_clean(own_engine, tenant)
