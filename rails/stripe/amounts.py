"""Stripe's minor units against ours: refused where the two cannot say the same amount.

Stripe counts some currencies with other decimals than ISO 4217: a mistake here is wrong by a
hundred (domain/rails.md 1.5, rule 10).
"""

from typing import Final

from kernel.errors import RailTrouble
from kernel.money import exponent
from rails.refusals import AmountNotPossible, CurrencyNotTaken

_NO_DECIMALS: Final = frozenset(
    {
        *("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"),
        *("PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"),
    }
)

_THREE_DECIMALS: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
"""Their last digit must be 0 (Stripe moves no tenths of a hundredth)."""

_TWO_BY_HABIT: Final = frozenset({"ISK", "UGX"})
"""Without decimals by ISO 4217; Stripe still counts hundredths, which must be 00."""

_WHOLE_PAYOUTS: Final = frozenset({"HUF", "TWD"})
"""Charged in hundredths, paid out in whole units only."""


def decimals_of(currency: str) -> int:
    """How many decimals Stripe's minor unit has; refuses `rail.currency_not_taken` if unsure."""
    if currency in _NO_DECIMALS:
        return 0
    if currency in _THREE_DECIMALS:
        return 3
    if currency in _TWO_BY_HABIT or exponent(currency) == 2:
        return 2
    raise CurrencyNotTaken(rail="stripe", currency=currency)


def to_stripe(amount_minor: int, currency: str, *, is_payout: bool = False) -> int:
    """Our amount as Stripe counts it.

    Refuses `rail.currency_not_taken`, `rail.amount_not_possible`: nothing is ever rounded.
    """
    shift = decimals_of(currency) - exponent(currency)
    step_minor: int = 10 ** max(-shift, 0)
    if currency in _THREE_DECIMALS:
        step_minor = 10
    if is_payout and currency in _WHOLE_PAYOUTS:
        step_minor = 100
    if amount_minor <= 0 or amount_minor % step_minor:
        raise AmountNotPossible(
            rail="stripe", currency=currency, amount_minor=amount_minor, step_minor=step_minor
        )
    factor: int = 10 ** abs(shift)
    return amount_minor * factor if shift >= 0 else amount_minor // factor


def to_ours(amount: int, currency: str) -> int:
    """Stripe's amount, in its own currency code, in our minor units; may be below zero.

    Raises:
        RailTrouble: an amount that our currency cannot hold; it is never rounded.
    """
    code = currency.upper()
    shift = exponent(code) - decimals_of(code)
    factor: int = 10 ** abs(shift)
    if shift >= 0:
        return amount * factor
    whole, rest = divmod(amount, factor)
    if rest:
        raise RailTrouble(f"stripe tells of a part of the smallest unit of {code}")
    return whole
