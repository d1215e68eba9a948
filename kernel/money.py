"""The only place that reads, writes, converts or rounds an amount of money.

Inside the product an amount is a whole number of minor units beside a currency code. At the
edges it is `{"amount": "100.00", "currency": "EUR"}`, and on paper a `moneyed.Money`.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Final

import moneyed

from kernel.errors import Refusal

# A round bound below 2**53, so that every amount is exact in every JSON reader.
MAX_MINOR: Final = 10**15

# Codes that ISO 4217 has and py-moneyed 3.0 lacks.
_NEWER_CODES: Final = {"XCG": 2, "ZWG": 2}

# Metals, test codes and units of account that no rail pays out.
_NOT_MONEY: Final = frozenset(
    {"XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XFO", "XFU", "XPD", "XPT", "XSU", "XTS"}
    | {"XUA", "XXX", "XYZ"}
)


def _exponents() -> Mapping[str, int]:
    known = {
        code: len(str(currency.sub_unit)) - 1
        for code, currency in moneyed.CURRENCIES.items()
        if code not in _NOT_MONEY
    }
    return MappingProxyType(known | _NEWER_CODES)


EXPONENTS: Final = _exponents()
"""Currency code -> number of decimals of its minor unit (ISO 4217), 0 to 4."""

_AMOUNT: Final = re.compile(r"(?:0|[1-9][0-9]{0,17})(?:\.([0-9]{1,8}))?", re.ASCII)


class UnknownCurrency(Refusal):
    """The currency is not one that we keep books in."""

    code = "money.unknown_currency"


class MalformedAmount(Refusal):
    """An amount is ASCII digits with at most one point: no sign, exponent, space or underscore."""

    code = "money.malformed_amount"


class TooManyDecimals(Refusal):
    """The amount is finer than the smallest unit of its currency."""

    code = "money.too_many_decimals"


class NotPositive(Refusal):
    """An amount must be greater than zero."""

    code = "money.not_positive"


class TooLarge(Refusal):
    """The amount is larger than 10**15 minor units, or than any Money is read."""

    code = "money.too_large"


def exponent(currency: str) -> int:
    """Number of decimals of the currency; refuses a code that we keep no books in."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise UnknownCurrency(currency=currency[:40]) from None


def parse_minor(amount: str, currency: str) -> int:
    """The amount in minor units, 1 to MAX_MINOR; refuses anything it would have to round."""
    decimals = exponent(currency)
    match = _AMOUNT.fullmatch(amount)
    if match is None:
        raise MalformedAmount(amount=amount[:40])
    whole, _, fraction = amount.partition(".")
    if len(fraction) > decimals:
        raise TooManyDecimals(amount=amount, currency=currency, decimals=decimals)
    minor = int(whole + fraction.ljust(decimals, "0"))
    if minor == 0:
        raise NotPositive(amount=amount)
    if minor > MAX_MINOR:
        raise TooLarge(amount=amount, largest=format_minor(MAX_MINOR, currency))
    return minor


def format_minor(amount_minor: int, currency: str) -> str:
    """The amount as digits with the currency's decimals; negative amounts carry a minus sign."""
    decimals = exponent(currency)
    digits = str(abs(amount_minor)).rjust(decimals + 1, "0")
    sign = "-" if amount_minor < 0 else ""
    if decimals == 0:
        return sign + digits
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"


def to_json(amount_minor: int, currency: str) -> dict[str, str]:
    """The amount as the API sends it."""
    return {"amount": format_minor(amount_minor, currency), "currency": currency}


def to_money(amount_minor: int, currency: str) -> moneyed.Money:
    """The amount as `moneyed.Money`, for paper and for callers who like it; exact."""
    return moneyed.Money(Decimal(format_minor(amount_minor, currency)), currency)


def from_money(money: moneyed.Money) -> tuple[int, str]:
    """Minor units and currency of a Money; refuses NaN and whatever it would have to round."""
    currency = money.currency.code
    amount = money.amount
    decimals = exponent(currency)
    if not amount.is_finite():
        raise MalformedAmount(amount=str(amount))
    if amount.adjusted() + decimals > 27:
        raise TooLarge(amount=str(amount)[:40], largest=format_minor(10**28 - 1, currency))
    # In a context of its own, because the usual one rounds to 28 digits without a word.
    scaled = amount.scaleb(decimals, Context(prec=len(amount.as_tuple().digits)))
    if scaled != scaled.to_integral_value():
        raise TooManyDecimals(amount=str(amount)[:40], currency=currency)
    return int(scaled), currency


def share_bps(amount_minor: int, rate_bps: int) -> int:
    """`rate_bps` basis points of a non-negative amount, rounded half up to the minor unit.

    Source: domain/escrow.md 3.3, rule 2 (the invoice convention).
    """
    assert amount_minor >= 0
    assert rate_bps >= 0
    return round_bps(amount_minor * rate_bps)


def round_bps(bps_minor: int) -> int:
    """A sum of minor units times basis points as minor units, rounded half up; never negative."""
    assert bps_minor >= 0
    return (bps_minor + 5_000) // 10_000


def convert(amount_minor: int, *, sold: str, bought: str, rate: Fraction) -> int:
    """What `amount_minor` of one currency buys of another, rounded half up to its minor unit.

    `rate` is units of `bought` for one unit of `sold`, above zero; amounts are never negative.

    Source: domain/escrow.md 3.4 (rounded half up in the bought currency).
    """
    above, below = _converted(amount_minor, sold=sold, bought=bought, rate=rate)
    return (2 * above + below) // (2 * below)


def convert_down(amount_minor: int, *, sold: str, bought: str, rate: Fraction) -> int:
    """The same, rounded down: what the amount is worth in whole minor units."""
    above, below = _converted(amount_minor, sold=sold, bought=bought, rate=rate)
    return above // below


def _converted(amount_minor: int, *, sold: str, bought: str, rate: Fraction) -> tuple[int, int]:
    """The exact amount, two whole numbers: a sum of fractions takes ten times as long."""
    assert amount_minor >= 0
    assert rate > 0
    shift = exponent(bought) - exponent(sold)
    above = amount_minor * rate.numerator * 10 ** max(shift, 0)
    return above, rate.denominator * 10 ** max(-shift, 0)


def allocate(amount_minor: int, weights: Sequence[int]) -> list[int]:
    """Split an amount by weights so that the parts sum to the whole.

    Largest remainder; ties go to the earlier part (domain/escrow.md 3.3, rule 6).

    Args:
        amount_minor: what is split; never negative.
        weights: never negative, at least one above zero.
    """
    assert amount_minor >= 0
    total = sum(weights)
    assert total > 0
    parts = [amount_minor * weight // total for weight in weights]
    by_remainder = sorted(
        range(len(weights)), key=lambda i: (-(amount_minor * weights[i] % total), i)
    )
    for i in by_remainder[: amount_minor - sum(parts)]:
        parts[i] += 1
    return parts
