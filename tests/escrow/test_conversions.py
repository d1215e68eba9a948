"""Quotes, conversions and fills through the services, to the cent, and what each refuses."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine

from commissions import store_fx, store_fx_quotes
from commissions.model_fx import Conversion, ConversionKind, FixedSide, Policy
from commissions.service_fx import HANDLERS, QUOTE_EXPIRY
from escrow.service_fx import exposure
from kernel import timers
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from kernel.timers import DueTimer
from ledger.chart import MIRRORS, account
from ledger.proof import prove
from ledger.service import kind_balances
from rails.rates.model import Rate
from tests.commissions.rates import stand_rates
from tests.escrow.stage import START, person
from tests.escrow.stage_fx import USUAL, Desk, post_lines, rows


def test_a_payee_exchanges_what_he_may_withdraw_at_his_quote(connection: Connection) -> None:
    """100.00 EUR at 1.0835 are 108.35 USD at once; the bridge holds both halves."""
    desk = Desk(connection)
    desk.earn(10_000, "EUR")

    quoted = desk.quote(10_000)
    made = desk.convert(quoted.facts["quote_id"])

    assert quoted.facts["rate"] == "1.0835"
    assert quoted.facts["bought"] == {"amount": "108.35", "currency": "USD"}
    assert made.is_done
    assert desk.balance("custody.earned_available", "EUR", desk.party_id) == 0
    assert desk.balance("custody.earned_available", "USD", desk.party_id) == -10_835
    assert (desk.balance("custody.fx", "EUR"), desk.balance("custody.fx", "USD")) == (
        -10_000,
        10_835,
    )
    used = store_fx_quotes.find_quotes(connection, [UUID(quoted.facts["quote_id"])])
    assert [each.used_by for each in used.values()] == [f"conversion:{made.facts['conversion_id']}"]
    assert prove(connection).is_clean


def stand_conversion(
    desk: Desk, sold_minor: int, bought_minor: int, margin: int, *, rail: str
) -> str:
    """The customer's side of P33 or P35, as a release or a funding has left it."""
    for currency, minor in (("EUR", -sold_minor), ("USD", bought_minor)):
        other = account("custody.suspense", currency)
        if minor > 0:
            other = account("custody.earned_pending", currency, desk.party_id)
        else:
            other = account("custody.bank", currency)
            if rail:
                other = account("custody.processor_available", currency, rail)
        lines = ((account("custody.fx", currency), minor), (other, -minor))
        post_lines(desk.connection, currency, lines, actor=desk.first, at=desk.now)
    row = Conversion(
        id=new_id(),
        kind=ConversionKind.FUNDING if rail else ConversionKind.RELEASE,
        subject=f"release:{new_id()}",
        party_id=desk.party_id,
        mid=Rate("ecb", "EUR", "USD", Fraction("1.1"), START.date()),
        rate=Fraction("1.0835"),
        margin_bps=150,
        sold_minor=sold_minor,
        bought_minor=bought_minor,
        margin_minor=margin,
        at=desk.now,
        rail_account=rail,
    )
    store_fx.add_conversions(desk.connection, [row])
    return str(row.id)


def test_p34_a_fill_of_the_release_through_the_service(connection: Connection) -> None:
    """90.00 EUR filled at 1.0967: 98.70 USD, of which 97.52 were owed and 1.18 are ours."""
    desk = Desk(connection)
    conversion_id = stand_conversion(desk, 9_000, 9_752, 149, rail="")

    filled = desk.fill(conversion_id, 9_870)

    assert filled.facts["fill"] | {"filled_at": ""} == {
        "provider": "house",
        "provider_ref": "f-1",
        "filled": {"amount": "98.70", "currency": "USD"},
        "margin": {"amount": "1.49", "currency": "USD"},
        "loss": {"amount": "0.31", "currency": "USD"},
        "gap": {"amount": "1.18", "currency": "USD"},
        "filled_at": "",
    }
    assert desk.balance("custody.fx", "EUR") == desk.balance("custody.fx", "USD") == 0
    assert desk.balance("custody.bank", "USD") == 9_870
    assert desk.balance("custody.due_to_platform", "USD") == -118
    assert desk.balance("platform.due_from_custody", "USD") == 118
    assert desk.balance("platform.expense.fx", "USD") == 31
    assert desk.balance("platform.revenue.fx_margin", "USD") == -149
    assert prove(connection).is_clean


