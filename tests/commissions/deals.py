"""Random tariffs and payments, and the plain way to price them: a cent at a time."""

from fractions import Fraction
from random import Random

from commissions.model import Band, Tariff

EUR = "EUR"


def tariff(*bands: tuple[int | None, int], currency: str = EUR, **more: int) -> Tariff:
    """A tariff of (end of band, basis points), the last with None."""
    return Tariff(currency, tuple(Band(*each) for each in bands), **more)


PAIR_BANDS = tariff((50_000, 2_000), (1_000_000, 1_000), (None, 500))
"""20 % to 500.00, 10 % to 10,000.00, 5 % above (domain/escrow.md 3.1)."""


def draw(random: Random, *, plain: bool = False) -> Tariff:
    """Some tariff; a plain one has bands alone."""
    ends = sorted(random.sample(range(1, 200_000), random.randint(0, 19)))
    bands = [(end, random.randint(0, 10_000)) for end in ends] + [(None, random.randint(0, 10_000))]
    if plain or random.random() < 0.5:
        return tariff(*bands)
    floor = random.choice((0, 0, random.randint(0, 500)))
    return Tariff(
        EUR,
        tuple(Band(*each) for each in bands),
        per_transaction_minor=random.choice((0, random.randint(0, 300))),
        floor_minor=floor,
        cap_minor=random.choice((None, floor + random.randint(0, 5_000))),
        cap_month_minor=random.choice((None, random.randint(0, 20_000))),
    )


def cumulated(given: Tariff, billed_minor: int) -> int:
    """F, rounded half up, by nothing but fractions and a walk over the bands."""
    total, start = Fraction(0), 0
    for end, rate_bps in given.bands:
        until = billed_minor if end is None else min(end, billed_minor)
        if until > start:
            total += Fraction((until - start) * rate_bps, 10_000)
            start = until
    return int(total + Fraction(1, 2))


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
