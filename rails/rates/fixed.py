"""Rates of one's own: a table that says from which day each holds."""

import csv
import io
from collections.abc import Iterable
from datetime import date
from fractions import Fraction
from pathlib import Path

from rails.rates.model import NotRates, Rate, rounded


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


def read(path: Path) -> FixedRates:
    """A table as CSV with the columns as_of, sold, bought, rate; refuses `fx.not_rates`."""
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
        rates = [
            Rate(
                FixedRates.name,
                row["sold"],
                row["bought"],
                _whole(Fraction(row["rate"])),
                date.fromisoformat(row["as_of"]),
            )
            for row in rows
        ]
    except (KeyError, TypeError) as trouble:
        raise NotRates(why="each line has as_of, sold, bought and rate") from trouble
    except (ValueError, ZeroDivisionError, csv.Error) as trouble:
        raise NotRates(why=str(trouble)[:200]) from trouble
    if not rates:
        raise NotRates(why="no rate in it")
    return FixedRates(rates)


def _whole(rate: Fraction) -> Fraction:
    """A rate above zero that ten decimals hold."""
    if rate <= 0 or rounded(rate) != rate:
        raise ValueError(f"{rate} is no rate of ten decimals above zero")
    return rate
