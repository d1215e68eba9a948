"""Random tariffs and payments, and the plain way to price them: a band at a time."""

from random import Random
from typing import NamedTuple

from commissions.model import Band, Tariff

EUR = "EUR"


def tariff(*bands: tuple[int | None, int], currency: str = EUR, **more: int) -> Tariff:
    """A tariff of (end of band, basis points), the last with None."""
    return Tariff(currency, tuple(Band(*each) for each in bands), **more)


PAIR_BANDS = tariff((50_000, 2_000), (1_000_000, 1_000), (None, 500))
"""20 % to 500.00, 10 % to 10,000.00, 5 % above (domain/escrow.md 3.1)."""


def draw(random: Random, *, plain: bool = False, currency: str = EUR) -> Tariff:
    """Some tariff of 1 to 20 bands; a plain one has bands alone."""
    ends = sorted(random.sample(range(1, 200_000), random.randint(0, 19)))
    bands = [(end, random.randint(0, 10_000)) for end in ends] + [(None, random.randint(0, 10_000))]
    if plain or random.random() < 0.3:
        return tariff(*bands, currency=currency)
    floor = random.choice((0, 0, random.randint(0, 500)))
    return Tariff(
        currency,
        tuple(Band(*each) for each in bands),
        per_transaction_minor=random.choice((0, random.randint(0, 300))),
        floor_minor=floor,
        cap_minor=random.choice((None, floor + random.randint(0, 5_000))),
        cap_month_minor=random.choice((None, random.randint(0, 20_000))),
    )


def times_10_000(given: Tariff, billed_minor: int) -> int:
    """F, unrounded, times 10,000, by a walk over the bands."""
    total, start = 0, 0
    for end, rate_bps in given.bands:
        until = billed_minor if end is None else min(end, billed_minor)
        if until > start:
            total += (until - start) * rate_bps
            start = until
    return total


def half_up(over: int, under: int) -> int:
    """The whole number next to a fraction; a half goes up."""
    return (2 * over + under) // (2 * under)


def cumulated(given: Tariff, billed_minor: int) -> int:
    """F, rounded half up."""
    return half_up(times_10_000(given, billed_minor), 10_000)


def plain_fee(
    given: Tariff, amount_minor: int, *, billed_minor: int = 0, charged_month_minor: int = 0
) -> int:
    """The fee as the rules of domain/escrow.md 3.3 read, a step a line."""
    if not amount_minor:
        return 0
    charged = cumulated(given, billed_minor + amount_minor) - cumulated(given, billed_minor)
    charged += given.per_transaction_minor
    charged = max(charged, given.floor_minor)
    if given.cap_minor is not None:
        charged = min(charged, given.cap_minor)
    if given.cap_month_minor is not None:
        left = given.cap_month_minor - charged_month_minor
        charged = min(charged, max(0, left))
    return min(charged, amount_minor)


class Owed(NamedTuple):
    """A fee, the tax on it, and what a promotion forwent."""

    fee_minor: int
    tax_minor: int
    foregone_minor: int


def plain_price(
    given: Tariff,
    promoted: Tariff | None,
    amount_minor: int,
    *,
    billed_minor: int,
    charged_month_minor: int,
    tax_bps: int,
) -> Owed:
    """The fee with promotion and tax, which come last, and never take more than the amount."""
    by_then = {"billed_minor": billed_minor, "charged_month_minor": charged_month_minor}
    full = charged = plain_fee(given, amount_minor, **by_then)
    if promoted is not None:
        charged = min(full, plain_fee(promoted, amount_minor, **by_then))
    foregone = full - charged
    tax = half_up(charged * tax_bps, 10_000)
    if charged + tax > amount_minor:
        charged = amount_minor * 10_000 // (10_000 + tax_bps)
        tax = min(half_up(charged * tax_bps, 10_000), amount_minor - charged)
    return Owed(charged, tax, foregone)


def plain_tax_within(total_minor: int, tax_bps: int) -> int:
    """The tax inside a price, half up."""
    return half_up(total_minor * tax_bps, 10_000 + tax_bps)
