"""Fees to the cent: the worked figures by number, and what must hold for any tariff."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commissions.maths import (
    Before,
    NetOutOfReach,
    fee,
    fee_of_period,
    fee_with_promotion,
    gross_for_net,
    unwind,
)
from commissions.model import Band, Mode, Tariff
from kernel.money import MAX_MINOR, allocate
from tests.commissions.deals import PAIR_BANDS, plain_fee, tariff

AMOUNTS = st.integers(0, 2_000_000)


@st.composite
def tariffs(draw: st.DrawFn, *, plain: bool = False) -> Tariff:
    ends = sorted(draw(st.sets(st.integers(1, 1_000_000), max_size=19)))
    rates = st.integers(0, 10_000)
    bands = tuple(Band(end, draw(rates)) for end in [*ends, None])
    if plain:
        return Tariff("EUR", bands)
    floor = draw(st.integers(0, 500))
    return Tariff(
        "EUR",
        bands,
        per_transaction_minor=draw(st.integers(0, 300)),
        floor_minor=floor,
        cap_minor=draw(st.none() | st.integers(floor, floor + 5_000)),
        cap_month_minor=draw(st.none() | st.integers(0, 20_000)),
    )


def test_edge_22_a_boundary_inside_one_payment() -> None:
    """450 billed, then 100: half at 20 %, half at 10 %."""
    assert fee(PAIR_BANDS, 10_000, Before(45_000)) == 1_500


def test_edge_23_two_payments_over_a_boundary_cost_the_same_in_either_order() -> None:
    """Whoever commits first, the pair's total is F."""
    for first, second in ((30_000, 45_000), (45_000, 30_000)):
        paid = fee(PAIR_BANDS, first) + fee(PAIR_BANDS, second, Before(first))
        assert paid == fee(PAIR_BANDS, 75_000) == 12_500


def test_edge_24_a_refund_leaves_other_payments_their_fees() -> None:
    """600 then 100; 200 of the first come back: its own top bands, and the second keeps its fee."""
    second = fee(PAIR_BANDS, 10_000, Before(60_000))
    assert unwind(PAIR_BANDS, 60_000, Before(), returned_minor=20_000) == 3_000
    assert fee(PAIR_BANDS, 10_000, Before(60_000)) == second == 1_000
    # L falls to 500.00: what comes next begins there.
    assert fee(PAIR_BANDS, 10_000, Before(50_000)) == 1_000
    assert fee(PAIR_BANDS, 10_000, Before(40_000)) == 2_000


def test_the_worked_figures_of_the_rules() -> None:
    """domain/escrow.md 3.3: 600 costs 110; three of 33.33 at 12.5 %; the cliff of whole tiers."""
    assert fee(PAIR_BANDS, 60_000) == 11_000
    eighth = tariff((None, 1_250))
    thirds = [fee(eighth, 3_333, Before(billed)) for billed in (0, 3_333, 6_666)]
    assert thirds == [417, 416, 417]
    assert sum(thirds) == 1_250
    assert fee(eighth, 3_333) * 3 == 1_251
    cliff = tariff((50_000, 2_000), (None, 1_000))
    assert fee_of_period(cliff, Mode.WHOLE_AMOUNT, 50_000) == 10_000
    assert fee_of_period(cliff, Mode.WHOLE_AMOUNT, 50_001) == 5_000
    assert fee_of_period(cliff, Mode.MARGINAL, 50_001) == 10_000


@pytest.mark.parametrize(
    ("currency", "amount", "shares"),
    [("JPY", 1_001, [701, 300]), ("KWD", 1_001, [701, 300]), ("EUR", 1_001, [701, 300])],
)
def test_edges_19_and_20_the_minor_unit_is_the_currency_s_own(
    currency: str, amount: int, shares: list[int]
) -> None:
    """70/30 of 1,001 minor units by largest remainder, and a fee on each, in any exponent."""
    assert allocate(amount, [70, 30]) == shares
    tenth = tariff((None, 1_000), currency=currency)
    first, second = shares
    assert fee(tenth, first) + fee(tenth, second, Before(first)) == fee(tenth, amount) == 100


