"""A rate of exchange, and what every source of rates can be asked."""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Final, Protocol

from kernel.errors import Refusal

PLACES: Final = 10
"""Decimals of a rate."""

_TENS: Final = 10**PLACES


class NotRates(Refusal):
    """The file holds no rates as its source writes them."""

    code = "fx.not_rates"


@dataclass(frozen=True, slots=True)
class Rate:
    """How much of `bought` one unit of `sold` is, at ten decimals, with where and when it is from.

    `as_of` is the day that the rate is of, in the source's own calendar.
    """

    source: str
    sold: str
    bought: str
    rate: Fraction
    as_of: date


class Source(Protocol):
    """One place that rates come from."""

    name: str
    base: str | None
    """The currency that all its rates are for; None where each pair stands by itself."""

    def find(self, *, sold: str, bought: str, on: date) -> Rate | None:
        """The newest rate of this day or of one before it; None if there is none."""

    def currencies(self, on: date) -> frozenset[str]:
        """What it has a rate of on this day, or on the day before it that it has."""


def rounded(rate: Fraction) -> Fraction:
    """A rate at ten decimals, half up."""
    below = rate.denominator
    return Fraction((2 * rate.numerator * _TENS + below) // (2 * below), _TENS)


def show_rate(rate: Fraction) -> str:
    """A rate as people read it: ten decimals at most, without the zeros at the end."""
    digits = str(int(rounded(rate) * 10**PLACES)).rjust(PLACES + 1, "0")
    whole, parts = digits[:-PLACES], digits[-PLACES:].rstrip("0")
    return f"{whole}.{parts}" if parts else whole
