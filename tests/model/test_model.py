"""The public services against plain models of domain/escrow.md, on the real database."""

import pytest
from sqlalchemy import Engine

from kernel.database import Tenant
from tests.model.play import WORLDS, World, play_until_all_is_done


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_services_do_what_the_model_says(own_engine: Engine, tenant: Tenant, world: World) -> None:
    """Whatever people, clocks and the rail do: answers, states and books are the model's.

    Always the same steps, in which every public command and every clock takes effect at least
    once; `python -m tests.model` goes on for as long as one likes.
    """
    tally = play_until_all_is_done(world, own_engine, tenant, steps=1_000)

    assert world.not_done(tally) == []
