"""What the lines of a rail's statement mean in the books, to the cent, whenever they are seen."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from kernel.database import Tenant, transaction
from kernel.ids import new_id
from kernel.principals import RAIL
from ledger.chart import account
from ledger.model import Book, Draft, Entry, Line
from ledger.proof import prove
from ledger.service import balances, post
from payouts.service_transactions import book, hear_statement
from rails import events, service, transactions
from rails.caller import run_once
from rails.model import (
    CHARGEBACK_FUNDS,
    TRANSACTIONS_BOOKED,
    Notice,
    OperationKind,
    RailOperation,
    RailOutcome,
    RailResult,
)
from rails.model_events import RailTransaction, TransactionKind
from rails.store_transactions import add_transactions
from tests.rails.builders import NOON, operation
from tests.rails.hinting import HintingRail, line

DAY = timedelta(days=1)
FEE = 29


def _fund(connection: Connection, amount_minor: int, currency: str = "EUR") -> UUID:
    """A payment that was asked for and sent; its result is not here yet."""
    wanted = replace(operation(amount_minor=amount_minor, currency=currency), rail="stripe")
    service.intend(connection, [wanted], at=NOON)
    service.take(connection, 10, NOON, rail="stripe")
    return wanted.id


def _is_paid(connection: Connection, operation_id: UUID) -> None:
    """The payment's own result: pending money less the fee, which is the platform's to bear."""
    (asked,) = service.list_operations(connection, [operation_id])
    result = RailResult(
        operation_id=asked.id,
        kind=asked.kind,
        subject=asked.subject,
        outcome=RailOutcome.DONE,
        amount_minor=asked.amount_minor,
        currency=asked.currency,
        fee_minor=FEE,
        occurred_at=NOON,
        transaction_ref=f"txn_{asked.id.hex}",
    )
    for heard in service.store_results(connection, [result], NOON).values():
        _book_paid(connection, heard, NOON)


def _book_paid(connection: Connection, results: Sequence[RailResult], _at: datetime) -> None:
    for each in results:
        cur, owed = each.currency, account("custody.wallet", each.currency, new_id())
        custody = (
            Line(account("custody.processor_pending", cur, "stripe"), each.amount_minor - FEE),
            Line(account("custody.due_from_platform", cur), FEE),
            Line(owed, -each.amount_minor),
        )
        platform = (
            Line(account("platform.expense.processor", cur), FEE),
            Line(account("platform.due_to_custody", cur), -FEE),
        )
        entries = (Entry(Book.CUSTODY, cur, custody), Entry(Book.PLATFORM, cur, platform))
        (answer,) = post(connection, [Draft("test.paid", each.subject, RAIL, NOON, entries)])
        assert not isinstance(answer, Exception), answer


def _paid_line(operation_id: UUID, amount_minor: int, **more: object) -> RailTransaction:
    seen = line(
        f"txn_{operation_id.hex}",
        TransactionKind.FUNDING,
        amount_minor,
        fee_minor=FEE,
        available_after=2 * DAY,
    )
    return replace(seen, **more)  # type: ignore[arg-type]


def _see(connection: Connection, *lines: RailTransaction) -> int:
    return add_transactions(connection, lines, NOON)


def _at(connection: Connection, kind: str, currency: str = "EUR", place: str = "stripe") -> int:
    key = account(kind, currency, place if kind.startswith("custody.processor") else "")
    return balances(connection, [key])[key]


def _processor(connection: Connection, currency: str = "EUR", place: str = "stripe") -> list[int]:
    return [
        _at(connection, f"custody.processor_{which}", currency, place)
        for which in ("pending", "available", "reserved")
    ]


def _states(connection: Connection) -> list[tuple[str, str]]:
    rows = connection.exec_driver_sql(
        "SELECT state, explained_by FROM rail_transaction ORDER BY seen_no"
    )
    return [(row.state, row.explained_by.partition(":")[0]) for row in rows]


@pytest.mark.parametrize(
    ("currency", "amount_minor"), [("EUR", 10_300), ("JPY", 10_300), ("KWD", 103_000)]
)
def test_pending_money_becomes_available_when_its_time_has_come(
    connection: Connection, currency: str, amount_minor: int
) -> None:
    """P02, first half, once: at the line's own time, not before it, and not again."""
    paid = _fund(connection, amount_minor, currency)
    _is_paid(connection, paid)
    _see(connection, _paid_line(paid, amount_minor, currency=currency))

    book(connection, "stripe", at=NOON + DAY)
    before = _processor(connection, currency)
    booked = [book(connection, "stripe", at=NOON + 2 * DAY) for _ in range(3)]

    assert before == [amount_minor - FEE, 0, 0]
    assert (booked, _processor(connection, currency)) == ([1, 0, 0], [0, amount_minor - FEE, 0])
    assert prove(connection).is_clean


