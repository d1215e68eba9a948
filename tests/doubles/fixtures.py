"""Fixtures of the doubles, to be imported by tests (`from tests.doubles.fixtures import ...`)."""

from collections.abc import Iterator

import pytest

from tests.doubles.stripe_double.double import StripeDouble


@pytest.fixture
def stripe_double() -> Iterator[StripeDouble]:
    """A Stripe that listens on loopback.

    At the end: no call and no answer broke the contract, and every account's money is what its
    balance transactions say. A test that breaks it on purpose empties `double.door.violations`.
    """
    with StripeDouble() as double:
        yield double
        if wrong := double.violations():
            pytest.fail("\n".join(["Stripe's contract was broken:", *sorted(set(wrong))]))
        double.balances()
