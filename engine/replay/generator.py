"""Job postings made up by a seed, shaped like those of a real marketplace.

Pure. Shares and amounts are measured on 4,995 public postings of one winter month: kinds, budgets
with what they mean for tier and duration, categories, countries, and how often a client comes back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from engine.replay.dice import Dice
from engine.replay.postings import Kind, Posting

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""The first day of every made-up month, so that a seed means the same postings for ever."""

KINDS: Final = MappingProxyType(
    {Kind.FIXED_BUDGET: 2_191, Kind.HOURLY: 1_790, Kind.NO_BUDGET: 1_014}
)

BUDGETS: Final = (
    *((0, 5), (500, 5), (1_000, 10), (2_500, 25), (5_000, 100), (7_500, 300), (9_000, 1_000)),
    *((9_500, 2_000), (9_900, 10_000), (9_990, 25_000), (10_000, 100_000)),
)
"""Fixed budgets in USD by rank in basis points: half of them are 100 or less."""

NICE_STEPS: Final = ((50, 5), (200, 10), (1_000, 50), (10_000, 500), (100_000, 5_000))
"""People write round numbers: below the first amount they go by steps of the second."""

CATEGORIES: Final = MappingProxyType(
    {
        "Web, Mobile & Software Dev": 623,
        "Design & Creative": 573,
        "Sales & Marketing": 292,
        "Writing": 250,
        "Admin Support": 148,
        "Data Science & Analytics": 75,
        "Engineering & Architecture": 72,
        "Accounting & Consulting": 47,
        "Translation": 47,
        "IT & Networking": 38,
        "Legal": 15,
        "Customer Service": 11,
    }
)

COUNTRIES: Final = MappingProxyType(
    {
        "United States": 638,
        "India": 274,
        "United Kingdom": 184,
        "Canada": 99,
        "Australia": 95,
        "Pakistan": 78,
        "United Arab Emirates": 51,
        "Bangladesh": 42,
        "Germany": 41,
        "Singapore": 39,
        "Saudi Arabia": 39,
        "Israel": 39,
        "Egypt": 31,
        "France": 27,
        "Turkey": 25,
        "Nigeria": 25,
        "Netherlands": 25,
        "China": 21,
        "Norway": 16,
        "Philippines": 15,
        "Spain": 15,
        "Malaysia": 15,
        "Poland": 14,
        "Kenya": 14,
        "": 340,
    }
)

RATES: Final = (
    *((0, 3), (500, 5), (1_000, 7), (2_500, 12), (5_000, 20), (7_500, 33), (9_000, 48)),
    *((9_500, 65), (9_900, 125), (10_000, 700)),
)
"""Rates per hour in USD by rank in basis points: half of them are 20 or less."""

ENGAGEMENTS: Final = MappingProxyType(
    {"Less than 30 hrs/week": 1_325, "30+ hrs/week": 329, "not_sure": 136}
)

_MONTH, _QUARTER, _HALF, _LONGER = (
    *("Less than 1 month", "1 to 3 months"),
    *("3 to 6 months", "More than 6 months"),
)
_EXPERT, _MIDDLE, _ENTRY = "Expert", "Intermediate", "Entry level"


@dataclass(frozen=True, slots=True)
class _Class:
    """Budgets below `below_usd`: how long such work takes and whom it wants."""

    below_usd: int
    durations: Mapping[str, int]
    tiers: Mapping[str, int]


_CLASSES: Final = (
    _Class(
        30,
        {_MONTH: 431, _QUARTER: 97, _LONGER: 46, _HALF: 32},
        {_MIDDLE: 243, _ENTRY: 216, _EXPERT: 147},
    ),
    _Class(
        100,
        {_MONTH: 305, _QUARTER: 85, _LONGER: 32, _HALF: 20},
        {_MIDDLE: 227, _EXPERT: 128, _ENTRY: 87},
    ),
    _Class(
        300,
        {_MONTH: 280, _QUARTER: 168, _LONGER: 64, _HALF: 28},
        {_MIDDLE: 275, _EXPERT: 187, _ENTRY: 78},
    ),
    _Class(
        1_000,
        {_QUARTER: 141, _MONTH: 109, _LONGER: 50, _HALF: 44},
        {_MIDDLE: 185, _EXPERT: 132, _ENTRY: 27},
    ),
    _Class(
        1_000_000,
        {_QUARTER: 115, _LONGER: 70, _HALF: 46, _MONTH: 28},
        {_EXPERT: 130, _MIDDLE: 99, _ENTRY: 30},
    ),
)

COMES_BACK_BPS: Final = 1_270
"""Postings of a client who posted in the same month before."""

VERIFIED_BPS: Final = 6_400
"""Clients whose payment method is verified when they post."""


def generate_postings(seed: int, *, count: int, days: int) -> Iterator[Posting]:
    """Postings of all kinds until `count` of them have a budget or a rate, spread over `days`.

    They come in no order of time, as in a real export.
    """
    usable = 0
    number = 0
    clients: list[str] = []
    while usable < count:
        number += 1
        posting = _generate(seed, number, clients, days)
        usable += posting.kind is not Kind.NO_BUDGET
        yield posting


def _generate(seed: int, number: int, clients: list[str], days: int) -> Posting:
    job_id = f"made-{number:06d}"
    dice = Dice(seed, job_id)
    kind = dice.weigh("kind", KINDS)
    budget_usd = budget_at(dice.below("budget", 10_000))
    budget_class = next(each for each in _CLASSES if budget_usd < each.below_usd)
    client = _client(dice, clients)
    own = Dice(seed, client)
    category = dice.weigh("category", CATEGORIES)
    return Posting(
        job_id=job_id,
        posted_at=START + timedelta(seconds=dice.below("posted", days * 86_400)),
        kind=kind,
        budget_minor=budget_usd * 100 if kind is Kind.FIXED_BUDGET else None,
        rate_minor=_rate(dice) if kind is Kind.HOURLY else None,
        engagement=dice.weigh("engagement", ENGAGEMENTS) if kind is Kind.HOURLY else "",
        duration=dice.weigh("duration", budget_class.durations),
        tier=dice.weigh("tier", budget_class.tiers),
        title=f"{category}, job {number}",
        client=client,
        is_verified=own.happens("verified", VERIFIED_BPS),
        country=own.weigh("country", COUNTRIES),
        category=category,
    )


def budget_at(rank_bps: int) -> int:
    """The budget in whole USD at a rank from 0 to 10,000, in the round numbers people write."""
    return _nice(_at_rank(BUDGETS, rank_bps))


def _rate(dice: Dice) -> int:
    """A rate per hour, in minor units."""
    return _at_rank(RATES, dice.below("rate", 10_000)) * 100


def _at_rank(ranks: Sequence[tuple[int, int]], rank_bps: int) -> int:
    for (low, low_usd), (high, high_usd) in pairwise(ranks):
        if rank_bps < high:
            return low_usd + (high_usd - low_usd) * (rank_bps - low) // (high - low)
    return ranks[-1][1]


def _nice(budget_usd: int) -> int:
    step = next((step for below, step in NICE_STEPS if budget_usd < below), 5_000)
    return max(step, (budget_usd + step // 2) // step * step)


def _client(dice: Dice, clients: list[str]) -> str:
    """A client seen before, now and then; or one who is new."""
    if clients and dice.happens("comes_back", COMES_BACK_BPS):
        return dice.pick("client", clients)
    clients.append(f"client-{len(clients) + 1:05d}")
    return clients[-1]