def test_a_line_that_is_seen_before_the_payments_result_waits_for_it(
    connection: Connection,
) -> None:
    """Available money that was never booked as pending is not booked: not one cent before P01."""
    paid = _fund(connection, 10_300)
    _see(connection, _paid_line(paid, 10_300))

    too_early = book(connection, "stripe", at=NOON + 3 * DAY)
    before = _processor(connection)
    _is_paid(connection, paid)
    book(connection, "stripe", at=NOON + 3 * DAY)

    assert (too_early, before) == (0, [0, 0, 0])
    assert _processor(connection) == [0, 10_271, 0]
    assert _states(connection) == [("explained", "operation")]


def test_a_fee_that_is_billed_later_is_the_platforms(connection: Connection) -> None:
    """stripe_fee: out of what is available, owed by the platform, its expense; and once."""
    _see(connection, line("txn_fee", TransactionKind.FEE, -250))

    for _ in range(2):
        book(connection, "stripe", at=NOON)

    assert _processor(connection) == [0, -250, 0]
    assert _at(connection, "custody.due_from_platform") == 250
    assert _at(connection, "platform.expense.processor") == 250
    assert _at(connection, "platform.due_to_custody") == -250
    assert _states(connection) == [("booked", "")]
    assert prove(connection).is_clean


def test_a_fee_of_a_payees_account_leaves_that_account(connection: Connection) -> None:
    """Lines name the account: each place of the chart moves by its own."""
    _see(connection, line("txn_fee", TransactionKind.FEE, -7, account="acct_1", currency="JPY"))

    book(connection, "stripe", at=NOON)

    assert _processor(connection, "JPY", "stripe:acct_1") == [0, -7, 0]
    assert _processor(connection, "JPY") == [0, 0, 0]


def test_a_reserve_is_kept_back_and_let_go(connection: Connection) -> None:
    """reserve_hold and reserve_release: no cent of the books' total moves."""
    _see(connection, line("txn_kept", TransactionKind.RESERVE, -4_000, currency="KWD"))
    book(connection, "stripe", at=NOON)
    kept = _processor(connection, "KWD")
    _see(connection, line("txn_back", TransactionKind.RESERVE_BACK, 1_500, currency="KWD"))
    book(connection, "stripe", at=NOON)

    assert kept == [0, -4_000, 4_000]
    assert _processor(connection, "KWD") == [0, -2_500, 2_500]


def test_a_reserve_that_is_told_from_both_sides_is_booked_once(connection: Connection) -> None:
    """One line takes it from our balance, the other shows it on the reserve's: one move."""
    _see(
        connection,
        line("txn_kept", TransactionKind.RESERVE, -4_000, currency="JPY"),
        line("txn_shown", TransactionKind.RESERVE, 4_000, currency="JPY"),
    )

    book(connection, "stripe", at=NOON)

    assert _processor(connection, "JPY") == [0, -4_000, 4_000]
    assert _states(connection) == [("booked", ""), ("explained", "nothing moved")]


@pytest.mark.parametrize(
    ("told_minor", "cost", "more_minor"),
    [
        (FEE + 1, "platform.expense.rounding", 1),
        (FEE - 1, "platform.expense.rounding", -1),
        (FEE + 40, "platform.expense.processor", 40),
        (FEE - 9, "platform.expense.processor", -9),
    ],
)
def test_another_fee_than_was_booked_is_never_the_clients(
    connection: Connection, told_minor: int, cost: str, more_minor: int
) -> None:
    """P46: one unit is rounding. Edge case 46: more is the processor's fee, on the report's day."""
    paid = _fund(connection, 10_300)
    _is_paid(connection, paid)
    before = _at(connection, cost)
    _see(connection, _paid_line(paid, 10_300, fee_minor=told_minor))

    book(connection, "stripe", at=NOON + DAY)
    pending = _processor(connection)
    book(connection, "stripe", at=NOON + 2 * DAY)

    assert _at(connection, cost) - before == more_minor
    assert _at(connection, "custody.due_from_platform") == told_minor
    assert pending == [10_300 - told_minor, 0, 0]
    assert _processor(connection) == [0, 10_300 - told_minor, 0]
    assert prove(connection).is_clean


def test_a_payment_of_which_a_part_was_captured_is_two_lines(connection: Connection) -> None:
    """The whole comes in, what was not captured goes out again: together what was booked, once."""
    paid = _fund(connection, 6_000)
    _is_paid(connection, paid)
    whole = _paid_line(paid, 10_000, fee_minor=FEE + 20)
    back = replace(
        whole,
        transaction_ref="txn_back",
        kind=TransactionKind.FUNDING_BACK,
        amount_minor=-4_000,
        fee_minor=-20,
        operation_id=paid,
    )
    _see(connection, whole, back)

    book(connection, "stripe", at=NOON)
    pending = _processor(connection)
    book(connection, "stripe", at=NOON + 2 * DAY)

    assert (pending, _processor(connection)) == ([6_000 - FEE, 0, 0], [0, 6_000 - FEE, 0])
    assert _at(connection, "custody.due_from_platform") == FEE
    assert prove(connection).is_clean


