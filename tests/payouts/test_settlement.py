"""Days of a world with books, rail and banks: after each settlement client money is safe."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine

from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from ledger.chart import CHART, account
from ledger.model import Book, Draft, Entry, Line
from ledger.service import kind_balances, post
from payouts import service, settlement, store
from payouts.commands import OpenCapital
from payouts.model import MethodState, PayoutState
from payouts.safeguarding import ACCOUNTS, CLIENT_LIABILITIES, safeguarding
from rails.model import RailAccount, RailBalance
from rails.simulated.model import Behaviour
from tests.payouts.builders import (
    NOON,
    OPERATOR,
    World,
    asked,
    available,
    balance,
    get_payout,
    give,
    new_method,
    new_payee,
    set_fee,
)

BAD_LUCK = Behaviour(
    seed="bad luck",
    declined_bps=1_000,
    lost_reply_bps=2_000,
    slow_bps=2_000,
    payout_failed_bps=1_500,
    payout_returned_bps=2_000,
    duplicate_notice_bps=5_000,
    return_days=5,
)


@pytest.fixture
def world(own_engine: Engine, tenant: Tenant) -> World:
    """A world with 1,000.00 EUR of the owner's capital."""
    world = World(own_engine, tenant)
    world.open_capital(100_000)
    return world


def test_the_owners_capital_is_booked_when_it_is_there(world: World) -> None:
    """Promised, brought by the rail, booked: Dr platform.bank · Cr platform.capital."""
    with transaction(world.engine, world.tenant) as connection:
        assert balance(connection, "platform.bank") == 100_000
        assert balance(connection, "platform.capital") == -100_000

    assert world.check().is_safe


@pytest.mark.parametrize(
    ("actor", "currency", "amount_minor", "code"),
    [
        (Actor(OPERATOR.principal_id, PrincipalKind.PERSON), "EUR", 1, "payouts.operator_only"),
        (OPERATOR, "EUR", 0, "money.not_positive"),
        (OPERATOR, "EUR", 10**15 + 1, "money.too_large"),
        (OPERATOR, "XXX", 1, "money.unknown_currency"),
    ],
)
def test_capital_is_refused_by_name(
    connection: Connection, actor: Actor, currency: str, amount_minor: int, code: str
) -> None:
    """Only an operator brings capital, in whole amounts of a currency that we keep books in."""
    promise = OpenCapital(actor=actor, currency=currency, amount_minor=amount_minor)

    (outcome,) = settlement.open_capital(connection, [promise], at=NOON)

    assert outcome.code == code
    assert settlement.under_way(connection) == {}


def test_a_day_is_settled(world: World) -> None:
    """Card money comes in, the fee is topped up, and nothing is due from the platform.

    103.00 paid by card, fee 3.29 -> pending 99.71, due from the platform 3.29
    first settlement              -> bank 3.29, nothing due: 103.00 is there for 103.00
    two days later, settled       -> bank 103.00 and pending nothing
    """
    payee_id, _ = _payee(world)
    world.fund(payee_id, 10_300)
    before = world.check()

    first = world.end_day()
    world.wait(2)
    second = world.end_day()

    (euro,) = before.currencies
    assert (euro.is_safe, euro.requirement_minor - euro.resource_minor) == (False, 329)
    assert (first.is_safe, second.is_safe) == (True, True)
    assert _kinds(world) == {
        "custody.bank": 10_300,
        "custody.earned_available": -10_300,
        "platform.bank": 100_000 - 329,
        "platform.capital": -100_000,
        "platform.expense.processor": 329,
    }


def test_a_payout_is_paid_and_its_fee_swept(world: World) -> None:
    """500.00 requested at 2.00: 498.00 leave the bank, 2.00 go to the platform's own bank (P04)."""
    payee_id, method_id = _payee(world, fee_minor=200)
    world.fund(payee_id, 100_000)
    world.end_day()
    world.wait(2)
    world.end_day()

    payout_id = world.pay_out(payee_id, method_id, 50_000)
    world.run_rail()
    report = world.end_day()

    with transaction(world.engine, world.tenant) as connection:
        assert get_payout(connection, payout_id).state is PayoutState.PAID
        assert balance(connection, "custody.bank") == 50_000
        assert balance(connection, "platform.bank") == 100_000 - 2_930 + 200
    assert report.is_safe


