"""The treasury: rows, what stops payouts (edge case 45), several rails at once, rounding (P46)."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from kernel.money import to_json
from kernel.principals import Actor, PrincipalKind
from ledger.chart import account
from ledger.entries import custody, platform
from ledger.model import Draft
from ledger.service import post
from payouts import service, settlement, store_treasury, treasury
from payouts.model_settlement import Mode
from payouts.model_treasury import SetTreasury
from payouts.movements_settlement import MOST_MINOR, p46_rounding
from payouts.treasury_page import page
from rails import service as rails
from rails.model import OperationKind, RailOperation
from tests.payouts.builders import (
    NOON,
    OPERATOR,
    asked,
    give,
    new_method,
    new_payee,
    submitting,
)

CURRENCIES = pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])


def lies(connection: Connection, rail_account: str, minor: int, currency: str = "EUR") -> None:
    """Client money at a rail account, owed to a payee of its own."""
    owed = account("custody.earned_available", currency, new_payee(connection))
    there = account("custody.processor_available", currency, rail_account)
    entry = custody(currency, (there, minor), (owed, -minor))
    post(connection, [Draft("test.lies", "", OPERATOR, NOON, entry)])


def moves(connection: Connection) -> list[str]:
    """What a settlement asks of which rail."""
    settlement.settle(connection, at=NOON, bank_rail="bank")
    return sorted(
        f"{each.rail}: {each.facts['source']} > {each.facts['target']}"
        f" {each.amount_minor} {each.facts['rail_account']}".rstrip()
        for each in rails.list_open(connection, settlement.HANDLER)
    )


@CURRENCIES
def test_each_rail_moves_its_own_money(connection: Connection, currency: str) -> None:
    """PayPal's lands by PayPal, Stripe's stays, a payee's account is never settled."""
    lies(connection, "bank", 5_000, currency)
    lies(connection, "stripe", 7_000, currency)
    lies(connection, "stripe:acct_1", 900, currency)

    assert moves(connection) == ["bank: processor_available > custody_bank 5000 bank"]
    assert settlement.settle(connection, at=NOON) == []


def test_a_refund_by_a_rail_keeps_that_rails_money(connection: Connection) -> None:
    """40.00 are promised back by PayPal: 10.00 of 50.00 land."""
    lies(connection, "bank", 5_000)
    wish = RailOperation(
        id=new_payee(connection),
        kind=OperationKind.REFUND,
        handler="test",
        subject="refund:x",
        amount_minor=4_000,
        currency="EUR",
        method="m",
        rail="bank",
    )
    rails.intend(connection, [wish], at=NOON)

    assert moves(connection) == ["bank: processor_available > custody_bank 1000 bank"]


def test_at_the_end_of_the_rails_limit_its_money_lands(connection: Connection) -> None:
    """`max_hold` is over: Stripe's money lands whatever its row says, and only its."""
    lies(connection, "stripe", 7_000)

    settlement.settle(connection, at=NOON, rail_account="stripe")

    (asked_of,) = rails.list_open(connection, settlement.HANDLER)
    assert (asked_of.rail, asked_of.amount_minor) == ("stripe", 7_000)


def test_fees_are_swept_by_the_bank_rail(connection: Connection) -> None:
    """Between banks the bank rail moves, and its facts name no processor."""
    earned = (
        *custody(
            "EUR",
            (account("custody.bank", "EUR"), 1_000),
            (account("custody.due_to_platform", "EUR"), -1_000),
        ),
        *platform(
            "EUR",
            (account("platform.due_from_custody", "EUR"), 1_000),
            (account("platform.revenue.commission", "EUR"), -1_000),
        ),
    )
    post(connection, [Draft("test.earned", "", OPERATOR, NOON, earned)])

    assert moves(connection) == ["bank: custody_bank > platform_bank 1000"]


def setting(**change: Any) -> SetTreasury:
    given: dict[str, Any] = {"rail_account": "bank", "currency": "EUR", "mode": Mode.STAY}
    return SetTreasury(**{"actor": OPERATOR, "valid_from": NOON, **given, **change})


