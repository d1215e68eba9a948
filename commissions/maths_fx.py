"""What money of one currency buys of another, and how the gap of a conversion is shared out.

Source: domain/escrow.md 3.4; the figures are those of P33 to P36.
"""

from collections.abc import Callable
from datetime import date, timedelta
from fractions import Fraction
from typing import Final, NamedTuple

from kernel.errors import Refusal
from kernel.money import MAX_MINOR, convert, convert_down
from rails.rates.model import Rate, rounded

FRESH_FOR_BUSINESS_DAYS: Final = 3
_FRIDAY: Final = 4


class ZeroRate(Refusal):
    """A rate of nothing, or less, is no rate."""

    code = "fx.zero_rate"


class StaleRate(Refusal):
    """The newest rate is older than three business days: nobody is quoted a guess."""

    code = "fx.stale_rate"


class TooSmall(Refusal):
    """The amount does not come to one minor unit of the other currency."""

    code = "fx.too_small"


class TooMuch(Refusal):
    """The amount comes to more than we keep books of."""

    code = "fx.too_much"


class Gap(NamedTuple):
    """How a fill differs from what the customer got, in minor units of the bought currency.

    `due_to_platform_minor` is the whole gap, less than nothing where the platform adds to it;
    `margin_minor` of it is revenue, and `loss_minor` (a gain if negative) the market's.
    """

    due_to_platform_minor: int
    margin_minor: int
    loss_minor: int


def customer_rate(mid: Fraction, margin_bps: int) -> Fraction:
    """The mid rate less a margin in basis points, directly and not by the reciprocal."""
    if mid.numerator <= 0:
        raise ZeroRate(rate=str(mid))
    assert 0 <= margin_bps < 10_000
    found = rounded(Fraction(mid.numerator * (10_000 - margin_bps), mid.denominator * 10_000))
    if found.numerator <= 0:
        raise ZeroRate(rate=str(mid))
    return found


def bought_for(sold_minor: int, rate: Rate, at: Fraction) -> int:
    """What an amount buys; refuses what comes to nothing, or to more than any book holds."""
    found = convert(sold_minor, sold=rate.sold, bought=rate.bought, rate=at)
    if found == 0:
        raise TooSmall(amount_minor=sold_minor, currency=rate.sold)
    if found > MAX_MINOR:
        raise TooMuch(amount_minor=sold_minor, currency=rate.sold)
    return found


def sold_for(bought_minor: int, rate: Rate, at: Fraction) -> int:
    """The least amount that buys at least so much."""
    return _least(
        bought_minor,
        rate,
        lambda sold: convert(sold, sold=rate.sold, bought=rate.bought, rate=at),
    )


def bought_at_quote(sold_minor: int, rate: Rate, at: Fraction) -> int:
    """What an amount buys where a party asks for it himself: never more than it is worth.

    Rounding up by up to half a minor unit is more than any margin on a few of them: who exchanges
    such an amount and buys it back would be richer each time. Source: domain/escrow.md 3.4.
    """
    bought_for(sold_minor, rate, at)
    found = _offered(sold_minor, rate, at)
    if found == 0:
        raise TooSmall(amount_minor=sold_minor, currency=rate.sold)
    return found


def sold_at_quote(bought_minor: int, rate: Rate, at: Fraction) -> int:
    """The least amount that buys at least so much where a party asks for it himself."""
    return _least(bought_minor, rate, lambda sold: _offered(sold, rate, at))


def _offered(sold_minor: int, rate: Rate, at: Fraction) -> int:
    half_up = convert(sold_minor, sold=rate.sold, bought=rate.bought, rate=at)
    worth = convert_down(sold_minor, sold=rate.sold, bought=rate.bought, rate=rate.rate)
    return min(half_up, worth)


def _least(bought_minor: int, rate: Rate, buys: Callable[[int], int]) -> int:
    """The least amount that `buys` so much; it never buys less for more."""
    low, high = 1, MAX_MINOR
    if buys(high) < bought_minor:
        raise TooMuch(amount_minor=bought_minor, currency=rate.bought)
    while low < high:
        middle = (low + high) // 2
        if buys(middle) >= bought_minor:
            high = middle
        else:
            low = middle + 1
    return low


def margin(sold_minor: int, rate: Rate, at: Fraction) -> int:
    """What the margin should come to, half up in the bought currency."""
    gap = rate.rate - at
    if gap <= 0:
        return 0
    return convert(sold_minor, sold=rate.sold, bought=rate.bought, rate=gap)


def share_gap(*, filled_minor: int, owed_minor: int, margin_minor: int) -> Gap:
    """The gap between what the provider paid and the customer got: our margin, and the rest."""
    gap = filled_minor - owed_minor
    return Gap(gap, margin_minor, margin_minor - gap)


def check_fresh(rate: Rate, on: date) -> None:
    """Refuses a rate that is older than three business days; on a weekend Friday's is today's."""
    oldest = on
    while oldest.weekday() > _FRIDAY:
        oldest -= timedelta(days=1)
    for _ in range(FRESH_FOR_BUSINESS_DAYS):
        oldest -= timedelta(days=1)
        while oldest.weekday() > _FRIDAY:
            oldest -= timedelta(days=1)
    if rate.as_of < oldest:
        raise StaleRate(source=rate.source, as_of=rate.as_of.isoformat())
