"""In disorder the double's money equals the books, and no operation moves money twice."""

import pytest
from sqlalchemy import Engine

from kernel import clock
from kernel.database import Tenant, transaction
from tests.doubles.fixtures import stripe_double
from tests.doubles.stripe_double.double import StripeDouble
from tests.scenarios.chaos import Run
from tests.scenarios.doubled import Doubled
from tests.scenarios.ending import complaints
from tests.scenarios.world import World

__all__ = ["stripe_double"]


@pytest.mark.parametrize("seed", [1, 2])
def test_books_and_stripe_agree_whatever_goes_wrong(
    own_engine: Engine, tenant: Tenant, stripe_double: StripeDouble, seed: int
) -> None:
    """All agrees to the cent, and enough came of it.

    A fifth of the calls fail, webhooks come twice, in no order or not at all, time jumps by a day,
    a week and a quarter, and the worker's process is killed twice. As many as one likes are played
    by `python -m tests.scenarios.many`.
    """
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=stripe_double.clock.now)
    backend = Doubled(stripe_double, tenant=tenant.name)
    run = Run(World(own_engine, tenant, backend), backend, seed, acts=8)

    run.play()

    assert complaints(run) == []
