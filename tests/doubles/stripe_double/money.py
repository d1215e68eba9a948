"""Amounts by Stripe's own currency table, and what Stripe keeps of a payment.

Source: Stripe's list of supported currencies: zero-, two- and three-decimal ones; the third
decimal is always 0; ISK and UGX are sent with two decimals that are 0.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from moneyed import CURRENCIES

from tests.doubles.stripe_double.trouble import StripeError

ZERO_DECIMALS: Final = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split()
)
THREE_DECIMALS: Final = frozenset("bhd jod kwd omr tnd".split())
WHOLE_ONLY: Final = frozenset({"isk", "ugx"})
LARGEST_MINOR: Final = 99_999_999


def decimals(currency: str) -> int:
    """How many decimals an amount in this currency is sent with: 0, 2 or 3."""
    if currency in ZERO_DECIMALS:
        return 0
    return 3 if currency in THREE_DECIMALS else 2


def step(currency: str) -> int:
    """What every amount in this currency is a multiple of, in minor units."""
    if currency in WHOLE_ONLY:
        return 100
    return 10 if currency in THREE_DECIMALS else 1


def check(amount: int, currency: str, *, smallest: int = 1) -> None:
    """Refuse an amount (minor units) that Stripe's table does not allow.

    Raises:
        StripeError: unknown currency, not a multiple of its step, too small or too large.
    """
    if currency != currency.lower() or currency.upper() not in CURRENCIES:
        raise StripeError(400, message=f"Invalid currency: {currency}", param="currency")
    if amount < smallest:
        raise StripeError(400, "amount_too_small", "Amount is too small.", param="amount")
    if amount > LARGEST_MINOR * (10 if decimals(currency) == 3 else 1):
        raise StripeError(400, "amount_too_large", "Amount is too large.", param="amount")
    if amount % step(currency):
        message = f"Amounts in {currency} must be divisible by {step(currency)}."
        raise StripeError(400, "invalid_charge_amount", message, param="amount")


def smallest_payment(currency: str) -> int:
    """Half a unit, in minor units; 50 where there are no decimals."""
    return {0: 50, 2: 50, 3: 500}[decimals(currency)]


@dataclass(frozen=True, slots=True)
class Price:
    """What Stripe keeps: basis points of a payment, rounded half up, and an amount each."""

    bps: int = 290
    each: Fraction = Fraction(30, 100)
    instant_bps: int = 100
    dispute: Fraction = Fraction(15)

    def of_payment(self, amount: int, currency: str) -> int:
        """The fee of a payment, in minor units."""
        return rounded(Fraction(amount * self.bps, 10_000), currency) + self._in(
            self.each, currency
        )

    def of_instant(self, amount: int, currency: str) -> int:
        """The fee of an instant payout, in minor units."""
        return rounded(Fraction(amount * self.instant_bps, 10_000), currency)

    def of_dispute(self, currency: str) -> int:
        """The fee of a dispute, in minor units; 1,500 without decimals."""
        if decimals(currency) == 0:
            return int(self.dispute * 100)
        return self._in(self.dispute, currency)

    def _in(self, units: Fraction, currency: str) -> int:
        if decimals(currency) == 0:
            return int(units * 100)
        return rounded(units * 10 ** decimals(currency), currency)


def rounded(minor: Fraction, currency: str) -> int:
    """To the currency's step, half up."""
    to = step(currency)
    return int((minor / to + Fraction(1, 2)) // 1) * to