def test_what_left_out_of_pending_money_comes_back_to_pending(connection: Connection) -> None:
    """A transfer of a payment that has not settled: it is booked as available, and is not yet."""
    sent = replace(
        operation(OperationKind.TRANSFER, 5_000), rail="stripe", handler="test.transferred"
    )
    service.intend(connection, [sent], at=NOON)
    service.take(connection, 10, NOON, rail="stripe")
    result = RailResult(
        operation_id=sent.id,
        kind=sent.kind,
        subject=sent.subject,
        outcome=RailOutcome.DONE,
        amount_minor=5_000,
        currency="EUR",
        occurred_at=NOON,
        transaction_ref="txn_out",
    )
    service.store_results(connection, [result], NOON)
    _see(connection, line("txn_out", TransactionKind.TRANSFER, -5_000, available_after=2 * DAY))

    book(connection, "stripe", at=NOON)
    meanwhile = _processor(connection)
    book(connection, "stripe", at=NOON + 2 * DAY)

    assert meanwhile == [-5_000, 5_000, 0]
    assert _processor(connection) == [0, 0, 0]


def test_what_belongs_to_nothing_stays_open(connection: Connection) -> None:
    """An adjustment of no chargeback, and a payment that nobody asked for, are booked by nobody."""
    _see(
        connection,
        line("txn_odd", TransactionKind.OTHER, -77),
        line("txn_stray", TransactionKind.FUNDING, 1_000),
    )

    assert book(connection, "stripe", at=NOON + 30 * DAY) == 0
    assert _states(connection) == [("open", ""), ("open", "")]
    assert _processor(connection) == [0, 0, 0]


def test_what_a_chargeback_moved_is_explained_by_its_own_notice(connection: Connection) -> None:
    """The chargeback's movement has booked it: the line names it, and books nothing more."""
    _see(connection, line("txn_taken", TransactionKind.CHARGEBACK, -11_500))
    too_early = book(connection, "stripe", at=NOON)
    moved = Notice(
        rail="stripe",
        notice_id="dp_1:funds:txn_taken",
        kind=CHARGEBACK_FUNDS,
        currency="EUR",
        occurred_at=NOON,
        facts={"chargeback": "dp_1", "movement": "txn_taken"},
    )
    service.receive(connection, [moved], at=NOON)

    book(connection, "stripe", at=NOON)

    assert (too_early, _states(connection)) == (0, [("explained", "notice")])
    assert _processor(connection) == [0, 0, 0]


def test_a_line_is_kept_once_however_often_it_is_listed(connection: Connection) -> None:
    """The same page again adds nothing; the same name at another account is another line."""
    seen = line("txn_fee", TransactionKind.FEE, -250)

    counts = [
        _see(connection, seen),
        _see(connection, seen, replace(seen, account="acct_1")),
        _see(connection, seen),
    ]

    assert counts == [1, 1, 0]


@pytest.mark.parametrize(
    "change",
    [
        "amount_minor = -1",
        "state = 'open', event_id = NULL, became_available_at = NULL",
        "event_id = event_id + 1",
        "became_available_at = became_available_at + interval '1 day'",
    ],
)
def test_a_booked_line_stays_as_it_is(owner_connection: Connection, change: str) -> None:
    """Not even the owner changes what the rail said, or books it a second time."""
    _see(owner_connection, line("txn_fee", TransactionKind.FEE, -250))
    book(owner_connection, "stripe", at=NOON)

    with pytest.raises(DBAPIError) as refused, owner_connection.begin_nested():
        owner_connection.exec_driver_sql(f"UPDATE rail_transaction SET {change}")

    assert "rail_transaction_is_booked_once" in str(refused.value.orig.diag.constraint_name)  # type: ignore[union-attr]


def test_a_step_of_the_rail_takes_in_its_statement_and_books_it(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Paid by a call, listed by the rail in two pages, available after two days: by steps alone."""
    rail = HintingRail(poll_every_s=0)
    wanted: list[RailOperation] = [replace(operation(), rail="stripe") for _ in range(3)]
    with transaction(own_engine, tenant) as connection:
        service.intend(connection, wanted, at=NOON)
    handlers = {"test.heard": _book_paid}
    run_once(own_engine, tenant, rail, handlers, NOON)
    rail.statement = [_paid_line(each.id, 10_300) for each in wanted]
    rail.statement.append(line("txn_fee", TransactionKind.FEE, -100))

    for at in (NOON, NOON + 2 * DAY, NOON + 2 * DAY):
        events.step(own_engine, tenant, rail, handlers, {TRANSACTIONS_BOOKED: hear_statement}, at)

    with transaction(own_engine, tenant) as connection:
        assert _processor(connection) == [0, 3 * 10_271 - 100, 0]
        assert not transactions.has_work(connection, "stripe", NOON + 9 * DAY)
        assert prove(connection).is_clean
