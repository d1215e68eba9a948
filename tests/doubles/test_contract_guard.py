"""The kept contract of Stripe: what an upgrade changes, and what Stripe's own samples say of it."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.doubles import contract, contract_guard
from tests.doubles.stripe_double.door import Door
from tests.doubles.stripe_double.double import StripeDouble

SAMPLES: Final = Path(__file__).parents[3] / "shared" / "data" / "stripe" / "fixtures3.json"

# Samples of Stripe's that are older than the package, and what the package has in them since.
DIFFER: Final = {
    "account_session": "components that came later",
    "billing_portal.configuration": "features.subscription_pause came later",
    "customer_session": "components that came later",
    "dispute": "evidence_details.submission_method came later",
    "invoice": "subscription moved away in 2025",
    "reserve.hold": "destination came later",
    "reserve.plan": "destination came later",
    "reserve.release": "destination came later, and the reasons were named anew",
    "subscription_schedule": "pause_schedules came later",
}


def test_the_calls_we_use_are_as_they_were_kept() -> None:
    """A difference comes from an upgrade; `python -m tests.doubles.contract --write` keeps it."""
    kept = json.loads(contract_guard.KEPT.read_text(encoding="utf-8"))

    assert contract_guard.declared() == kept


def test_the_double_plays_every_call_that_is_kept() -> None:
    """No call of ours is answered with "not played"."""
    door: Door = StripeDouble().door
    played = {f"{method} {path}" for method, path in door._handlers}

    assert set(contract_guard.USED) <= played


def test_stripes_own_samples_fit_the_schemas() -> None:
    """Every sample object of Stripe's is as the package declares it, but for those named here."""
    if not SAMPLES.exists():
        pytest.skip("Stripe's sample objects are not here (../shared/data/stripe/fixtures3.json)")
    samples: dict[str, Any] = json.loads(SAMPLES.read_text(encoding="utf-8"))["resources"]
    known = {name: contract.resource(name) for name in samples}

    wrong = {
        name
        for name, schema in known.items()
        if schema is not None and contract.conform(samples[name], schema, text=False)[1]
    }

    assert wrong == set(DIFFER)
    assert sum(schema is not None for schema in known.values()) > 140


@pytest.mark.parametrize(
    "sample", "charge payment_intent transfer refund payout topup balance event".split()
)
def test_an_answer_is_closed(sample: str) -> None:
    """A field that the package does not know, or one too few, is found in an answer."""
    if not SAMPLES.exists():
        pytest.skip("Stripe's sample objects are not here (../shared/data/stripe/fixtures3.json)")
    whole = json.loads(SAMPLES.read_text(encoding="utf-8"))["resources"][sample]
    schema = contract.resource(sample)
    assert schema is not None
    less = {name: value for name, value in whole.items() if name != "object"}

    assert contract.conform(whole | {"surprise": 1}, schema, text=False)[1] == [
        ".surprise: unknown"
    ]
    assert contract.conform(less, schema, text=False)[1] == [".object: missing"]


def test_every_route_of_the_package_can_be_derived() -> None:
    """Both versions are there; a route's own schemas are derived without any other's."""
    routes = [contract.route(*key) for key in contract.paths() if key[1].count("/") < 4]

    assert len(contract.paths()) > 600
    assert sum(route.is_v2 for route in routes) > 0
    assert all(route.answer for route in routes)
