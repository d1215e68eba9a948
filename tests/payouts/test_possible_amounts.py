"""Amounts that a rail cannot move: refused when asked for, and never a balance that stays stuck."""

from uuid import UUID

import pytest
from sqlalchemy import Connection

from kernel.ids import new_id
from ledger.proof import prove
from payouts import service, service_runs
from payouts.commands import RequestPayout
from payouts.commands_runs import PrepareRun
from payouts.model_runs import Item, ItemState, RunKind
from rails.capabilities import possible_minor
from rails.refusals import CurrencyNotTaken
from tests.payouts.builders import DAY, NOON, OPERATOR, asked, available, give, new_payee, set_fee
from tests.payouts.builders_chain import method_at

LATER = NOON + 10 * DAY


def payee_at(connection: Connection, rail: str, currency: str, minor: int) -> tuple[UUID, UUID]:
    """A payee with money in our bank and a method of this rail."""
    payee_id = new_payee(connection)
    give(connection, payee_id, minor, currency)
    return payee_id, method_at(connection, payee_id, rail)


def wish(at: tuple[UUID, UUID], amount_minor: int, currency: str) -> RequestPayout:
    """He asks for so much."""
    payee_id, method_id = at
    return asked(payee_id, method_id, amount_minor, currency=currency)


def planned(connection: Connection, currency: str) -> Item:
    """What a run of everybody plans for the only payee."""
    day = LATER.date()
    command = PrepareRun(
        actor=OPERATOR,
        run_id=new_id(),
        currency=currency,
        kind=RunKind.EVERYONE,
        due_from_on=day,
        cut_off_on=day,
    )
    _, _, (item,) = service_runs.preview(connection, command, at=LATER)
    return item


@pytest.mark.parametrize(
    ("currency", "fee_minor", "amount_minor", "code"),
    [
        ("KWD", 0, 12_345, "rail.amount_not_possible"),
        ("KWD", 5, 12_340, "rail.amount_not_possible"),
        ("KWD", 0, 12_340, "done"),
        ("KWD", 5, 12_345, "done"),
        ("EUR", 0, 12_345, "done"),
        ("JPY", 0, 12_345, "done"),
    ],
)
def test_a_dinar_that_stripe_cannot_pay_is_refused_at_request(
    connection: Connection, currency: str, fee_minor: int, amount_minor: int, code: str
) -> None:
    """What arrives, less the fee, ends on 0 in KWD; refused, nothing is set aside."""
    at = payee_at(connection, "stripe", currency, 12_345)
    if fee_minor:
        set_fee(connection, fee_minor, currency)

    (outcome,) = service.request(connection, [wish(at, amount_minor, currency)], at=LATER)

    assert outcome.code == code
    gone_minor = amount_minor if code == "done" else 0
    assert available(connection, at[0], currency) == 12_345 - gone_minor
    assert not prove(connection).findings


@pytest.mark.parametrize(
    ("rail", "currency", "fee_minor", "planned_minor"),
    [
        ("stripe", "KWD", 0, 12_340),
        ("stripe", "KWD", 7, 12_337),
        ("stripe", "EUR", 7, 12_345),
        ("paypal", "JPY", 0, 12_345),
        ("mpesa", "KES", 0, 12_300),
    ],
)
def test_a_run_pays_what_the_rail_can_move_and_leaves_the_rest(
    connection: Connection, rail: str, currency: str, fee_minor: int, planned_minor: int
) -> None:
    """12.345 KWD by Stripe: 12.340 are paid, 0.005 wait for more; never the whole for ever."""
    payee_at(connection, rail, currency, 12_345)
    if fee_minor:
        set_fee(connection, fee_minor, currency)

    item = planned(connection, currency)

    assert (item.state, item.amount_minor, item.fee_minor) == (
        ItemState.PLANNED,
        planned_minor,
        fee_minor,
    )


def test_what_is_less_than_a_step_is_left_out(connection: Connection) -> None:
    """0.009 KWD by Stripe: the run says why, and the money stays."""
    payee_at(connection, "stripe", "KWD", 9)

    item = planned(connection, "KWD")

    assert (item.state, item.reason) == (ItemState.LEFT_OUT, "payouts.nothing_left")


@pytest.mark.parametrize(
    ("rail", "currency", "most_minor", "minor"),
    [
        ("mpesa", "KES", 99, 0),
        ("mpesa", "KES", 30_000_077, 25_000_000),
        ("paypal", "HUF", 199, 100),
        ("bank", "KWD", 12_345, 12_345),
        ("stripe:acct_1", "BHD", 19, 10),
    ],
)
def test_the_most_that_a_rail_can_move(
    rail: str, currency: str, most_minor: int, minor: int
) -> None:
    """Down to its step, within its bounds."""
    assert possible_minor(rail, most_minor, currency=currency) == minor


def test_a_currency_that_the_rail_does_not_take_has_no_amount() -> None:
    """It says so, rather than that it were nothing."""
    with pytest.raises(CurrencyNotTaken):
        possible_minor("paypal", 100, currency="KWD")