def test_a_row_counts_from_its_time_and_never_changes(connection: Connection) -> None:
    """`stay` from tomorrow: today it lands; a floor of one currency before a row of all others."""
    lies(connection, "bank", 5_000)
    tomorrow = setting(valid_from=NOON + timedelta(days=1))
    general = setting(currency=None)
    special = setting(mode=Mode.LAND, floor_minor=4_200)

    outcomes = treasury.set_treasury(connection, [tomorrow, general, special, special], at=NOON)

    assert [each.code for each in outcomes] == ["done", "done", "done", "treasury.rule_stands"]
    assert moves(connection) == ["bank: processor_available > custody_bank 800 bank"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"actor": Actor(OPERATOR.principal_id, PrincipalKind.PERSON)}, "payouts.operator_only"),
        ({"rail_account": "nowhere"}, "rail.unknown"),
        ({"currency": "XXX"}, "money.unknown_currency"),
        ({"floor_minor": -1}, "treasury.bad_floor"),
        ({"floor_minor": 1, "currency": None}, "treasury.bad_floor"),
    ],
)
def test_a_bad_row_is_refused(connection: Connection, change: dict[str, Any], code: str) -> None:
    """One refusal, and nothing written."""
    (outcome,) = treasury.set_treasury(connection, [setting(**change)], at=NOON)

    assert outcome.code == code
    assert store_treasury.list_rules(connection, NOON) == []


@CURRENCIES
def test_e45_below_zero_stops_payouts_until_it_is_covered(
    connection: Connection, currency: str
) -> None:
    """Edge case 45: Stripe at -100: no payout of the currency leaves until it is covered.

    The custody bank covers it the same day; the next settlement lifts the stop; both are told.
    """
    payee_id = new_payee(connection)
    give(connection, payee_id, 50_000, currency)
    wish = asked(payee_id, new_method(connection, payee_id), 10_000, currency=currency)
    assert service.request(connection, [wish], at=NOON)[0].is_done
    there = account("custody.processor_available", currency, "stripe")
    gone = custody(currency, (there, -100), (account("custody.bank", currency), 100))
    back = custody(currency, (there, 100), (account("custody.bank", currency), -100))
    post(connection, [Draft("test.gone", "", OPERATOR, NOON, gone)])

    stopped = service.submit(connection, [submitting(wish.payout_id)], at=NOON)[0]
    settlement.settle(connection, at=NOON)
    (stop,) = store_treasury.list_stops(connection)
    (row,) = [each for each in page(connection, at=NOON) if each["currency"] == currency]
    (covering,) = rails.list_open(connection, settlement.HANDLER)
    post(connection, [Draft("test.covered", "", OPERATOR, NOON, back)])
    going = service.submit(connection, [submitting(wish.payout_id)], at=NOON)[0]

    assert stopped.code == "payouts.bank_short"
    assert (stop.rail_account, stop.currency, stop.shortfall_minor) == ("stripe", currency, 100)
    assert row["payouts_stopped"] is True
    assert (covering.rail, covering.facts["target"], covering.amount_minor) == (
        "stripe",
        "processor_available",
        100,
    )
    assert going.is_done
    settlement.settle(connection, at=NOON)
    assert store_treasury.list_stops(connection) == []
    told = connection.exec_driver_sql(
        "SELECT kind FROM event WHERE kind LIKE 'treasury.payouts%%' ORDER BY id"
    ).scalars()
    assert list(told) == ["treasury.payouts_stopped", "treasury.payouts_go_on"]


def owing(currency: str, *, owed: int, held: int) -> Draft:
    """The platform owes client money `owed` for what a rail kept, and has `held` in its bank."""
    cash = platform(
        currency,
        (account("platform.bank", currency), held),
        (account("platform.capital", currency), -held),
    )
    kept = (
        *custody(
            currency,
            (account("custody.due_from_platform", currency), owed),
            (account("custody.bank", currency), -owed),
        ),
        *platform(
            currency,
            (account("platform.expense.processor", currency), owed),
            (account("platform.due_to_custody", currency), -owed),
        ),
    )
    return Draft("test.owes", "", OPERATOR, NOON, (*cash, *kept))


def paid_in(currency: str, minor: int) -> Draft:
    """The owner brings money."""
    bank, capital = account("platform.bank", currency), account("platform.capital", currency)
    entries = platform(currency, (bank, minor), (capital, -minor))
    return Draft("test.paid_in", "", OPERATOR, NOON, entries)


