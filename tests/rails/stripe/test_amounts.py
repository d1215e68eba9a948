"""Stripe's minor units: right by its own table, exact both ways, and never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import RailTrouble
from kernel.money import EXPONENTS
from rails.refusals import AmountNotPossible, CurrencyNotTaken
from rails.stripe.amounts import decimals_of, to_ours, to_stripe


@pytest.mark.parametrize(
    ("amount_minor", "currency", "sent"),
    [
        (10_300, "EUR", 10_300),
        (500, "JPY", 500),
        (5_000, "KRW", 5_000),
        (5_120, "KWD", 5_120),
        (5, "ISK", 500),
        (5, "UGX", 500),
        (500, "MGA", 5),
        (1_045, "HUF", 1_045),
    ],
)
def test_amounts_are_counted_as_stripe_counts_them(
    amount_minor: int, currency: str, sent: int
) -> None:
    """Without decimals, with three, in hundredths by habit; and the same back."""
    assert to_stripe(amount_minor, currency) == sent
    assert to_ours(sent, currency.lower()) == amount_minor
    assert to_ours(-sent, currency.lower()) == -amount_minor


@pytest.mark.parametrize(
    ("amount_minor", "currency", "is_payout"),
    [
        (5_124, "KWD", False),
        (550, "MGA", False),
        (1_045, "HUF", True),
        (150, "TWD", True),
        (0, "EUR", False),
        (-1, "EUR", False),
    ],
)
def test_what_stripe_cannot_move_is_refused(
    amount_minor: int, currency: str, *, is_payout: bool
) -> None:
    """Nothing is rounded: an amount between two steps is refused."""
    with pytest.raises(AmountNotPossible):
        to_stripe(amount_minor, currency, is_payout=is_payout)


@pytest.mark.parametrize("currency", ["IQD", "LYD", "CLF", "UYI"])
def test_a_currency_that_is_not_in_the_table_is_refused(currency: str) -> None:
    """Where Stripe's decimals are not known for sure, nothing is sent."""
    with pytest.raises(CurrencyNotTaken):
        decimals_of(currency)


def test_a_part_of_the_smallest_unit_is_trouble() -> None:
    """Half a krona cannot be kept in our books, and is not rounded away."""
    with pytest.raises(RailTrouble):
        to_ours(12_350, "isk")


@given(st.integers(min_value=1, max_value=10**13), st.sampled_from(sorted(EXPONENTS)))
def test_what_is_sent_comes_back_the_same(amount_minor: int, currency: str) -> None:
    """Every amount that is sent is the same amount when Stripe tells of it."""
    try:
        sent = to_stripe(amount_minor, currency)
    except (AmountNotPossible, CurrencyNotTaken):
        return

    assert to_ours(sent, currency) == amount_minor
