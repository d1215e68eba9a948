"""What the contract stops before a call does anything, through the real SDK."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from tests.doubles import contract
from tests.doubles.fixtures import stripe_double
from tests.doubles.stripe_double.double import StripeDouble

__all__ = ["stripe_double"]

Call = Callable[[stripe.StripeClient], object]
PAYMENT: dict[str, Any] = {"amount": 1000, "currency": "eur"}


def _pay(more: dict[str, Any]) -> Call:
    params: Any = {**PAYMENT, **more}
    return lambda client: client.v1.payment_intents.create(params)


def _open_account(more: dict[str, Any]) -> Call:
    params: Any = more
    return lambda client: client.v2.core.accounts.create(params)


WRONG: dict[str, tuple[Call, str]] = {
    "a param that is not there": (_pay({"escrow": "1"}), ".escrow: unknown"),
    "one deep inside": (
        _pay({"automatic_payment_methods": {"enabled": True, "only": "card"}}),
        ".automatic_payment_methods.only: unknown",
    ),
    "a required one left out": (
        lambda client: client.v1.payment_intents.create({"amount": 5}),  # type: ignore[typeddict-item]
        ".currency: missing",
    ),
    "a float": (_pay({"amount": 10.5}), ".amount: '10.5' is not of the type integer"),
    "a decimal string": (_pay({"amount": "10.00"}), ".amount: '10.00' is not of the type"),
    "a value that is none of the list": (_pay({"capture_method": "later"}), "'later' is none of"),
    "a key among the params": (_pay({"idempotency_key": "k"}), ".idempotency_key: unknown"),
    "a wrong key in a v2 body": (
        _open_account({"configuration": {"recipient": {"capabilities": {"transfers": {}}}}}),
        ".configuration.recipient.capabilities.transfers: unknown",
    ),
    "a float in a v2 body": (
        _open_account({"display_name": 1.0}),
        ".display_name: 1.0 is not of the type string",
    ),
    "a filter that is not there": (
        lambda client: client.v1.refunds.list({"status": "pending"}),  # type: ignore[arg-type]
        ".status: unknown",
    ),
    "an address that is not there": (
        lambda client: client.raw_request("get", "/v1/escrows"),
        "Unrecognized request URL",
    ),
    "a query behind a write": (
        lambda client: client.raw_request("post", "/v1/refunds?charge=ch_1"),
        ".charge: in the query of a POST",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_malformed_call_is_refused_and_remembered(stripe_double: StripeDouble, name: str) -> None:
    """The SDK is answered with an error, nothing is done, and the test would fail at its end."""
    call, problem = WRONG[name]

    with pytest.raises(stripe.InvalidRequestError):
        call(stripe_double.client())

    (violation,) = stripe_double.door.violations
    assert problem in violation
    assert not [*stripe_double.world.ledgers["acct_platform"].all_of("payment_intent")]
    stripe_double.door.violations.clear()


def test_a_malformed_answer_of_the_double_is_found(stripe_double: StripeDouble) -> None:
    """The double is held to the same contract as its callers."""
    client = stripe_double.client()
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "eur"})
    stripe_double.world.find(intent.id)[1]["status"] = "funded"

    client.v1.payment_intents.retrieve(intent.id)

    (violation,) = stripe_double.door.violations
    assert "the answer of GET /v1/payment_intents/{intent}.status: 'funded'" in violation
    stripe_double.door.violations.clear()


def test_a_call_that_is_not_played_is_remembered(stripe_double: StripeDouble) -> None:
    """A call that Stripe knows and the double does not fails the test too."""
    with pytest.raises(stripe.APIError):
        stripe_double.client().v1.customers.list()

    assert stripe_double.door.violations == ["GET /v1/customers: not played"]
    stripe_double.door.violations.clear()


def test_a_form_is_read_by_its_schema() -> None:
    """`a[b][0][c]=v` becomes objects and lists; leaves take the types of the schema."""
    found = contract.find("POST", "/v1/payment_intents")
    assert found is not None
    assert found[0].params is not None
    form = contract.decode_form(
        "amount=100&currency=jpy&expand[0]=latest_charge&metadata[op_id]=1&confirm=true"
        "&automatic_payment_methods[enabled]=true"
    )

    params, wrong = contract.conform(form, found[0].params, text=True)

    assert not wrong
    assert params == {
        "amount": 100,
        "currency": "jpy",
        "expand": ["latest_charge"],
        "metadata": {"op_id": "1"},
        "confirm": True,
        "automatic_payment_methods": {"enabled": True},
    }


def test_error_codes_are_the_packages_own() -> None:
    """The double's refusals carry codes that the SDK lists."""
    needed = "balance_insufficient transfers_not_allowed charge_disputed lock_timeout rate_limit"

    assert set(needed.split()) <= contract.error_codes()
