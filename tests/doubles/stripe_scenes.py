"""What tests of the Stripe double begin with: a payee's account, a payment, what was refused."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from tests.doubles.stripe_double.double import StripeDouble
from tests.doubles.stripe_double.world import PLATFORM


def a_payee(double: StripeDouble, *, verified: bool = True) -> str:
    """The id of a payee's account that may receive transfers."""
    account = double.client().v2.core.accounts.create(
        {
            "configuration": {
                "recipient": {
                    "capabilities": {"stripe_balance": {"stripe_transfers": {"requested": True}}}
                }
            }
        }
    )
    if verified:
        double.verify(account.id)
    return account.id


def a_payment(
    double: StripeDouble,
    amount: int = 10_000,
    currency: str = "eur",
    *,
    method: str = "pm_card_visa",
    op_id: str = "op",
    **more: Any,
) -> stripe.PaymentIntent:
    """A payment that is confirmed in the call that makes it, its charge opened."""
    params: Any = {
        "amount": amount,
        "currency": currency,
        "payment_method": method,
        "confirm": True,
        "metadata": {"op_id": op_id},
        "expand": ["latest_charge.balance_transaction"],
        **more,
    }
    return double.client().v1.payment_intents.create(params)


def charge_of(intent: stripe.PaymentIntent) -> stripe.Charge:
    """The charge of a payment, as it was opened in its answer."""
    assert isinstance(intent.latest_charge, stripe.Charge)
    return intent.latest_charge


def refused(call: Callable[[], object]) -> str:
    """The code that a call is refused with."""
    with pytest.raises(stripe.StripeError) as caught:
        call()
    error = caught.value.error  # the exception's own `code` is None for 403, 409 and 429
    assert error is not None
    return str(error.code)


def money(double: StripeDouble, account: str = PLATFORM, currency: str = "eur") -> tuple[int, int]:
    """What an account has available and pending, recounted."""
    held = double.balances()[account].get(currency, {"available": 0, "pending": 0})
    return held["available"], held["pending"]


def types(double: StripeDouble, account: str = PLATFORM) -> list[str]:
    """The types of an account's balance transactions, oldest first."""
    transactions = double.world.ledger(account).all_of("balance_transaction")
    return [str(one["type"]) for one in transactions]


def told(double: StripeDouble, account: str = PLATFORM) -> list[str]:
    """The types of an account's events, oldest first."""
    return [str(one["type"]) for one in double.world.ledger(account).all_of("event")]
