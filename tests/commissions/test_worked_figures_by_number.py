"""The worked figures of domain/escrow.md section 3, to the cent, and which test holds each.

A figure is named by its part and what it says; FIGURES names its tests as `folder/file::function`
under `tests/`. Whoever renames or drops one learns which figure it held.
"""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final
from uuid import UUID

import moneyed
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commissions.maths import (
    Before,
    fee,
    fee_of_period,
    fee_with_promotion,
    gross_for_net,
    unwind,
)
from commissions.maths_fx import bought_for, check_fresh, customer_rate, margin, share_gap
from commissions.model import Mode
from commissions.model_fx import ConvertAt
from escrow.movements import p14_refund
from kernel.errors import Refusal
from kernel.money import allocate, convert, exponent, from_money, share_bps, to_money
from ledger.model import Book
from rails.rates.model import Rate, rounded
from tests.commissions.deals import PAIR_BANDS, tariff
from tests.escrow.test_edge_cases_by_number import missing

HERE: Final = "commissions/test_worked_figures_by_number.py"

FIGURES: Final = {
    "3.1 bands: 20 % to 500, 10 % to 10,000, 5 % above; 600 costs 110": f"""
        {HERE}::test_600_costs_110
        {HERE}::test_every_edge_of_the_bands
    """,
    "3.1 all kinds of contract share one lifetime; fees of processing do not count": f"""
        {HERE}::test_the_parts_of_any_kind_add_up
    """,
    "3.1 refunds reduce what was billed": f"{HERE}::test_a_refund_lowers_what_comes_next",
    "3.1 the client's fee goes back if nothing was released": f"""
        {HERE}::test_unreleased_money_goes_back_with_the_client_s_fee
    """,
    "3.3.2 450 billed, then 100: 15.00": f"{HERE}::test_450_then_100_cost_15",
    "3.3.2 33.33 three times at 12.5 %: 4.17 + 4.16 + 4.17 = 12.50, not 12.51": f"""
        {HERE}::test_three_times_33_33
    """,
    "3.3.3 whole tiers: 100.00 at 500.00, 50.00 at 500.01": f"{HERE}::test_the_cliff",
    "3.3.4 bands, flat part, floor, cap, promotion, tax": f"""
        {HERE}::test_the_order_of_the_parts
        {HERE}::test_a_floor_is_never_above_the_amount
        {HERE}::test_a_month_s_cap_is_shared_by_its_payments
    """,
    "3.3.5 on top, out of it, and a net guaranteed": f"""
        {HERE}::test_on_top_and_out_of_it
        {HERE}::test_a_guaranteed_net_is_found_by_search
    """,
    "3.3.6 10,000 over three; 70:30 of 1,001": f"""
        {HERE}::test_a_split_by_the_largest_remainder
    """,
    "3.3.6 py-moneyed's roundings do not touch us": f"""
        {HERE}::test_what_moneyed_rounds_never_touches_us
    """,
    "3.3.7 200 back from 600: 30.00, and the fee of 400 stays": f"""
        {HERE}::test_200_back_from_600_are_30
        {HERE}::test_other_payments_keep_their_fees
        {HERE}::test_the_flat_part_goes_back_with_the_last_of_it
    """,
    "3.3.8 disputes, chargebacks and protected hours": """
        escrow/test_postings_by_number.py::test_posting_to_the_minor_unit
        escrow/test_dispute_movements.py::test_p13
        escrow/test_hourly_stories.py::test_a_client_who_never_pays_is_written_off_by_two
    """,
    "3.4 1.1000 at 1.5 %: 1.0835, directly and not by the reciprocal": f"""
        {HERE}::test_the_customer_s_rate
    """,
    "3.4 half up in the bought currency, whatever its decimals": f"""
        {HERE}::test_what_is_bought_is_rounded_in_its_own_unit
    """,
    "3.4 buying back is never better": f"{HERE}::test_buying_back_is_never_better",
    "3.4 a rate is three business days old at most": f"""
        {HERE}::test_how_old_a_rate_may_be
    """,
    "3.4 P33 to P36: 97.52, and 1.18 = 1.49 - 0.31": f"""
        {HERE}::test_the_gap_is_1_49_less_0_31
        {HERE}::test_the_gap_of_a_funding_is_1_65_less_0_33
        escrow/test_fx_movements.py::test_edge_35_p33_a_release_in_euros_pays_dollars
        escrow/test_fx_movements.py::test_p34_the_fill_empties_the_bridge_and_shares_the_gap
        escrow/test_fx_movements.py::test_edge_36_p35_and_p36_money_is_converted_when_it_comes
    """,
    "3.4 conversion at funding, release or payout": f"{HERE}::test_when_money_is_converted",
}

