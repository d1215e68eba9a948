"""The stories that a sandbox of Stripe's can be asked to play, played at the double."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from kernel import clock
from kernel.database import Tenant, transaction
from tests.doubles.fixtures import stripe_double
from tests.doubles.stripe_double.double import StripeDouble
from tests.scenarios.doubled import Doubled
from tests.scenarios.story import STORIES, play
from tests.scenarios.world import World, differences

__all__ = ["stripe_double"]


@pytest.mark.parametrize("path", sorted(STORIES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_story_comes_true(
    own_engine: Engine, tenant: Tenant, stripe_double: StripeDouble, path: Path
) -> None:
    """Each step comes true, and in the end books and Stripe agree to the cent."""
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=stripe_double.clock.now)
    world = World(own_engine, tenant, Doubled(stripe_double, tenant=tenant.name))
    steps: list[str] = []

    play(world, path, steps.append)

    assert steps
    assert differences(world.booked(), world.backend.told()) == {}
    world.prove()
