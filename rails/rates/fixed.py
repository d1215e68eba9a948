"""Rates of one's own: a table that says from which day each holds."""

from collections.abc import Iterable
from datetime import date

from rails.rates.model import Rate


class FixedRates:
    """Rates that somebody wrote down; each holds from its day until the next of its pair."""

    name = "fixed"
    base: str | None = None

    def __init__(self, rates: Iterable[Rate]) -> None:
        """Of rates in any order."""
        self._rates = sorted(rates, key=lambda each: each.as_of)

    def find(self, *, sold: str, bought: str, on: date) -> Rate | None:
        """The newest of this pair by that day; the other way round is another pair."""
        fitting = (
            each
            for each in reversed(self._rates)
            if (each.sold, each.bought) == (sold, bought) and each.as_of <= on
        )
        return next(fitting, None)

    def currencies(self, on: date) -> frozenset[str]:
        """What it has a rate of by that day, sold or bought."""
        known = [each for each in self._rates if each.as_of <= on]
        return frozenset({code for each in known for code in (each.sold, each.bought)})