CURRENCIES: Final = ("JPY", "EUR", "KWD")


@pytest.mark.parametrize("figure", FIGURES)
def test_the_tests_of_a_figure_are_there(figure: str) -> None:
    """Each names tests that exist."""
    named = FIGURES[figure].split()

    assert named
    assert missing(named) == []


def test_every_part_of_the_section_is_here() -> None:
    """The eight rules of 3.3 but its first (the postings'), and 3.1 and 3.4; the list can fail."""
    parts = {figure.split()[0] for figure in FIGURES}

    assert parts == {"3.1", *(f"3.3.{rule}" for rule in range(2, 9)), "3.4"}
    assert missing([f"{HERE}::test_of_nothing", "commissions/test_gone.py"]) == [
        f"{HERE}::test_of_nothing",
        "commissions/test_gone.py",
    ]


def test_600_costs_110() -> None:
    """3.1: 500 at 20 % and 100 at 10 %."""
    assert fee(PAIR_BANDS, 60_000) == 11_000


@pytest.mark.parametrize(
    ("billed", "costs"),
    [
        (1, 0),
        (2, 0),
        (3, 1),
        (49_999, 10_000),
        (50_000, 10_000),
        (50_001, 10_000),
        (50_005, 10_001),
        (1_000_000, 105_000),
        (1_000_001, 105_000),
        (1_000_010, 105_001),
        (2_000_000, 155_000),
    ],
)
def test_every_edge_of_the_bands(billed: int, costs: int) -> None:
    """3.1: what each edge costs, and a unit to either side; half a cent rounds up."""
    assert fee(PAIR_BANDS, billed) == costs


@pytest.mark.parametrize("currency", CURRENCIES)
def test_the_parts_of_any_kind_add_up(currency: str) -> None:
    """3.1: a milestone, a week, a period and a tip of one pair cost what their sum does."""
    bands = tariff((50_000, 2_000), (1_000_000, 1_000), (None, 500), currency=currency)
    kinds = [30_001, 45_333, 3, 999_999]

    charged, billed = [], 0
    for amount in kinds:
        charged.append(fee(bands, amount, Before(billed)))
        billed += amount

    assert sum(charged) == fee(bands, sum(kinds))


def test_a_refund_lowers_what_comes_next() -> None:
    """3.1, 3.3.7: 600 billed and 200 refunded; the next 200 are priced from 400 on."""
    assert fee(PAIR_BANDS, 20_000, Before(60_000 - 20_000)) == 3_000
    assert fee(PAIR_BANDS, 20_000, Before(60_000)) == 2_000


def test_unreleased_money_goes_back_with_the_client_s_fee() -> None:
    """3.1, 3.3.1: nothing was released, so the fee was never ours: 103.00 go back, no revenue."""
    entries = p14_refund(
        slot_id=UUID(int=1),
        client_id=UUID(int=2),
        currency="EUR",
        refunds=((UUID(int=3), 10_300),),
        to_wallet_minor=0,
        fee_minor=300,
    )

    platform = {
        line.account.kind: line.amount_minor
        for entry in entries
        if entry.book is Book.PLATFORM
        for line in entry.lines
    }
    assert platform == {"platform.deferred_fees": 300, "platform.due_to_custody": -300}


def test_450_then_100_cost_15() -> None:
    """3.3.2: 50 at 20 % and 50 at 10 %."""
    assert fee(PAIR_BANDS, 10_000, Before(45_000)) == 1_500