def test_p36_a_fill_of_the_funding_is_paid_by_the_processor(connection: Connection) -> None:
    """100.00 EUR at the processor filled at 1.0967: 109.67 USD; 1.65 of margin less 0.33."""
    desk = Desk(connection)
    conversion_id = stand_conversion(desk, 10_000, 10_835, 165, rail="simulated")

    filled = desk.fill(conversion_id, 10_967)

    assert filled.is_done
    assert desk.balance("custody.processor_available", "EUR", "simulated") == 0
    assert desk.balance("custody.bank", "USD") == 10_967
    assert desk.balance("custody.fx", "EUR") == desk.balance("custody.fx", "USD") == 0
    assert desk.balance("custody.due_to_platform", "USD") == -132
    assert desk.balance("platform.expense.fx", "USD") == 33
    assert desk.balance("platform.revenue.fx_margin", "USD") == -165
    assert prove(connection).is_clean


@pytest.mark.parametrize(
    ("sold", "bought", "amount", "rate", "gives"),
    [
        ("EUR", "JPY", 12_345, Fraction("158.0925"), 19_517),
        ("JPY", "EUR", 19_517, Fraction("0.0061370717"), 11_978),
        ("KWD", "JPY", 1_000, Fraction("467.5218098477"), 468),
        ("JPY", "KWD", 50_000, Fraction("0.0020752508"), 103_763),
        ("EUR", "KWD", 9_999, Fraction("0.3330777500"), 33_304),
        ("KWD", "EUR", 33_304, Fraction("2.9129084725"), 9_701),
    ],
)
def test_pairs_of_no_two_and_three_decimals_come_out_to_the_unit(
    connection: Connection, sold: str, bought: str, amount: int, rate: Fraction, gives: int
) -> None:
    """Each customer's rate is its own mid less 1.5 %, direct; buying back is never better."""
    desk = Desk(connection)
    desk.earn(amount, sold)

    quoted = desk.quote(amount, sold, bought)
    made = desk.convert(quoted.facts["quote_id"])
    filled = desk.fill(made.facts["conversion_id"], gives + 1)

    found = store_fx.find_conversions(connection, [UUID(made.facts["conversion_id"])])
    (conversion,) = found.values()
    assert (conversion.rate, conversion.bought_minor) == (rate, gives)
    assert filled.is_done
    assert desk.balance("custody.fx", sold) == desk.balance("custody.fx", bought) == 0
    back = desk.quote(gives, bought, sold)
    assert store_fx_quotes.find_quotes(connection, [UUID(back.facts["quote_id"])])
    assert minor(connection, back.facts["quote_id"]) <= amount
    assert prove(connection).is_clean


def minor(connection: Connection, quote_id: str) -> int:
    (quote,) = store_fx_quotes.find_quotes(connection, [UUID(quote_id)]).values()
    return quote.bought_minor


def test_a_fixed_bought_side_is_bought_to_the_unit_for_the_least(connection: Connection) -> None:
    """Of all amounts that buy 100.00 USD the quote sells the smallest."""
    desk = Desk(connection)

    quoted = desk.quote(10_000, fixed=FixedSide.BUY)

    assert quoted.facts["bought"]["amount"] == "100.00"
    assert quoted.facts["sold"]["amount"] == "92.29"


def used(desk: Desk) -> str:
    quoted = desk.quote(1_000)
    assert desk.convert(quoted.facts["quote_id"]).is_done
    return str(quoted.facts["quote_id"])


def ended(desk: Desk) -> str:
    quoted = desk.quote(1_000)
    desk.later(minutes=15)
    return str(quoted.facts["quote_id"])