def test_e12_a_payout_bounces_three_weeks_later(world: World) -> None:
    """Edge case 12: paid, back after 21 days less 5.00: all is the payee's again, safely."""
    payee_id, method_id = _payee(world, at_rail="payout:returns", fee_minor=200)
    world.fund(payee_id, 100_000)
    world.end_day()
    world.wait(2)
    world.end_day()
    payout_id = world.pay_out(payee_id, method_id, 50_000)
    world.end_day()

    world.wait(21)
    report = world.end_day()

    with transaction(world.engine, world.tenant) as connection:
        payout = get_payout(connection, payout_id)
        assert (payout.state, payout.charge_minor) == (PayoutState.RETURNED, 500)
        assert available(connection, payee_id) == 100_000
        assert store.find_methods(connection, [method_id])[method_id].state is MethodState.DISABLED
    assert report.is_safe
    assert report.currencies[0].due_from_platform_minor == 0


def test_settling_twice_moves_nothing_twice(world: World) -> None:
    """Before the rail has answered, a second settlement asks for nothing more."""
    payee_id, _ = _payee(world)
    world.fund(payee_id, 10_300)

    world.settle()
    with transaction(world.engine, world.tenant) as connection:
        assert settlement.settle(connection, at=world.at) == []
    world.run_rail()

    assert world.check().is_safe


def test_two_settlements_at_once_move_the_money_once(world: World) -> None:
    """Two workers settle at the same time: one waits for the other and finds nothing to be done."""
    payee_id, _ = _payee(world)
    world.fund(payee_id, 10_300)

    with ThreadPoolExecutor(2) as pool:
        racers = [pool.submit(world.settle) for _ in range(2)]
    assert [racer.result() for racer in racers] == [None, None]
    world.run_rail()

    with transaction(world.engine, world.tenant) as connection:
        assert balance(connection, "platform.bank") == 100_000 - 329
    assert world.check().is_safe


def test_a_transfer_whose_reply_is_lost_is_booked_once(world: World) -> None:
    """Lost replies of every settlement transfer are read, and the books still equal the rail's."""
    world.behaviour = Behaviour(lost_reply_bps=10_000)
    payee_id, method_id = _payee(world, fee_minor=200)
    world.fund(payee_id, 100_000)
    world.end_day()
    world.wait(2)
    world.end_day()

    world.pay_out(payee_id, method_id, 50_000)

    assert world.end_day().is_safe


def test_a_platform_without_money_says_so(own_engine: Engine, tenant: Tenant) -> None:
    """Without capital the fee of the card cannot be topped up: the report is not safe."""
    world = World(own_engine, tenant)
    payee_id, _ = _payee(world)
    world.fund(payee_id, 10_300)

    with transaction(own_engine, tenant) as connection:
        settled = settlement.settle(connection, at=world.at)
    report = world.end_day()

    assert settled == []
    assert not report.is_safe
    assert report.currencies[0].due_from_platform_minor == 329


def test_refunds_find_their_money_at_the_processor(world: World) -> None:
    """What is promised to clients stays at the processor, or goes back there from the bank."""
    payee_id, _ = _payee(world)
    world.fund(payee_id, 10_300)
    world.wait(2)
    world.end_day()

    _promise_refund(world, payee_id, 5_000)
    world.end_day()

    with transaction(world.engine, world.tenant) as connection:
        at_processor = kind_balances(connection, "custody.processor_available")
    assert at_processor == {"EUR": 5_000}
    assert world.check().is_safe


def test_every_currency_is_settled_by_itself(world: World) -> None:
    """Euro, yen and dinar each have their own settlement; none pays for another."""
    for currency in ("JPY", "KWD"):
        world.open_capital(100_000, currency)
    payee_id, _ = _payee(world)
    for currency in ("EUR", "JPY", "KWD"):
        world.fund(payee_id, 10_300, currency=currency)

    world.wait(2)
    report = world.end_day()

    assert [each.currency for each in report.currencies] == ["EUR", "JPY", "KWD"]
    assert report.is_safe
    assert {each.resource_minor for each in report.currencies} == {10_300}


@pytest.mark.slow
@pytest.mark.parametrize("reordered_bps", [0, 5_000])
def test_a_month_of_bad_luck_keeps_books_and_rail_equal(
    own_engine: Engine, tenant: Tenant, reordered_bps: int
) -> None:
    """Lost, slow, failed, returned and doubled: at each day's end the books equal the rail's.

    Where notices come late and out of order, the books are behind what nobody told us; they are
    equal again once everything was told.
    """
    world = World(own_engine, tenant, replace(BAD_LUCK, reordered_notice_bps=reordered_bps))
    world.open_capital(1_000_000)
    tokens = ("payout:returns", "payout:fails", "payout:slow", "payout", "payout", "payout")
    payees = [_payee(world, at_rail=token) for token in tokens]

    safe = [_busy_day(world, payees, day) for day in range(20)]
    for _ in range(20):
        world.wait(1)
        safe.append(world.end_day().is_safe)

    with transaction(own_engine, tenant) as connection:
        rows = connection.exec_driver_sql("SELECT state, count(*) FROM payout GROUP BY state")
        states = {row.state for row in rows}
        assert settlement.under_way(connection) == {}
    assert all(safe if reordered_bps == 0 else safe[-5:])
    assert states & {"failed", "returned"}