@pytest.mark.parametrize("currency", CURRENCIES)
def test_three_times_33_33(currency: str) -> None:
    """3.3.2: 4.17 + 4.16 + 4.17; rounding each alone would take a cent more."""
    eighth = tariff((None, 1_250), currency=currency)

    thirds = [fee(eighth, 3_333, Before(billed)) for billed in (0, 3_333, 6_666)]

    assert thirds == [417, 416, 417]
    assert sum(thirds) == fee(eighth, 9_999) == 1_250
    assert 3 * share_bps(3_333, 1_250) == 1_251


def test_the_cliff() -> None:
    """3.3.3: one cent more leaves 50.01 more to the payee; marginal bands have no such step."""
    cliff = tariff((50_000, 2_000), (None, 1_000))

    assert fee_of_period(cliff, Mode.WHOLE_AMOUNT, 50_000) == 10_000
    assert fee_of_period(cliff, Mode.WHOLE_AMOUNT, 50_001) == 5_000
    assert fee_of_period(cliff, Mode.MARGINAL, 50_001) == 10_000
    # A payment is never priced by whole tiers, whatever comes before it.
    assert fee(cliff, 1, Before(50_000)) == 0


def test_the_order_of_the_parts() -> None:
    """3.3.4: bands 10.00, flat 0.30, floor 12.00, cap 11.00 (of another), promotion, tax 20 %."""
    bands = tariff((None, 1_000))
    flat = tariff((None, 1_000), per_transaction_minor=30)
    floored = tariff((None, 1_000), per_transaction_minor=30, floor_minor=1_200)
    capped = tariff((None, 1_000), per_transaction_minor=150, floor_minor=100, cap_minor=1_100)
    promoted = tariff((None, 500))

    assert fee(bands, 10_000) == 1_000
    assert fee(flat, 10_000) == 1_030
    assert fee(floored, 10_000) == 1_200
    assert fee(capped, 10_000) == 1_100
    # The promotion comes after floor and cap, the tax after all of them.
    assert fee_with_promotion(floored, 10_000, promoted=promoted) == (500, 700)
    assert share_bps(500, 2_000) == 100


def test_a_floor_is_never_above_the_amount() -> None:
    """3.3.4: a floor of 0.99 takes 0.50 of 0.50, and nothing of nothing."""
    floored = tariff((None, 1_000), floor_minor=99)

    assert [fee(floored, amount) for amount in (0, 1, 50, 99, 100, 990, 995)] == [
        0,
        1,
        50,
        99,
        99,
        99,
        100,
    ]


def test_a_month_s_cap_is_shared_by_its_payments() -> None:
    """3.3.4: 20.00 a month: 10.00, 10.00, then nothing, until the next month."""
    capped = tariff((None, 1_000), cap_month_minor=2_000)

    assert fee(capped, 10_000, Before(0, 0)) == 1_000
    assert fee(capped, 15_000, Before(10_000, 1_000)) == 1_000
    assert fee(capped, 15_000, Before(25_000, 2_000)) == 0
    assert fee(capped, 15_000, Before(40_000, 0)) == 1_500


def test_on_top_and_out_of_it() -> None:
    """3.3.5: the client pays x + c(x), the payee gets x - f(x)."""
    on_top, out_of_it = tariff((None, 300)), PAIR_BANDS

    assert 60_000 + fee(on_top, 60_000) == 61_800
    assert 60_000 - fee(out_of_it, 60_000) == 49_000


def test_a_guaranteed_net_is_found_by_search() -> None:
    """3.3.5: 490.00 net are 600.00; where rounding has no inverse, the least amount is taken."""
    assert gross_for_net(PAIR_BANDS, 49_000) == 60_000
    half = tariff((None, 5_000))
    # 1 and 2 leave 0 and 1; 3 leaves 1 as well: half a cent is ours.
    assert [amount - fee(half, amount) for amount in (1, 2, 3, 4)] == [0, 1, 1, 2]
    assert gross_for_net(half, 1) == 2


@pytest.mark.parametrize("currency", CURRENCIES)
def test_a_split_by_the_largest_remainder(currency: str) -> None:
    """3.3.6: ties go to the earlier part; the minor unit is the currency's own."""
    assert allocate(10_000, [1, 1, 1]) == [3_334, 3_333, 3_333]
    shares = allocate(1_001, [70, 30])
    assert shares == [701, 300]
    assert sum((to_money(each, currency) for each in shares), moneyed.Money(0, currency)) == (
        to_money(1_001, currency)
    )