def anothers(desk: Desk) -> str:
    other = Desk.__new__(Desk)
    other.__dict__.update(desk.__dict__)
    quoted = desk.quote(1_000)
    desk.payee = person(new_id())
    return str(quoted.facts["quote_id"])


def short(desk: Desk) -> str:
    return str(desk.quote(1_000_000).facts["quote_id"])


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (used, "fx.quote_used"),
        (ended, "fx.quote_expired"),
        (anothers, "fx.unknown_quote"),
        (lambda _: str(new_id()), "fx.unknown_quote"),
        (short, "ledger.insufficient_funds"),
    ],
)
def test_a_conversion_that_is_refused_writes_nothing(
    connection: Connection, prepare: Callable[[Desk], str], code: str
) -> None:
    """A quote used twice, one that has ended, one of another, none: each by its own code."""
    desk = Desk(connection)
    desk.earn(10_000, "EUR")
    quote_id = prepare(desk)
    before = rows(connection)

    refused = desk.convert(quote_id)

    assert refused.code == code
    assert rows(connection) == before


@pytest.mark.parametrize(
    ("sold", "bought", "days", "code"),
    [
        ("EUR", "USD", 5, "fx.stale_rate"),
        ("EUR", "XOF", 0, "fx.no_rate"),
        ("IDR", "BHD", 0, "fx.zero_rate"),
        ("EUR", "EUR", 0, "fx.same_currency"),
        ("JPY", "ZZZ", 0, "money.unknown_currency"),
    ],
)
def test_a_quote_that_is_refused_writes_nothing(
    connection: Connection, sold: str, bought: str, days: int, code: str
) -> None:
    """A stale rate, no rate, a rate of zero: each by its own code."""
    desk = Desk(connection)
    stand_rates(connection, START.date(), {"IDR": "9999999999", "BHD": "0.4"})
    desk.later(days=days)
    before = rows(connection)

    refused = desk.quote(1_000, sold, bought)

    assert refused.code == code
    assert rows(connection) == before


def test_the_customers_share_too_small_to_buy_anything_is_refused(connection: Connection) -> None:
    """One yen buys no cent of a euro at this rate but half a cent more does."""
    desk = Desk(connection)

    assert desk.quote(1, "IDR", "EUR").code in {"fx.too_small", "fx.no_rate"}
    assert desk.quote(1, "JPY", "EUR").code == "fx.too_small"
    assert desk.quote(2, "JPY", "EUR").is_done


def test_a_limit_of_what_stands_open_is_kept(connection: Connection) -> None:
    """With 100.00 USD open at most, 108.35 are not promised; 54.18 are, once."""
    desk = Desk(connection, replace(USUAL, limits={"USD": 10_000}))
    desk.earn(10_000, "EUR")

    assert desk.quote(10_000).code == "fx.over_limit"
    first = desk.quote(5_000)
    assert desk.convert(first.facts["quote_id"]).is_done
    assert desk.quote(5_000).code == "fx.over_limit"
    (euro, dollar) = exposure(connection)
    assert (euro.open_minor, dollar.open_minor, dollar.limit_minor) == (-5_000, 5_418, 10_000)
    assert euro.is_explained
    assert dollar.is_explained
    assert dollar.age(desk.now + timedelta(hours=2)) == timedelta(hours=2)


def test_a_quote_ends_by_its_clock(connection: Connection) -> None:
    """The timer ends an open quote; a used one has none."""
    desk = Desk(connection)
    desk.earn(1_000, "EUR")
    quoted, other = desk.quote(1_000), desk.quote(1_000)
    assert desk.convert(other.facts["quote_id"]).is_done
    subjects = [f"fx_quote:{each.facts['quote_id']}" for each in (quoted, other)]
    assert [each.subject for each in timers.list_of(connection, subjects)] == subjects[:1]
    desk.later(minutes=15)

    due = DueTimer(desk.now, subjects[0], QUOTE_EXPIRY, 1)
    assert HANDLERS[QUOTE_EXPIRY](connection, [due], desk.now) == 1

    assert desk.convert(quoted.facts["quote_id"]).code == "fx.quote_expired"


