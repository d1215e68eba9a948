"""The public services against a plain model of domain/escrow.md, on the real database."""

import pytest
from sqlalchemy import Engine

from kernel.database import Tenant
from tests.model.play import not_done, play_until_all_is_done


@pytest.mark.slow
def test_services_do_what_the_model_says(own_engine: Engine, tenant: Tenant) -> None:
    """Whatever people, clocks and the rail do: answers, states, clocks and books are the model's.

    Always the same steps, in which every public command and every clock takes effect at least
    once; `python -m tests.model` goes on for as long as one likes.
    """
    tally = play_until_all_is_done(own_engine, tenant, steps=1_000)

    assert not_done(tally) == []
