"""Balances as of any date, as known at any number of the journal: always equal to a full scan."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

import pytest
from sqlalchemy import Engine

from kernel.database import Tenant, snapshot, transaction
from kernel.embedded import EmbeddedServer
from ledger import asof, cells, known, seal
from ledger.known import BeforeJournal, Known, NaiveTime, UnknownJournalNo, resolve
from tests.fixtures.databases import TENANT
from tests.ledger.drafts import bank, fund, wallet
from tests.ledger.journal import (
    DAYS,
    SEALED_AT,
    START,
    Journal,
    journal,
    post,
    scan_accounts,
    scan_balance,
    scan_kinds,
    seal_all,
)

# Seventeen chunks of the journal and of its fullest account: cells of level 0 and of level 1.
EVENTS = 17 * cells.EVENTS_PER_CHUNK + 100

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def large(server: EmbeddedServer) -> Iterator[Journal]:
    """A journal with two levels of cells, and 700 events that wait for the sealer."""
    with journal(server, events=EVENTS, waiting=700) as made:
        yield made


def random_date(random: Random) -> datetime | None:
    """Midnights, any second, and none."""
    if random.random() < 0.1:
        return None
    day = START + timedelta(days=random.randrange(-2, DAYS + 3))
    return day + random.choice([timedelta(0), timedelta(seconds=random.randrange(86_400))])


def random_known(random: Random, size: int) -> Known:
    """Edges of chunks, any number, and what is not sealed yet."""
    whole = random.randrange(1, size // cells.EVENTS_PER_CHUNK + 1) * cells.EVENTS_PER_CHUNK
    number = random.choice([1, size, random.randrange(1, size), whole, whole - 1, whole + 1])
    if random.random() < 0.15:
        return Known(size, provisional=True)
    return Known(min(number, size), provisional=False)


def test_a_balance_equals_a_full_scan_for_any_pair_of_dates(large: Journal) -> None:
    """Statement 9: a hot account, one of a few chunks and one never opened, on both axes."""
    random = Random(5)

    with snapshot(large.engine, TENANT) as connection:
        for _ in range(60):
            at, as_of = random_date(random), random_known(random, large.size)
            for key in (bank(), wallet("w0"), wallet("w7", "USD"), wallet("nobody")):
                found = asof.balance(connection, key, effective_at=at, known=as_of)
                assert found == scan_balance(connection, key.code, as_of, at), (key, at, as_of)


def test_sums_by_kind_equal_a_full_scan_for_any_pair_of_dates(large: Journal) -> None:
    """Count, debits and credits per kind, currency and kind of event."""
    random = Random(6)

    with snapshot(large.engine, TENANT) as connection:
        for _ in range(25):
            at, as_of = random_date(random), random_known(random, large.size)
            found = asof.kind_turnovers(connection, effective_at=at, known=as_of)
            assert [tuple(row) for row in found] == scan_kinds(connection, as_of, at), (at, as_of)


def test_turnovers_of_many_accounts_equal_a_full_scan(large: Journal) -> None:
    """All accounts in one question, each by its own chain and cells."""
    random = Random(7)

    with snapshot(large.engine, TENANT) as connection:
        codes = [wallet(f"w{n}", money).code for n in range(50) for money in ("EUR", "USD")]
        for _ in range(8):
            at, as_of = random_date(random), random_known(random, large.size)
            accounts = [asof.find_known(connection, code, known=as_of) for code in codes]
            wanted = [each for each in accounts if each is not None]
            found = asof.turnovers(connection, [(each, at) for each in wanted])
            scanned = scan_accounts(connection, as_of, at)
            for each, turnover in zip(wanted, found, strict=True):
                assert tuple(turnover) == scanned.get(each.code, (0, 0, 0)), (each, at, as_of)


def test_back_dating_changes_what_is_known_now_and_nothing_that_was_known(
    server: EmbeddedServer, tenant: Tenant
) -> None:
    """Statement 9: as known at R the same, as known now more by the sum of 5,000 entries."""
    random = Random(9)
    with journal(server, events=6_000) as made:
        at = START + timedelta(days=DAYS / 2, hours=7)
        with snapshot(made.engine, tenant) as connection:
            then = resolve(connection, made.size)
            before = asof.balance(connection, bank(), effective_at=at, known=then)
        late = [
            fund(random.randrange(1, 500), wallet("w1"), at=at - timedelta(seconds=n + 1))
            for n in range(5_000)
        ]
        added = sum(draft.entries[0].lines[0].amount_minor for draft in late)

        post(made.engine, tenant, late)

        for is_sealed in (False, True):
            size = seal_all(made.engine) if is_sealed else None
            with snapshot(made.engine, tenant) as connection:
                now = resolve(connection, size)
                assert now.provisional is not is_sealed
                found = asof.balance(connection, bank(), effective_at=at, known=now)
                assert found == before + added == scan_balance(connection, bank().code, now, at)
                same = asof.balance(connection, bank(), effective_at=at, known=then)
                assert same == before == scan_balance(connection, bank().code, then, at)
                earlier = at - timedelta(seconds=5_000)
                assert asof.balance(
                    connection, bank(), effective_at=earlier, known=now
                ) == asof.balance(connection, bank(), effective_at=earlier, known=then)


def test_the_upper_bound_is_not_included(own_engine: Engine, tenant: Tenant) -> None:
    """A line effective at T counts from the next microsecond on."""
    post(own_engine, tenant, [fund(500, wallet("ann"), at=START)])
    tick = timedelta(microseconds=1)

    with snapshot(own_engine, tenant) as connection:
        now = resolve(connection, None)

        for at, expected in ((START, 0), (START + tick, -500), (None, -500)):
            found = asof.balance(connection, wallet("ann"), effective_at=at, known=now)
            assert found == expected


def test_a_time_means_the_last_block_sealed_at_or_before_it(
    own_engine: Engine, tenant: Tenant
) -> None:
    """And a time after the newest block is provisional, since more may have been committed."""
    hour = timedelta(hours=1)
    for number in range(3):
        post(own_engine, tenant, [fund(100, wallet("ann"), at=START)] * (number + 1))
        seal_all(own_engine, at=SEALED_AT + number * hour)

    with snapshot(own_engine, tenant) as connection:
        assert resolve(connection, SEALED_AT) == Known(1, provisional=False)
        assert resolve(connection, SEALED_AT + hour / 2) == Known(1, provisional=False)
        assert resolve(connection, SEALED_AT + hour) == Known(3, provisional=False)
        assert resolve(connection, SEALED_AT + 2 * hour) == Known(6, provisional=False)
        assert resolve(connection, SEALED_AT + 3 * hour) == Known(6, provisional=True)
        assert resolve(connection, None) == Known(6, provisional=True)
        assert resolve(connection, 4) == Known(4, provisional=False)


def test_what_the_journal_does_not_reach_is_refused(own_engine: Engine, tenant: Tenant) -> None:
    """A number beyond the journal, a time before the first seal, a time without an offset."""
    with snapshot(own_engine, tenant) as connection:
        assert resolve(connection, None) == Known(0, provisional=True)
        with pytest.raises(UnknownJournalNo):
            resolve(connection, 1)
        with pytest.raises(BeforeJournal):
            resolve(connection, SEALED_AT)
    post(own_engine, tenant, [fund(100, wallet("ann"), at=START)])
    seal_all(own_engine)

    with snapshot(own_engine, tenant) as connection:
        for wrong in (0, -1, 2, 2**63):
            with pytest.raises(UnknownJournalNo):
                resolve(connection, wrong)
        with pytest.raises(BeforeJournal):
            resolve(connection, SEALED_AT - timedelta(seconds=1))
        naive = SEALED_AT.replace(tzinfo=None)
        with pytest.raises(NaiveTime):
            resolve(connection, naive)
        with pytest.raises(NaiveTime):
            asof.balance(connection, bank(), effective_at=naive, known=known.resolve(connection, 1))


def test_an_account_split_over_rounds_of_the_sealer_is_known_by_its_prefix(
    own_engine: Engine, tenant: Tenant
) -> None:
    """After each round of one event the account has one line more at that number."""
    for amount in (100, 20, 3):
        post(own_engine, tenant, [fund(amount, wallet("ann"), at=START)])
    with transaction(own_engine, tenant) as connection:
        seal.seal(connection, at=SEALED_AT, limit=2)

    with snapshot(own_engine, tenant) as connection:
        found = [
            asof.balance(connection, wallet("ann"), known=each)
            for each in (resolve(connection, 1), resolve(connection, 2), resolve(connection, None))
        ]

    assert found == [-100, -120, -123]