def test_what_moneyed_rounds_never_touches_us() -> None:
    """3.3.6: the library's roundings are as they are said to be, and ours are others."""
    assert not hasattr(moneyed.Money, "allocate")
    assert moneyed.Money("10.5", "EUR").round() == moneyed.Money(10, "EUR")
    assert moneyed.Money("10.005", "EUR").get_amount_in_sub_unit() == 1_000
    third = moneyed.Money(10, "EUR") / 3
    assert isinstance(third, moneyed.Money)
    assert len(third.amount.as_tuple().digits) == 28

    with pytest.raises(Refusal) as refused:
        from_money(moneyed.Money("10.005", "EUR"))
    assert refused.value.code == "money.too_many_decimals"
    with pytest.raises(Refusal):
        from_money(third)
    assert from_money(moneyed.Money("10.005", "KWD")) == (10_005, "KWD")
    # 10.5 cents are 11: half up, and not to the even one.
    assert share_bps(105, 1_000) == 11


def test_200_back_from_600_are_30() -> None:
    """3.3.7: 100 at 10 % and 100 at 20 % come back; the fee of 400 stays, in any parts."""
    assert unwind(PAIR_BANDS, 60_000, Before(), returned_minor=20_000) == 3_000
    assert fee(PAIR_BANDS, 60_000) - 3_000 == fee(PAIR_BANDS, 40_000) == 8_000
    halves = [
        unwind(PAIR_BANDS, 60_000, Before(), returned_minor=10_000, returned_before_minor=gone)
        for gone in (0, 10_000)
    ]
    assert halves == [1_000, 2_000]


def test_other_payments_keep_their_fees() -> None:
    """3.3.7, edge 24: the refund of the first leaves the second's 10.00 as they are."""
    second = fee(PAIR_BANDS, 10_000, Before(60_000))
    assert second == 1_000

    assert unwind(PAIR_BANDS, 60_000, Before(), returned_minor=60_000) == 11_000
    # The second, too, comes back from its own bands, although 100 is all that is left.
    assert unwind(PAIR_BANDS, 10_000, Before(60_000), returned_minor=10_000) == second


def test_the_flat_part_goes_back_with_the_last_of_it() -> None:
    """3.3.7: 0.30 a payment stay while a cent of it does."""
    flat = tariff((None, 1_000), per_transaction_minor=30)

    assert unwind(flat, 10_000, Before(), returned_minor=9_000) == 900
    last = unwind(flat, 10_000, Before(), returned_minor=1_000, returned_before_minor=9_000)
    assert last == 130


MID: Final = Rate("ecb", "EUR", "USD", Fraction("1.1"), date(2026, 3, 2))
AT: Final = customer_rate(MID.rate, 150)


def test_the_customer_s_rate() -> None:
    """3.4: ten decimals, half up; the reciprocal way would be another rate."""
    assert Fraction("1.0835") == AT
    back = rounded(1 / MID.rate)
    assert back == Fraction("0.9090909091")
    assert customer_rate(back, 150) == Fraction("0.8954545455")
    assert customer_rate(back, 150) != rounded(1 / AT)
    assert rounded(Fraction(5, 10**11)) == Fraction(1, 10**10)
    assert rounded(Fraction(4, 10**11)) == 0


@pytest.mark.parametrize(
    ("bought", "rate", "comes_to"),
    [
        ("USD", "1.0835", 9_752),  # 97.515
        ("JPY", "162.05", 14_585),  # 14584.5
        ("KWD", "0.33395", 30_056),  # 30.0555
    ],
)
def test_what_is_bought_is_rounded_in_its_own_unit(bought: str, rate: str, comes_to: int) -> None:
    """3.4: half up in the bought currency: 90.00 EUR in cents, yen and fils."""
    mid = Rate("fixed", "EUR", bought, Fraction(rate), date(2026, 3, 2))

    assert bought_for(9_000, mid, mid.rate) == comes_to
    exact = Decimal(90) * Decimal(rate)
    assert abs(to_money(comes_to, bought).amount - exact) <= to_money(1, bought).amount / 2


