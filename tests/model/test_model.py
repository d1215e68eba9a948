"""The public services against plain models of domain/escrow.md, on the real database."""

from collections import Counter

import pytest
from sqlalchemy import Engine

from kernel.database import Tenant
from tests.model.bazaar_house import House
from tests.model.books import open_books
from tests.model.parts import Effect
from tests.model.play import KINDS, MILESTONES, play, play_until_all_is_done

MOST_IDLE = 400
"""About half of the examples of hypothesis are short; fewer acts than this is no test."""


@pytest.mark.slow
def test_milestones_do_what_the_model_says(own_engine: Engine, tenant: Tenant) -> None:
    """Whatever people, clocks and the rail do: answers, states, clocks and books are the model's.

    Always the same steps, in which every command and every clock takes effect at least once;
    `python -m tests.model` goes on for as long as one likes.
    """
    tally = play_until_all_is_done(MILESTONES, own_engine, tenant, steps=1_000)

    assert MILESTONES.not_done(tally) == []


@pytest.mark.slow
def test_every_kind_of_contract_does_what_the_model_says(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Who may act, the sums of slots and every balance are the model's, act by act.

    Always the same steps. Seldom commands take effect in longer runs alone, which say what never
    did: `python -m tests.model --world kinds`.
    """
    tally = play(KINDS, own_engine, tenant, steps=2_000)

    assert tally["acts"] > MOST_IDLE
    assert tally["untold"] < tally["acts"]
    assert len(KINDS.not_done(tally)) < len(KINDS.commands | KINDS.clocks) * 2 // 3


def test_a_cent_too_many_is_noticed(own_engine: Engine, tenant: Tenant) -> None:
    """An effect that is told wrong by one minor unit does not pass."""
    house = House(open_books(own_engine, tenant), Counter())
    house.begin(1)
    house.compare(Effect())
    wrong = Effect()
    wrong.put("custody.wallet", 1, house.clients[0].id)

    with pytest.raises(AssertionError, match=r"custody\.wallet"):
        house.compare(wrong)
    house.teardown()
