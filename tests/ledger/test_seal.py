"""Every committed event gets one place in one order, whatever else runs, and it is proven."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, text

from kernel.database import Tenant, connect, transaction
from ledger import merkle
from ledger.seal import BadRange, NotSealedYet, consistency, inclusion, root_at, seal
from ledger.service import post
from ledger.store_seal import find_head, find_lag
from tests.fixtures.databases import TestDatabase
from tests.ledger.drafts import draft, fund, move, rolled_back, wallet
from tests.ledger.sealing import check_log, post_some, read_log, seal_everything, seal_now

WRITERS = 16
POSTINGS = 12


def test_an_empty_log_seals_nothing(connection: Connection) -> None:
    """Without an event there is no block, and the root is that of the empty tree."""
    done = seal(connection, at=datetime.now(UTC))

    assert (done.event_count, done.size, done.root) == (0, 0, merkle.EMPTY_ROOT)
    assert connection.execute(text("SELECT count(*) FROM block")).scalar_one() == 0


def test_events_are_numbered_in_the_order_of_their_times(connection: Connection) -> None:
    """Events of one round stand by recorded_at, then by their number, from 1 on without a gap."""
    post(connection, [fund(100, wallet("ann")), draft(), move(40, wallet("ann"), wallet("bob"))])

    done = seal(connection, at=datetime.now(UTC))

    assert (done.event_count, done.first_journal_no, done.size) == (3, 1, 3)
    in_time = connection.scalars(text("SELECT id FROM event ORDER BY recorded_at, id")).all()
    assert [each.event_id for each in read_log(connection)] == list(in_time)
    assert check_log(connection) == 3


def test_rounds_take_whole_batches_and_say_that_more_waits(
    own_engine: Engine, tenant: Tenant
) -> None:
    """A round stops behind the batch that reaches its limit; the next goes on from there."""
    for count in (3, 4, 5):
        post_some(own_engine, tenant, count)

    rounds = [seal_now(own_engine, tenant, limit=5) for _ in range(3)]

    assert [(each.event_count, each.is_full) for each in rounds] == [
        (7, True),
        (5, True),
        (0, False),
    ]
    with transaction(own_engine, tenant) as connection:
        assert check_log(connection) == 12


def test_blocks_rise_strictly_in_time(connection: Connection) -> None:
    """A clock that stands still or steps back moves no block before another."""
    at = datetime(2026, 3, 2, 13, tzinfo=UTC)
    sealed = []
    for given in (at, at, at - timedelta(hours=1), at + timedelta(hours=1)):
        post(connection, [draft()])
        sealed.append(seal(connection, at=given).sealed_at)

    tick = timedelta(microseconds=1)
    assert sealed == [at, at + tick, at + 2 * tick, at + timedelta(hours=1)]


def test_a_transaction_held_open_is_sealed_later_and_nothing_is_missed(
    own_engine: Engine, tenant: Tenant
) -> None:
    """A batch with a lower number and earlier times that commits late stands in a later block."""
    post_some(own_engine, tenant, 1)
    late = own_engine.connect()
    running = late.begin()
    late.exec_driver_sql(
        "SELECT set_config('role', %s, true), set_config('search_path', %s, true)",
        (tenant.role, tenant.search_path),
    )
    post(late, [fund(1, wallet("late", "USD"))])
    post_some(own_engine, tenant, 5)

    first = seal_now(own_engine, tenant)
    running.commit()
    late.close()
    second = seal_now(own_engine, tenant)

    assert (first.event_count, second.event_count, second.first_journal_no) == (6, 1, 7)
    with transaction(own_engine, tenant) as connection:
        assert check_log(connection) == 7
        log = read_log(connection)
        assert log[6].event_id < log[5].event_id


def test_sixteen_writers_and_two_sealers_leave_one_gapless_order(
    own_database: TestDatabase, tenant: Tenant
) -> None:
    """Each committed event is sealed exactly once, and every account's lines stand in their order.

    Writers hold their transactions over several postings to shared and own accounts, and some of
    them roll back. Longer by command: `python -m tests.sealing --seconds 60`.
    """
    assert race(own_database.app_url, tenant, seed=0) > 0


def test_a_killed_sealer_leaves_whole_blocks(own_database: TestDatabase, tenant: Tenant) -> None:
    """Killed at any moment, a sealer has sealed a round or nothing of it; the next one goes on."""
    engine = connect(own_database.app_url)
    try:
        for _ in range(60):
            post_some(engine, tenant, 20)
        for blocks in (3, 9):
            victim = subprocess.Popen(
                [sys.executable, "-m", "tests.ledger.sealer_process", own_database.app_url]
            )
            while find_block_no(engine, tenant) < blocks:
                assert victim.poll() is None
            os.kill(victim.pid, signal.SIGKILL)
            victim.wait()

        seal_everything(engine, tenant)

        with transaction(engine, tenant) as connection:
            assert check_log(connection) == 1_200
    finally:
        engine.dispose()


def test_proofs_hold_for_every_size(own_engine: Engine, tenant: Tenant) -> None:
    """Inclusion and consistency are proven from stored subtrees and few leaves, across blocks."""
    for count in (1, 255, 1, 300, 260):
        post_some(own_engine, tenant, count)
        seal_now(own_engine, tenant)

    with transaction(own_engine, tenant) as connection:
        leaves = [each.leaf for each in read_log(connection)]
        for size in (1, 2, 255, 256, 257, 512, 700, 817):
            root = root_at(connection, size)
            assert root == merkle.root(leaves[:size])
            for journal_no in {1, size // 2 + 1, size}:
                proof = inclusion(connection, journal_no=journal_no, size=size)
                assert merkle.is_included(
                    leaves[journal_no - 1],
                    index=journal_no - 1,
                    size=size,
                    proof=proof,
                    expected=root,
                )
            assert merkle.is_consistent(
                old=size,
                new=817,
                old_root=root,
                new_root=merkle.root(leaves),
                proof=consistency(connection, old_size=size, new_size=817),
            )


def test_no_proof_reaches_beyond_the_log(connection: Connection) -> None:
    """What is not sealed has no proof, and a range is not read backwards."""
    post(connection, [draft(), draft()])
    seal(connection, at=datetime.now(UTC))

    with pytest.raises(NotSealedYet):
        inclusion(connection, journal_no=1, size=3)
    with pytest.raises(NotSealedYet):
        consistency(connection, old_size=1, new_size=3)
    for journal_no in (0, 3):
        with pytest.raises(BadRange):
            inclusion(connection, journal_no=journal_no, size=2)
    for sizes in ((0, 1), (2, 1)):
        with pytest.raises(BadRange):
            consistency(connection, old_size=sizes[0], new_size=sizes[1])


def test_the_lag_is_that_of_the_oldest_batch(connection: Connection) -> None:
    """What waits is counted, with the time since its batch was opened; after the round nothing."""
    post(connection, [draft(), draft()])
    before = find_lag(connection)
    seal(connection, at=datetime.now(UTC))
    after = find_lag(connection)

    assert (before.batches, before.events) == (1, 2)
    assert before.lag_ms is not None
    assert 0 <= before.lag_ms < 60_000
    assert (after.batches, after.events, after.oldest_at) == (0, 0, None)


def test_a_stray_row_of_work_is_cleared_away(engine: Engine, tenant: Tenant) -> None:
    """A row without a batch, or of one that is sealed already, does not stop the sealer."""
    with rolled_back(engine, tenant) as connection:
        post(connection, [draft()])
        seal(connection, at=datetime.now(UTC))
        connection.execute(text("INSERT INTO unsealed SELECT id FROM batch"))
        connection.execute(text("INSERT INTO unsealed VALUES (99999999)"))
        post(connection, [draft()])

        assert seal(connection, at=datetime.now(UTC)).event_count == 1
        assert check_log(connection) == 2


def race(app_url: str, tenant: Tenant, *, seed: int) -> int:
    """Sixteen writers against two sealers, and the log checked; how many events were committed."""
    engine = connect(app_url, pool_size=WRITERS + 2)
    done = threading.Event()
    try:
        with ThreadPoolExecutor(WRITERS + 2) as pool:
            sealers = [pool.submit(keep_sealing, engine, tenant, done.is_set) for _ in range(2)]
            seeds = range(seed * WRITERS, (seed + 1) * WRITERS)
            writers = [pool.submit(write, engine, tenant, each) for each in seeds]
            try:
                written = sum(each.result() for each in writers)
            finally:
                done.set()
            sealed = sum(each.result() for each in sealers)
        while events := seal_now(engine, tenant).event_count:
            sealed += events
        with transaction(engine, tenant) as connection:
            assert check_log(connection) == written
    finally:
        engine.dispose()
    assert sealed == written
    return written


def find_block_no(engine: Engine, tenant: Tenant) -> int:
    with transaction(engine, tenant) as connection:
        return find_head(connection).no


def keep_sealing(engine: Engine, tenant: Tenant, is_done: Callable[[], bool]) -> int:
    sealed = 0
    while not is_done():
        sealed += seal_now(engine, tenant, limit=40).event_count
    return sealed


def write(engine: Engine, tenant: Tenant, number: int) -> int:
    """Post a few times per transaction, with locks in one order; how many events were committed."""
    dice = random.Random(number)
    committed = 0
    for _ in range(POSTINGS):
        with engine.connect() as connection, connection.begin() as running:
            connection.exec_driver_sql(
                "SELECT set_config('role', %s, true), set_config('search_path', %s, true)",
                (tenant.role, tenant.search_path),
            )
            currencies = sorted(dice.sample(["CHF", "EUR", "GBP", "USD"], dice.randint(1, 3)))
            posted = 0
            for currency in currencies:
                count = dice.randint(1, 9)
                post(connection, [fund(100, wallet(f"w{number}", currency)) for _ in range(count)])
                posted += count
            if dice.random() < 0.15:
                running.rollback()
            else:
                running.commit()
                committed += posted
    return committed
