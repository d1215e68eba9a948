"""A close races sixteen posters and always ties: five rounds of the longer run's two hundred."""

import pytest
from sqlalchemy import Engine

from kernel.database import Tenant
from tests.ledger.closing_race import run_round
from tests.ledger.drafts import prove_clean

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