@given(
    st.sampled_from([("EUR", "USD"), ("EUR", "JPY"), ("KWD", "EUR"), ("JPY", "KWD")]),
    st.integers(10**7, 10**13),
    st.integers(0, 500),
    st.integers(1, 10**9),
)
def test_buying_back_is_never_better(
    pair: tuple[str, str], scaled: int, margin_bps: int, amount: int
) -> None:
    """3.4: each way has its own rate; there and back gains no more than what was rounded.

    The mid rates of both ways are one rate and its reciprocal at ten decimals; above what these
    ten decimals and half a unit each way leave open, nobody gets back more than he gave.
    """
    sold, bought = pair
    mid = Fraction(scaled, 10**10)
    there = Rate("fixed", sold, bought, mid, date(2026, 3, 2))
    back = Rate("fixed", bought, sold, rounded(1 / mid), date(2026, 3, 2))
    rate_there = customer_rate(there.rate, margin_bps)
    rate_back = customer_rate(back.rate, margin_bps)

    got = convert(amount, sold=sold, bought=bought, rate=rate_there)
    again = convert(got, sold=bought, bought=sold, rate=rate_back)

    unit = Fraction(10) ** (exponent(sold) - exponent(bought))
    slack = Fraction(1, 2) * rate_back * unit + Fraction(1, 2)
    places = amount * (mid + 1 / mid + 1) / 10**10
    assert again <= amount * Fraction(10_000 - margin_bps, 10_000) ** 2 + slack + places


def test_buying_back_loses_both_margins() -> None:
    """3.4: 100.00 EUR there and back at 1.5 % are 97.02 EUR: 2.98 for a walk around the block."""
    back = Rate("ecb", "USD", "EUR", rounded(1 / MID.rate), MID.as_of)
    got = bought_for(10_000, MID, AT)

    again = bought_for(got, back, customer_rate(back.rate, 150))

    assert (got, again) == (10_835, 9_702)


@pytest.mark.parametrize(
    ("as_of", "on", "is_fresh"),
    [
        (date(2026, 3, 6), date(2026, 3, 8), True),  # Friday's on a Sunday
        (date(2026, 3, 6), date(2026, 3, 11), True),  # three business days
        (date(2026, 3, 6), date(2026, 3, 12), False),
        (date(2026, 3, 2), date(2026, 3, 5), True),
        (date(2026, 3, 2), date(2026, 3, 6), False),
        (date(2026, 3, 3), date(2026, 3, 8), True),  # from Friday three days back
        (date(2026, 3, 2), date(2026, 3, 8), False),
    ],
)
def test_how_old_a_rate_may_be(as_of: date, on: date, *, is_fresh: bool) -> None:
    """3.4: none older than three business days; a weekend uses Friday's."""
    rate = Rate("ecb", "EUR", "USD", Fraction(1), as_of)
    if is_fresh:
        check_fresh(rate, on)
        return
    with pytest.raises(Refusal) as refused:
        check_fresh(rate, on)
    assert refused.value.code == "fx.stale_rate"


def test_the_gap_is_1_49_less_0_31() -> None:
    """3.4, P34: 90.00 EUR: the payee has 97.52, the provider pays 98.70, 1.18 is ours."""
    owed, filled = bought_for(9_000, MID, AT), bought_for(9_000, MID, Fraction("1.0967"))

    gap = share_gap(filled_minor=filled, owed_minor=owed, margin_minor=margin(9_000, MID, AT))

    assert (owed, filled) == (9_752, 9_870)
    assert gap == (118, 149, 31)
    assert gap.due_to_platform_minor == gap.margin_minor - gap.loss_minor


def test_the_gap_of_a_funding_is_1_65_less_0_33() -> None:
    """3.4, P36: 100.00 EUR: the slot has 108.35, the provider pays 109.67, 1.32 is ours."""
    owed, filled = bought_for(10_000, MID, AT), bought_for(10_000, MID, Fraction("1.0967"))

    gap = share_gap(filled_minor=filled, owed_minor=owed, margin_minor=margin(10_000, MID, AT))

    assert (owed, filled) == (10_835, 10_967)
    assert gap == (132, 165, 33)


def test_when_money_is_converted() -> None:
    """3.4: at funding, release or payout, and there is no fourth time."""
    assert [each.value for each in ConvertAt] == ["funding", "release", "payout"]
