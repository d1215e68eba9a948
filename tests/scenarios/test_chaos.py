"""In disorder the double's money equals the books, and no operation moves money twice."""

import pytest
from sqlalchemy import Engine

from kernel import clock
from kernel.database import Tenant, transaction
from tests.doubles.fixtures import stripe_double
from tests.doubles.stripe_double.double import StripeDouble
from tests.scenarios.chaos import Run
from tests.scenarios.doubled import Doubled
from tests.scenarios.world import World, differences

__all__ = ["stripe_double"]


@pytest.mark.parametrize("seed", range(3))
def test_books_and_stripe_agree_whatever_goes_wrong(
    own_engine: Engine, tenant: Tenant, stripe_double: StripeDouble, seed: int
) -> None:
    """A fifth of the calls fail, webhooks come doubled and in no order, and time jumps."""
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=stripe_double.clock.now)
    backend = Doubled(stripe_double, tenant=tenant.name)
    world = World(own_engine, tenant, backend)

    Run(world, backend, seed).play()

    assert differences(world.booked(), backend.told()) == {}
    assert stripe_double.operations_twice() == {}
    world.prove()
