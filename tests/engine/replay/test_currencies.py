"""In which currency a client pays: his country's, where the central bank has a rate of it."""

from collections import Counter
from datetime import date
from fractions import Fraction

import pytest

from engine.replay.countries import CODES
from engine.replay.currencies import BY_COUNTRY, DOLLARS, Local, currency_of, local_of
from engine.replay.deals import LEAST_MINOR, milestone_amounts
from engine.replay.dice import Dice
from kernel.money import EXPONENTS
from rails.rates import ecb
from rails.rates.fixed import FixedRates
from rails.rates.model import Rate

DAY = date(2022, 11, 8)


@pytest.mark.parametrize(
    ("country", "currency"),
    [
        *(("Germany", "EUR"), ("DE", "EUR"), ("Croatia", "EUR"), ("Japan", "JPY")),
        *(("United Kingdom", "GBP"), ("United States", "USD"), ("Kuwait", "USD")),
        *(("", "USD"), ("Atlantis", "USD")),
    ],
)
def test_a_client_pays_in_the_currency_of_his_country(country: str, currency: str) -> None:
    """Named in English or by code; where there is no rate, or no country, in dollars."""
    assert currency_of(country) == currency


def test_every_currency_is_one_of_the_banks_for_all_the_years() -> None:
    """So that no contract is left without a rate in the middle of its life."""
    rates = ecb.packaged()

    assert set(BY_COUNTRY) <= set(CODES.values())
    assert set(BY_COUNTRY.values()) <= rates.currencies(DAY) & rates.currencies(date(2026, 1, 2))
    assert set(BY_COUNTRY.values()) <= set(EXPONENTS)


def test_dollars_are_changed_at_the_rate_of_the_day() -> None:
    """To the minor unit, half up; the least is one of them."""
    rates = FixedRates([Rate("fixed", "USD", "JPY", Fraction(146), DAY)])
    yen = local_of(rates, "JPY", DAY)

    assert yen == Local("JPY", Fraction(146))
    assert [yen.of(cents) for cents in (10_000, 50, 1)] == [14_600, 73, 1]
    assert Local("EUR", Fraction(1, 3)).of(1) == 1


@pytest.mark.parametrize("source", [None, FixedRates([])])
def test_without_a_rate_a_deal_is_in_dollars(source: FixedRates | None) -> None:
    """Whether nobody has a rate or nobody was asked."""
    assert local_of(source, "JPY", DAY) is DOLLARS


def test_a_budget_is_split_alike_in_every_currency() -> None:
    """As many milestones as in dollars, and they sum to the budget in the client's currency."""
    counts = Counter[int]()
    for local in (DOLLARS, Local("JPY", Fraction(146)), Local("KWD", Fraction(3, 10))):
        parts = milestone_amounts(
            Dice(1, "job"), budget_minor=50 * LEAST_MINOR, duration="1 to 3 months", local=local
        )
        counts[len(parts)] += 1
        assert sum(parts) == local.of(50 * LEAST_MINOR)

    assert len(counts) == 1