def test_floor_cap_and_the_month() -> None:
    """The order of rule 4; a floor never takes more than the amount."""
    priced = tariff(
        (None, 1_000),
        per_transaction_minor=30,
        floor_minor=99,
        cap_minor=1_000,
        cap_month_minor=1_500,
    )
    assert fee(priced, 50) == 50
    assert fee(priced, 500) == 99
    assert fee(priced, 5_000) == 530
    assert fee(priced, 50_000) == 1_000
    assert fee(priced, 50_000, Before(50_000, 1_000)) == 500
    assert fee(priced, 50_000, Before(100_000, 1_500)) == 0
    # The part per transaction and the floor go back with the last cent alone.
    assert unwind(priced, 5_000, Before(), returned_minor=4_999) == 530 - 1
    assert unwind(priced, 5_000, Before(), returned_minor=5_000) == 530


def test_a_promotion_only_lowers() -> None:
    """Half the rate, and a promoted tariff that is dearer changes nothing."""
    assert fee_with_promotion(PAIR_BANDS, 10_000, promoted=tariff((None, 500))) == (500, 1_500)
    assert fee_with_promotion(PAIR_BANDS, 10_000, promoted=tariff((None, 3_000))) == (2_000, 0)


def test_a_net_beyond_all_books_is_refused() -> None:
    """All goes to us: nothing is left to promise."""
    with pytest.raises(NetOutOfReach):
        gross_for_net(tariff((None, 10_000)), 1)


@given(tariffs(), AMOUNTS, AMOUNTS, st.integers(0, 30_000))
def test_the_fee_is_that_of_the_plain_rules(
    priced: Tariff, amount: int, billed: int, charged: int
) -> None:
    """Fractions and a walk over the bands come to the same cent; it is never above the amount."""
    found = fee(priced, amount, Before(billed, charged))

    assert found == plain_fee(priced, amount, billed_minor=billed, charged_month_minor=charged)
    assert 0 <= found <= amount


@given(tariffs(plain=True), AMOUNTS, st.lists(st.integers(0, 300_000), max_size=8), st.randoms())
def test_a_split_payment_costs_what_the_whole_does(
    priced: Tariff, billed: int, parts: list[int], random: Random
) -> None:
    """In any order, the parts' fees add up to the fee of their sum."""
    whole = fee(priced, sum(parts), Before(billed))
    random.shuffle(parts)
    paid, so_far = 0, billed
    for part in parts:
        paid += fee(priced, part, Before(so_far))
        so_far += part

    assert paid == whole


@given(tariffs(), AMOUNTS, AMOUNTS, st.lists(st.integers(0, 400_000), max_size=6))
def test_refunds_give_back_the_whole_fee_in_any_parts(
    priced: Tariff, amount: int, billed: int, parts: list[int]
) -> None:
    """What is kept is always the fee of what was not returned; nothing is given back twice."""
    before, gone, kept_fee = Before(billed), 0, fee(priced, amount, Before(billed))
    for part in [*parts, amount]:
        back = min(part, amount - gone)
        given_back = unwind(priced, amount, before, returned_minor=back, returned_before_minor=gone)
        gone += back
        kept_fee -= given_back
        assert given_back >= 0
        assert kept_fee == fee(priced, amount - gone, before)
    assert kept_fee == 0


@given(tariffs(), st.integers(1, 1_000_000), AMOUNTS)
def test_a_promised_net_is_reached_with_the_least_amount(
    priced: Tariff, net: int, billed: int
) -> None:
    """One minor unit less would not do; where nothing would, it is refused."""
    before = Before(billed)
    try:
        gross = gross_for_net(priced, net, before)
    except NetOutOfReach:
        assert MAX_MINOR - fee(priced, MAX_MINOR, before) < net
        return

    assert gross - fee(priced, gross, before) == net
    assert (gross - 1) - fee(priced, gross - 1, before) < net