def test_a_fill_is_booked_once_whoever_tells_of_it(connection: Connection) -> None:
    """The same reference again is answered the same; another amount, or another fill, is not."""
    desk = Desk(connection)
    conversion_id = stand_conversion(desk, 9_000, 9_752, 149, rail="")
    second = stand_conversion(desk, 9_000, 9_752, 149, rail="")
    first = desk.fill(conversion_id, 9_870)
    before = rows(connection)

    again = desk.fill(conversion_id, 9_870)
    codes = [
        desk.fill(conversion_id, 9_871).code,
        desk.fill(second, 9_870).code,
        desk.fill(conversion_id, 9_870, ref="f-2").code,
        desk.fill(str(new_id()), 9_870, ref="f-3").code,
        desk.fill(second, 0, ref="f-4").code,
    ]

    assert again.facts["fill"] == first.facts["fill"]
    assert codes == [
        "fx.fill_taken",
        "fx.fill_taken",
        "fx.already_filled",
        "fx.unknown_conversion",
        "money.not_positive",
    ]
    assert rows(connection) == before


def test_realised_margin_and_loss_are_what_rates_alone_say(connection: Connection) -> None:
    """Recomputed from the mid rates and the fills, with none of our maths of exchange."""
    desk = Desk(connection)
    trades = [(4_321, "EUR", "USD"), (98_765, "EUR", "USD"), (1, "EUR", "USD"), (777, "GBP", "USD")]
    expected_margin = expected_gap = 0
    for number, (amount, sold, bought) in enumerate(trades):
        desk.earn(amount, sold)
        made = desk.convert(desk.quote(amount, sold, bought).facts["quote_id"])
        mid = Fraction("1.1") if sold == "EUR" else Fraction("1.2941176471")
        filled = int(amount * mid * Fraction("0.997") + Fraction(1, 2))
        assert desk.fill(made.facts["conversion_id"], filled, ref=f"f-{number}").is_done
        customer = Fraction(int(mid * Fraction("0.985") * 10**10 + Fraction(1, 2)), 10**10)
        expected_margin += int(amount * (mid - customer) + Fraction(1, 2))
        expected_gap += filled - int(amount * customer + Fraction(1, 2))

    assert -desk.balance("platform.revenue.fx_margin", "USD") == expected_margin
    assert desk.balance("platform.expense.fx", "USD") == expected_margin - expected_gap
    for one, other in MIRRORS:
        assert kind_balances(connection, one).get("USD", 0) == -kind_balances(
            connection, other
        ).get("USD", 0)
    assert exposure(connection) == []


def test_two_users_of_one_quote_at_once_one_wins(own_engine: Engine, tenant: Tenant) -> None:
    """The second waits for the first, and finds the quote used."""
    with transaction(own_engine, tenant) as connection:
        desk = Desk(connection)
        desk.earn(2_000, "EUR")
        quote_id = desk.quote(1_000).facts["quote_id"]

    def use() -> str:
        with transaction(own_engine, tenant) as connection:
            mine = Desk.__new__(Desk)
            mine.__dict__.update(desk.__dict__ | {"connection": connection})
            return mine.convert(quote_id).code

    with ThreadPoolExecutor(2) as pool:
        codes = sorted(each.result() for each in [pool.submit(use), pool.submit(use)])

    assert codes == ["done", "fx.quote_used"]
    with transaction(own_engine, tenant) as connection:
        assert len(store_fx.list_open(connection, after=None, limit=10)) == 1


def test_a_policy_takes_two_people_and_its_margin_is_of_its_pair(connection: Connection) -> None:
    """Who prepared it may not approve it; a pair of its own has its own margin."""
    desk = Desk(connection, Policy(margin_bps=100, margins={("EUR", "JPY"): 250}))

    assert desk.quote(1_000).facts["margin_bps"] == 100
    assert desk.quote(1_000, "EUR", "JPY").facts["margin_bps"] == 250
    assert desk.quote(100_000, "JPY", "EUR").facts["margin_bps"] == 100
