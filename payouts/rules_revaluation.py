"""What a balance in a foreign currency gained: its worth, less what it was worth when it came."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any
from uuid import UUID

from kernel.money import convert, exponent, to_json
from rails.rates.model import Rate, show_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Revaluation:
    """One currency at the end of one day; amounts but the balance are of the reporting currency.

    `carried_minor` is what the balance was worth on the days that it came and went, with the gains
    of earlier revaluations.
    """

    id: UUID
    on: date
    currency: str
    reporting: str
    balance_minor: int
    rate: Rate
    worth_minor: int
    carried_minor: int

    @property
    def gain_minor(self) -> int:
        """What it gained since; a loss if negative."""
        return self.worth_minor - self.carried_minor


def signed_worth(minor: int, rate: Rate) -> int:
    """An amount at a rate, rounded half away from zero."""
    found = convert(abs(minor), sold=rate.sold, bought=rate.bought, rate=rate.rate)
    return found if minor >= 0 else -found


def cost_minor(
    flows: Mapping[date, int], rates: Mapping[date, Rate], *, currency: str, reporting: str
) -> int:
    """What came and went, each day at that day's rate; rounded once, half away from zero."""
    exact = sum((minor * rates[day].rate for day, minor in flows.items()), Fraction(0))
    scaled = exact * Fraction(10) ** (exponent(reporting) - exponent(currency))
    rounded = int(abs(scaled) + Fraction(1, 2))
    return rounded if scaled >= 0 else -rounded


def revalue(
    *,
    revaluation_id: UUID,
    on: date,
    flows: Mapping[date, int],
    rates: Mapping[date, Rate],
    rate: Rate,
    gained_minor: int,
) -> Revaluation:
    """The revaluation of a balance made of these flows, in minor units of the rate's sold side.

    `rates` has one for each day of the flows; `gained_minor` is the sum of earlier revaluations
    that stand. So a late entry of an early day is made good by the next revaluation.
    """
    balance = sum(flows.values())
    cost = cost_minor(flows, rates, currency=rate.sold, reporting=rate.bought)
    return Revaluation(
        id=revaluation_id,
        on=on,
        currency=rate.sold,
        reporting=rate.bought,
        balance_minor=balance,
        rate=rate,
        worth_minor=signed_worth(balance, rate),
        carried_minor=cost + gained_minor,
    )


def facts_of(found: Revaluation) -> dict[str, Any]:
    """What people are told of a revaluation."""
    return {
        "currency": found.currency,
        "balance": to_json(found.balance_minor, found.currency),
        "rate": show_rate(found.rate.rate),
        "source": found.rate.source,
        "as_of": found.rate.as_of.isoformat(),
        "worth": to_json(found.worth_minor, found.reporting),
        "carried": to_json(found.carried_minor, found.reporting),
        "gain": to_json(found.gain_minor, found.reporting),
    }