@CURRENCIES
def test_what_the_platform_owes_and_lacks_is_told(connection: Connection, currency: str) -> None:
    """300 owed and 299 there: people are told with the settlement; no payee waits for a cent."""
    payee_id = new_payee(connection)
    give(connection, payee_id, 50_000, currency)
    wish = asked(payee_id, new_method(connection, payee_id), 10_000, currency=currency)
    assert service.request(connection, [wish], at=NOON)[0].is_done
    post(connection, [owing(currency, owed=300, held=299)])

    settlement.settle(connection, at=NOON)
    going = service.submit(connection, [submitting(wish.payout_id)], at=NOON)[0]

    assert going.is_done
    assert store_treasury.list_stops(connection) == []
    told = connection.exec_driver_sql(
        "SELECT kind FROM event WHERE kind LIKE 'treasury.%%' ORDER BY id"
    ).scalars()
    assert list(told) == ["treasury.platform_short"]


@CURRENCIES
def test_what_the_platform_owes_and_has_is_brought_the_same_day(
    connection: Connection, currency: str
) -> None:
    """300 owed, 200 earned, 1000 there: 200 are set off and 100 asked for, once."""
    earned = (
        *custody(
            currency,
            (account("custody.bank", currency), 200),
            (account("custody.due_to_platform", currency), -200),
        ),
        *platform(
            currency,
            (account("platform.due_from_custody", currency), 200),
            (account("platform.revenue.commission", currency), -200),
        ),
    )
    post(connection, [owing(currency, owed=300, held=1_000)])
    post(connection, [Draft("test.earned", "", OPERATOR, NOON, earned)])

    unasked = settlement.settle_short(connection, at=NOON, pays_up=False)
    first = settlement.settle_short(connection, at=NOON, pays_up=True)
    second = settlement.settle_short(connection, at=NOON, pays_up=True)

    assert (unasked, first, second) == (False, True, False)
    (transfer,) = rails.list_open(connection, settlement.HANDLER)
    assert (transfer.facts["source"], transfer.facts["target"], transfer.amount_minor) == (
        "platform_bank",
        "custody_bank",
        100,
    )
    assert store_treasury.list_stops(connection) == []


def test_what_the_page_says_is_what_is_done(connection: Connection) -> None:
    """The dry run names the very transfers that the settlement asks for."""
    lies(connection, "bank", 5_000)
    lies(connection, "stripe", 7_000)
    (row,) = page(connection, at=NOON)

    (settled,) = settlement.settle(connection, at=NOON)

    assert row["next"] == [
        {
            "source": each.source,
            "target": each.target,
            "rail_account": each.rail_account,
            "amount": to_json(each.amount_minor, "EUR"),
        }
        for each in settled.transfers
    ]
    assert [place["why"] for place in row["places"]] == [
        "what is not promised lands",
        "promised to refunds and payouts by this rail",
        "stays until the bank needs it, or the rail's limit ends",
    ]


@CURRENCIES
@pytest.mark.parametrize(("short", "side"), [(1, "from"), (7, "from"), (-1, "to")])
def test_p46_to_the_minor_unit(currency: str, short: int, side: str) -> None:
    """P46: Dr dfp 0.01 · Cr psp.pend 0.01, and X.round with dtc; what is over is ours."""
    custody_entry, platform_entry = p46_rounding(
        rail_account="stripe", currency=currency, short_minor=short
    )
    lines = {
        line.account.kind: line.amount_minor
        for line in (*custody_entry.lines, *platform_entry.lines)
    }

    mirror = {"from": "platform.due_to_custody", "to": "platform.due_from_custody"}[side]
    assert lines == {
        f"custody.due_{side}_platform": short,
        "custody.processor_pending": -short,
        "platform.expense.rounding": short,
        mirror: -short,
    }


@pytest.mark.parametrize("short", [0, MOST_MINOR + 1, -MOST_MINOR - 1])
def test_more_than_a_rounding_is_none(short: int) -> None:
    """Nothing, and more than ten minor units, is looked at by people."""
    with pytest.raises(ValueError, match="no rounding"):
        p46_rounding(rail_account="stripe", currency="EUR", short_minor=short)