def _busy_day(world: World, payees: list[tuple[UUID, UUID]], day: int) -> bool:
    method = "card" if day % 2 else "bank_debit"
    for number, (payee_id, method_id) in enumerate(payees):
        world.fund(payee_id, 10_300 + 100 * number + day, method=method)
        _wish(world, payee_id, method_id, 5_000 + day)
    _submit(world)
    is_safe = world.end_day().is_safe
    world.wait(1)
    return is_safe


@pytest.mark.parametrize("off_by_minor", [-1, 1])
def test_a_cent_between_books_and_rail_is_found(world: World, off_by_minor: int) -> None:
    """One minor unit too few or too many at the rail is a difference of that account: not safe."""
    payee_id, _ = _payee(world)
    world.fund(payee_id, 10_300)
    world.end_day()
    told = [
        RailBalance(b.account, b.currency, b.amount_minor + off_by_minor)
        if b.account is RailAccount.PROCESSOR_PENDING
        else b
        for b in world.rail.balances(at=world.at)
    ]

    with transaction(world.engine, world.tenant) as connection:
        report = safeguarding(connection, told)

    ((difference,),) = (each.differences for each in report.currencies)
    assert (difference.account, difference.books_minor, difference.other_minor) == (
        "custody.processor_pending",
        9_971,
        9_971 + off_by_minor,
    )
    assert not report.is_safe
    assert report.as_json()["currencies"][0]["differences"][0]["books"]["amount"] == "99.71"


def test_money_that_lacks_is_not_safe(connection: Connection) -> None:
    """Books that say there is money where the rail has none are not safe, and say how much."""
    give(connection, new_payee(connection), 60_000)

    report = safeguarding(connection, [])

    (euro,) = report.currencies
    assert (euro.is_safe, euro.resource_minor, euro.requirement_minor) == (False, 0, 60_000)


def test_safeguarding_looks_at_every_client_liability() -> None:
    """Each liability of the custody book counts, but what is due to the platform itself."""
    assert set(CLIENT_LIABILITIES) == {
        f"custody.{name}"
        for name in (
            "escrow",
            "escrow_disputed",
            "wallet",
            "earned_pending",
            "earned_available",
            "earned_reserved",
            "payout_in_transit",
            "refund_in_transit",
            "suspense",
            "tax_withheld",
            "unclaimed",
            "blocked",
        )
    }
    assert {account for _, account in ACCOUNTS} == set(RailAccount)


def _payee(
    world: World, *, at_rail: str = "payout", fee_minor: int | None = None
) -> tuple[UUID, UUID]:
    with transaction(world.engine, world.tenant) as connection:
        payee_id = new_payee(connection)
        if fee_minor is not None:
            set_fee(connection, fee_minor)
        return payee_id, new_method(connection, payee_id, at_rail)


def _wish(world: World, payee_id: UUID, method_id: UUID, amount_minor: int) -> list[Outcome]:
    with transaction(world.engine, world.tenant) as connection:
        return service.request(connection, [asked(payee_id, method_id, amount_minor)], at=world.at)


def _submit(world: World) -> list[Outcome]:
    with transaction(world.engine, world.tenant) as connection:
        return service.submit_due(connection, at=world.at)


def _promise_refund(world: World, payee_id: UUID, amount_minor: int) -> None:
    lines = (
        Line(account("custody.earned_available", "EUR", payee_id), amount_minor),
        Line(account("custody.refund_in_transit", "EUR", new_id()), -amount_minor),
    )
    with transaction(world.engine, world.tenant) as connection:
        post(
            connection,
            [Draft("test.refund", "", OPERATOR, world.at, (Entry(Book.CUSTODY, "EUR", lines),))],
        )


def _kinds(world: World) -> dict[str, int]:
    """Every kind of account that has a balance in euro."""
    with transaction(world.engine, world.tenant) as connection:
        found = {kind: kind_balances(connection, kind).get("EUR", 0) for kind in CHART}
    return {kind: minor for kind, minor in found.items() if minor}
