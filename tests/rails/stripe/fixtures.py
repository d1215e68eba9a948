"""The stage of the Stripe rail's tests, to be imported by them."""

from collections.abc import Iterator

import pytest

from rails.stripe.service import StripeRail
from tests.doubles.fixtures import stripe_double
from tests.doubles.stripe_double.double import StripeDouble
from tests.rails.stripe.builders import Stage, settings

__all__ = ["stage", "stripe_double"]


@pytest.fixture
def stage(stripe_double: StripeDouble) -> Iterator[Stage]:
    """A rail on a double; every object that moves money carries an operation of its own."""
    rail = StripeRail(settings(stripe_double))
    yield Stage(stripe_double, rail)
    rail.close()
    assert not stripe_double.operations_twice()
