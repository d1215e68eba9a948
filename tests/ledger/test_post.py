"""What `ledger.service.post` promises: order, all or nothing, refusals by code, times that rise."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.pool import NullPool

from kernel import clock
from kernel.database import Tenant, snapshot, transaction
from kernel.errors import Refusal
from ledger.chart import UNBOUNDED, account
from ledger.model import AccountKey, Book, Draft, Entry, EntryRef, Posted
from ledger.service import balances, kind_balances, lock, post
from tests.fixtures.databases import TestDatabase
from tests.ledger.drafts import NOON, bank, draft, entry, fund, move, prove_clean, wallet
from tests.ledger.period_rows import act_by_hand, add_period

ANN, BEN, CEM = wallet("ann"), wallet("ben"), wallet("cem")


def codes(answers: list[Posted | Refusal]) -> list[str]:
    return [answer.code if isinstance(answer, Refusal) else "done" for answer in answers]


def rows_of(connection: Connection, table: str) -> int:
    return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def recorded(answer: Posted | Refusal) -> datetime:
    assert isinstance(answer, Posted)
    return answer.recorded_at


def test_an_earlier_draft_funds_a_later_one(connection: Connection) -> None:
    """Within one call money that came in first can go out next, and not the other way round."""
    answers = post(connection, [move(60, ANN, BEN), fund(100, ANN), move(60, ANN, BEN)])

    assert codes(answers) == ["ledger.insufficient_funds", "done", "done"]
    assert balances(connection, [ANN, BEN]) == {ANN: -40, BEN: -60}


def test_a_refused_draft_leaves_no_trace(connection: Connection) -> None:
    """A draft refused by its last line has moved nothing and left no gap in any chain."""
    post(connection, [fund(100, ANN)])
    half_good = draft(entry((ANN, 100), (BEN, -100)), entry((ANN, 1), (CEM, -1)))

    answers = post(connection, [half_good, move(100, ANN, CEM)])

    assert codes(answers) == ["ledger.insufficient_funds", "done"]
    assert balances(connection, [ANN, BEN, CEM]) == {ANN: 0, BEN: 0, CEM: -100}
    counts = {table: rows_of(connection, table) for table in ("event", "entry", "line")}
    assert counts == {"event": 2, "entry": 2, "line": 4}


def test_a_call_of_refused_drafts_writes_nothing(connection: Connection) -> None:
    """Where every draft is refused there is no batch either."""
    answers = post(connection, [move(1, ANN, BEN), draft(entry((bank(), 1), (ANN, -2)))])

    assert codes(answers) == ["ledger.insufficient_funds", "ledger.unbalanced"]
    assert [rows_of(connection, table) for table in ("batch", "event", "line")] == [0, 0, 0]


def test_one_account_twice_in_a_draft(connection: Connection) -> None:
    """Two lines on one account are two links of its chain, and bounds hold after each of them."""
    post(connection, [fund(100, ANN)])

    taken = draft(entry((ANN, 60), (ANN, 40), (BEN, -100)))
    dipping = draft(entry((BEN, 101), (BEN, -1), (ANN, -100)))
    answers = post(connection, [taken, dipping])

    assert codes(answers) == ["done", "ledger.insufficient_funds"]
    chain = text(
        "SELECT account_seq, amount_minor, balance_after_minor FROM line JOIN account a"
        " ON a.id = account_id WHERE code = :code ORDER BY account_seq"
    )
    assert connection.execute(chain, {"code": ANN}).all() == [
        (1, -100, -100),
        (2, 60, -40),
        (3, 40, 0),
    ]


def test_an_event_without_entries_is_written(connection: Connection) -> None:
    """What moved no money is an event all the same, between its neighbours in time."""
    answers = post(connection, [fund(1, ANN), draft(note="seen"), fund(1, ANN)])

    times = [recorded(answer) for answer in answers]
    assert times == [times[0] + timedelta(microseconds=n) for n in range(3)]
    assert rows_of(connection, "event") == 3
    assert rows_of(connection, "entry") == 2


def test_no_drafts_are_no_work(connection: Connection) -> None:
    """An empty list is answered with an empty list, and writes nothing."""
    assert post(connection, []) == []
    assert rows_of(connection, "batch") == 0


def freeze(connection: Connection) -> None:
    lock(connection, [CEM])
    change = text("UPDATE account SET state = 'frozen' WHERE code = :code")
    connection.execute(change, {"code": CEM})


def close_april(connection: Connection) -> None:
    during = "[2026-04-01 00:00:00+00,2026-05-01 00:00:00+00)"
    act_by_hand(connection, add_period(connection, during), "soft_close")


APRIL = datetime(2026, 4, 15, tzinfo=UTC)
MAY = datetime(2026, 5, 1, tzinfo=UTC)
DUE = account("platform.due_from_custody", "EUR")
FAR = datetime(2200, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wrong", "code", "facts"),
    [
        (move(5, ANN, BEN), "insufficient_funds", {"balance_minor": 0, "amount_minor": 5}),
        (fund(UNBOUNDED + 1, ANN), "insufficient_funds", {"account": str(bank())}),
        (draft(entry((bank(), 5), (ANN, -4))), "unbalanced", {"off_by_minor": 1}),
        (draft(entry()), "bad_entry", {"lines": 0}),
        (draft(entry((bank(), 5))), "bad_entry", {"lines": 1}),
        (draft(entry((bank(), 0), (ANN, 0))), "bad_entry", {"amount_minor": 0}),
        (draft(entry(*[(bank(), 1), (ANN, -1)] * 501)), "bad_entry", {"lines": 1_002}),
        (draft(entry((bank(), 5), (wallet("ann", "USD"), -5))), "bad_entry", {"currency": "USD"}),
        (draft(entry((bank(), 5), (DUE, -5))), "bad_entry", {"kind": DUE.kind}),
        (
            draft(entry((bank(), 5), (ANN, -5), book=Book.PLATFORM)),
            "bad_entry",
            {"kind": "custody.bank"},
        ),
        (
            draft(entry((bank(), 5), (AccountKey("custody.purse", "ann", "EUR"), -5))),
            "unknown_account_kind",
            {"kind": "custody.purse"},
        ),
        (
            draft(entry((bank(), 5), (AccountKey("custody.wallet", "", "EUR"), -5))),
            "unknown_account_kind",
            {"kind": "custody.wallet"},
        ),
        (
            draft(entry((AccountKey("custody.bank", "x", "EUR"), 5), (ANN, -5))),
            "unknown_account_kind",
            {"subject": "x"},
        ),
        (fund(5, CEM), "account_not_open", {"account": str(CEM)}),
        (fund(5, ANN, at=APRIL), "period_not_open", {"open_from": MAY.isoformat()}),
        (fund(5, ANN, at=FAR), "bad_effective_at", {"effective_at": FAR.isoformat()}),
        (fund(5, ANN, at=LONG_AGO), "bad_effective_at", {}),
    ],
)
def test_a_refusal_says_which_rule_and_what_it_saw(
    connection: Connection, wrong: Draft, code: str, facts: dict[str, object]
) -> None:
    """Each rule has its code and its facts, writes nothing, and leaves its neighbours alone."""
    freeze(connection)
    close_april(connection)
    before = rows_of(connection, "event")

    first, answer, last = post(connection, [fund(1, wallet("x")), wrong, fund(1, wallet("x"))])

    assert isinstance(answer, Refusal)
    assert answer.code == f"ledger.{code}"
    assert facts.items() <= answer.facts.items()
    assert codes([first, last]) == ["done", "done"]
    assert rows_of(connection, "event") == before + 2


@pytest.mark.parametrize("currency", ["ZZZ", "eur", "EURO", "XXX", ""])
def test_an_unknown_currency_is_refused(connection: Connection, currency: str) -> None:
    """A currency that we keep no books in refuses its draft, and no neighbour of it."""
    wrong = draft(
        entry(
            (AccountKey("custody.bank", "", currency), 5),
            (AccountKey("custody.wallet", "ann", currency), -5),
            currency=currency,
        )
    )

    answers = post(connection, [fund(1, ANN), wrong, fund(1, ANN)])

    assert codes(answers) == ["done", "money.unknown_currency", "done"]


def test_an_event_has_a_thousand_entries_at_most(connection: Connection) -> None:
    """One entry more refuses the draft, and no neighbour of it."""
    pair = entry((bank(), 1), (ANN, -1))

    answers = post(connection, [draft(*[pair] * 1_000), draft(*[pair] * 1_001), fund(1, ANN)])

    assert codes(answers) == ["done", "ledger.bad_entry", "done"]


def test_an_amount_that_no_row_holds_is_refused(connection: Connection) -> None:
    """From the lowest bound to the highest is one minor unit more than a bigint has."""
    bridge = account("custody.fx", "EUR")
    fall = draft(entry((bank(), -UNBOUNDED), (bridge, UNBOUNDED)))
    rise = draft(entry((bank(), 2 * UNBOUNDED), (bridge, -2 * UNBOUNDED)))
    nearly = draft(entry((bank(), 2 * UNBOUNDED - 1), (bridge, 1 - 2 * UNBOUNDED)))

    answers = post(connection, [fall, rise, nearly])

    assert codes(answers) == ["done", "ledger.bad_entry", "done"]
    assert balances(connection, [bank()]) == {bank(): UNBOUNDED - 1}


def test_an_account_never_opened_stands_at_zero(connection: Connection) -> None:
    """Balances are signed, by account or by kind and currency; what was never opened is zero."""
    dollars = wallet("ann", "USD")
    post(connection, [fund(100, ANN), fund(50, BEN), fund(7, dollars)])

    assert balances(connection, [ANN, CEM, dollars]) == {ANN: -100, CEM: 0, dollars: -7}
    assert kind_balances(connection, "custody.wallet") == {"EUR": -150, "USD": -7}
    assert balances(connection, []) == {}


def test_accounts_locked_ahead_take_several_posts(connection: Connection) -> None:
    """A caller's own transaction may post as often as it likes once it declared its accounts."""
    lock(connection, [bank(), ANN, BEN])

    assert codes(post(connection, [fund(10, ANN)])) == ["done"]
    assert codes(post(connection, [move(10, ANN, BEN), move(1, ANN, BEN)])) == [
        "done",
        "ledger.insufficient_funds",
    ]
    assert balances(connection, [BEN]) == {BEN: -10}


