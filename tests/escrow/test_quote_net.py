"""What must be paid for a net: held against trying every amount, in all kinds of schedules."""

from dataclasses import replace
from datetime import date
from fractions import Fraction
from random import Random
from uuid import UUID

import pytest

from commissions.maths import NetOutOfReach
from commissions.model import Band, Tariff
from escrow.model_price import Exchange, Pair, Price
from escrow.rules_price import charge
from escrow.rules_quote_net import gross_for_net
from kernel.money import MAX_MINOR
from rails.rates.model import Rate
from tax.model_vat import Decision, Treatment

MONTH = date(2026, 3, 1)
LIMIT = 1_200
"""Every amount up to this is tried."""

RATES = (0, 1, 500, 1_000, 3_333, 5_000, 8_000, 8_333, 8_334, 9_000, 9_999, 10_000)
TAXES = (0, 500, 1_900, 2_000, 2_500, 2_550, 10_000, 20_000)


def tariff(random: Random, currency: str) -> Tariff:
    """Bands near to each other, with rates at which all of a further unit is ours."""
    ends = sorted(random.sample(range(1, 900), random.choice((0, 1, 2, 5, 19))))
    bands = [Band(end, random.choice(RATES)) for end in ends] + [Band(None, random.choice(RATES))]
    floor = random.choice((0, 0, random.randint(0, 90)))
    return Tariff(
        currency,
        tuple(bands),
        per_transaction_minor=random.choice((0, random.randint(0, 60))),
        floor_minor=floor,
        cap_minor=random.choice((None, floor + random.randint(0, 300))),
        cap_month_minor=random.choice((None, random.randint(0, 500))),
    )


def price(random: Random, currency: str) -> Price:
    """A price with any of its parts; what the pair had before lies in its bands too."""
    tax = Decision(Treatment.DOMESTIC, "DE", random.choice(TAXES), "", "domestic", None)
    return Price(
        pair=Pair(
            UUID(int=1),
            UUID(int=2),
            currency,
            random.choice((0, random.randint(0, 900))),
            MONTH,
            random.randint(0, 300),
        ),
        tariff=tariff(random, currency),
        month=MONTH,
        promoted=random.choice((None, tariff(random, currency))),
        tax=random.choice((None, tax)),
    )


def nets(given: Price) -> list[int]:
    """What every amount leaves, from nothing on."""
    return [0] + [
        charge(given, amount, fee_earned_minor=0, strict=True).net_minor
        for amount in range(1, LIMIT + 1)
    ]


@pytest.mark.parametrize("currency", ["JPY", "EUR", "KWD"])
def test_the_least_amount_is_found_in_all_kinds_of_schedules(currency: str) -> None:
    """Every net that an amount up to the limit leaves is answered by the first that does."""
    random = Random(f"net {currency}")
    for _ in range(60):
        given = price(random, currency)
        least: dict[int, int] = {}
        for amount, net in enumerate(nets(given)):
            for reached in range(len(least) + 1, net + 1):
                least[reached] = amount
        asked = random.sample(sorted(least), min(len(least), 12))
        for net in asked:
            assert gross_for_net(given, net) == least[net], (given, net)
        beyond = len(least) + 1
        try:
            found = gross_for_net(given, beyond)
        except NetOutOfReach:
            continue
        assert found > LIMIT, (given, beyond)
        assert charge(given, found, fee_earned_minor=0, strict=True).net_minor >= beyond


def test_a_net_that_falls_before_it_rises_again_is_found_at_its_first_height() -> None:
    """Ninety in a hundred and VAT of 20 % take more than a unit of each; then a cap is reached."""
    dear = Tariff("EUR", (Band(50_000, 0), Band(None, 9_000)), cap_minor=90_000)
    tax = Decision(Treatment.DOMESTIC, "DE", 2_000, "", "domestic", None)
    given = Price(pair=_pair(), tariff=dear, month=MONTH, tax=tax)

    assert gross_for_net(given, 50_000) == 50_000
    # 500.01 is left only once the cap is long reached: 900.00 and its tax, 1,080.00, on top.
    assert gross_for_net(given, 50_001) == 50_001 + 108_000


def test_where_nearly_all_is_ours_the_answer_is_enough_and_a_unit_less_is_not() -> None:
    """99.99 % leave a hundredth of a percent: 1.00 needs thousands, and no step is too many."""
    steep = Tariff("EUR", (Band(None, 9_999),))
    given = Price(pair=_pair(), tariff=steep, month=MONTH)

    found = gross_for_net(given, 100)

    def left(amount: int) -> int:
        return charge(given, amount, fee_earned_minor=0, strict=True).net_minor

    assert left(found) == 100
    assert left(found - 1) == 99


def test_a_net_in_another_currency_is_the_least_too() -> None:
    """Through the exchange: one minor unit less does not buy it."""
    mid = Rate("ecb", "EUR", "JPY", Fraction(161), MONTH)
    exchange = Exchange(mid, mid.rate, 0)
    plain = Price(pair=_pair(), tariff=Tariff("EUR", (Band(None, 1_000),)), month=MONTH)
    given = replace(plain, exchange=exchange)

    for net in (1, 7, 100, 12_345):
        found = gross_for_net(given, net)
        paid = [
            charge(given, amount, fee_earned_minor=0, strict=False).paid_minor or 0
            for amount in (found - 1, found)
        ]
        assert paid[0] < net <= paid[1]


@pytest.mark.parametrize("net", [0, -1, MAX_MINOR + 1])
def test_no_such_net_is_promised(net: int) -> None:
    """Nothing, less, or more than we keep books of."""
    with pytest.raises(NetOutOfReach):
        gross_for_net(Price(pair=_pair(), tariff=Tariff("EUR", (Band(None, 0),)), month=MONTH), net)


def test_what_is_all_ours_leaves_nothing() -> None:
    """A hundred in a hundred: no amount will do."""
    all_ours = Price(pair=_pair(), tariff=Tariff("EUR", (Band(None, 10_000),)), month=MONTH)
    with pytest.raises(NetOutOfReach):
        gross_for_net(all_ours, 1)


def _pair() -> Pair:
    return Pair(UUID(int=1), UUID(int=2), "EUR", 0, MONTH, 0)
