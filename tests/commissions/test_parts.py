"""A commission part by part is the commission, for any tariff and history."""

from random import Random

import pytest

from commissions.maths import Before, fee
from commissions.maths_parts import Part, What, parts
from tests.commissions.deals import PAIR_BANDS, draw, tariff


@pytest.mark.parametrize("seed", range(20))
def test_the_parts_sum_to_the_fee(seed: int) -> None:
    """Whatever bounds apply; and the bands' money sums to the payment."""
    random = Random(seed)
    for _ in range(500):
        given = draw(random)
        before = Before(random.randint(0, 250_000), random.randint(0, 20_000))
        amount = random.choice((0, 1, random.randint(1, 300_000)))

        found = parts(given, amount, before)

        assert sum(part.fee_minor for part in found) == fee(given, amount, before)
        assert sum(part.on_minor for part in found) == amount


def test_a_payment_across_a_band_has_both() -> None:
    """450.00 billed, then 100.00: 50.00 at 20 % and 50.00 at 10 %."""
    assert parts(PAIR_BANDS, 10_000, Before(45_000)) == (
        Part(What.BAND, 1_000, 2_000, 5_000, 0, 50_000),
        Part(What.BAND, 500, 1_000, 5_000, 50_000, 1_000_000),
    )


def test_bounds_are_parts_of_their_own() -> None:
    """Plus 0.30, at least 1.00, at most 2.00, and 0.50 is left of the month."""
    given = tariff((None, 1_000), per_transaction_minor=30, floor_minor=100, cap_minor=200)
    month = tariff((None, 1_000), cap_month_minor=500)

    assert [(p.what, p.fee_minor) for p in parts(given, 100)] == [
        (What.BAND, 10),
        (What.PER_TRANSACTION, 30),
        (What.FLOOR, 60),
    ]
    assert [(p.what, p.fee_minor) for p in parts(given, 10_000)] == [
        (What.BAND, 1_000),
        (What.PER_TRANSACTION, 30),
        (What.CAP, -830),
    ]
    assert [(p.what, p.fee_minor) for p in parts(month, 10_000, Before(0, 450))] == [
        (What.BAND, 1_000),
        (What.CAP_MONTH, -950),
    ]