def test_a_reversal_names_the_entry_it_mirrors(connection: Connection) -> None:
    """The new entry carries the old one's event and number, and no entry is reversed twice."""
    (first,) = post(connection, [fund(10, ANN)])
    assert isinstance(first, Posted)
    lines = entry((bank(), -10), (ANN, 10)).lines
    mirror = draft(Entry(Book.CUSTODY, "EUR", lines, EntryRef(first.event_id, 1)))

    assert codes(post(connection, [mirror])) == ["done"]
    pairs = text("SELECT reverses_event_id, reverses_entry_no FROM entry ORDER BY 1 NULLS LAST")
    assert connection.execute(pairs).all() == [(first.event_id, 1), (None, None)]


def test_more_drafts_than_a_batch_holds(own_engine: Engine, tenant: Tenant) -> None:
    """Beyond 16,384 drafts further batches follow in the same transaction, in order and proven."""
    amounts = [fund(1, ANN), move(1, ANN, BEN)] * 8_200
    with transaction(own_engine, tenant) as connection:
        answers = post(connection, [*amounts, move(8_201, BEN, CEM), move(8_200, BEN, CEM)])

    assert codes(answers) == ["done"] * 16_400 + ["ledger.insufficient_funds", "done"]
    times = [recorded(answer) for answer in answers if isinstance(answer, Posted)]
    assert times == sorted(set(times))
    with snapshot(own_engine, tenant) as connection:
        assert balances(connection, [ANN, BEN, CEM]) == {ANN: 0, BEN: 0, CEM: -8_200}
        counts = connection.exec_driver_sql("SELECT event_count FROM batch ORDER BY id").scalars()
        assert list(counts) == [16_384, 17]
    prove_clean(own_engine, tenant)


