"""A close races sixteen posters and always ties: five rounds of the longer run's two hundred."""

from collections.abc import Sequence
from datetime import datetime

import pytest
from sqlalchemy import Connection, Engine

from engine.group_commit import Door, GroupCommit
from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.principals import SYSTEM
from ledger.commands import PostDraft
from ledger.correction import post_drafts
from ledger.service import post
from tests.ledger.closing_race import run_round
from tests.ledger.drafts import fund, prove_clean, wallet
from tests.ledger.period_rows import IN_MARCH, period_at, soft_close

ROUNDS = 5


@pytest.mark.slow
def test_a_close_races_sixteen_posters_and_always_ties(own_engine: Engine, tenant: Tenant) -> None:
    """The stored trial balance is the one of the journal up to its number, and of all ever written.

    `python -m tests.ledger.closing_race --rounds 200` runs it longer.
    """
    for number in range(ROUNDS):
        answers = run_round(own_engine, tenant, number, seed=number)

        assert answers["ledger.period_not_open"] >= 4
        assert answers["done"] > 20
    prove_clean(own_engine, tenant)


def test_who_is_caught_by_a_soft_close_is_refused_by_name(
    own_engine: Engine, tenant: Tenant
) -> None:
    """A command whose period is softly closed before its commit runs again, and no 500 comes."""
    with transaction(own_engine, tenant) as connection:
        post(connection, [fund(1, wallet("first"), at=IN_MARCH)])
    period_id = period_at(own_engine, tenant, IN_MARCH)
    tries: list[int] = []

    def service(
        connection: Connection, commands: Sequence[PostDraft], *, at: datetime
    ) -> list[Outcome]:
        outcomes = post_drafts(connection, commands, at=at)
        if not tries:
            with transaction(own_engine, tenant) as another:
                assert soft_close(another, period_id).is_done
        tries.append(len(commands))
        return outcomes

    group = GroupCommit(own_engine, tenant, {"post": Door(service, lambda _: ())})
    command = PostDraft(actor=SYSTEM, draft=fund(5, wallet("ann"), at=IN_MARCH))
    outcome = group.submit("post", command).result(timeout=120)
    group.close()

    assert (outcome.code, tries) == ("ledger.period_not_open", [1, 1])
    assert outcome.facts["open_from"] == "2026-04-01T00:00:00+00:00"