def test_two_connections_open_the_same_accounts(own_engine: Engine, tenant: Tenant) -> None:
    """Accounts and months opened on first use by several at once are opened once, and all post."""
    racers = 4
    start = Barrier(racers)

    def race(number: int) -> None:
        for turn in range(10):
            names = [wallet(f"{turn}-{n}") for n in range(20)]
            names = names[number:] + names[:number]
            start.wait(120)
            with transaction(own_engine, tenant) as connection:
                at = NOON + timedelta(days=31 * turn)
                assert set(codes(post(connection, [fund(1, name, at=at) for name in names]))) == {
                    "done"
                }

    with ThreadPoolExecutor(racers) as pool:
        list(pool.map(race, range(racers)))

    with snapshot(own_engine, tenant) as connection:
        assert kind_balances(connection, "custody.wallet") == {"EUR": -20 * 10 * racers}
    prove_clean(own_engine, tenant)


def test_recorded_time_rises_while_a_sandbox_stands_still(connection: Connection) -> None:
    """Each event is one microsecond after the last on its accounts, however the clock stands."""
    clock.make_sandbox(connection, at=NOON)

    answers = [post(connection, [fund(1, ANN), fund(1, ANN)]) for _ in range(3)]

    times = [recorded(answer) for batch in answers for answer in batch]
    assert times == [NOON + timedelta(microseconds=n) for n in range(1, 7)]


def test_accounts_of_their_own_do_not_push_each_other(connection: Connection) -> None:
    """An event is recorded after its own accounts' newest line, not after everybody's."""
    clock.make_sandbox(connection, at=NOON)
    post(connection, [fund(1, ANN)] * 100)

    (alone,) = post(connection, [fund(1, wallet("zoe", "USD"))])

    assert recorded(alone) == NOON + timedelta(microseconds=1)


def test_recorded_time_rises_over_a_clock_stepped_back(
    own_engine: Engine, own_database: TestDatabase, tenant: Tenant
) -> None:
    """A clock that jumps back ten seconds changes no order: time goes on from the newest line."""
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=NOON)
        (before,) = post(connection, [fund(1, ANN)])
    with create_engine(own_database.admin_url, poolclass=NullPool).begin() as admin:
        admin.exec_driver_sql("SET LOCAL session_replication_role = replica")
        admin.exec_driver_sql(
            f"UPDATE {tenant.schema}.clock SET sandbox_at = sandbox_at - interval '10 seconds'"
        )

    with transaction(own_engine, tenant) as connection:
        assert clock.now(connection) == NOON - timedelta(seconds=10)
        answers = post(connection, [fund(1, ANN), draft(), fund(1, BEN)])

    times = [recorded(answer) for answer in (before, *answers)]
    assert times == [NOON + timedelta(microseconds=n) for n in range(1, 5)]
    prove_clean(own_engine, tenant)
