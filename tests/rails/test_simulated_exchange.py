"""Exchange at the simulated bank: both sides move at once, once per fill, never on credit."""

from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import Engine

from rails.model import RailAccount
from rails.simulated import exchange
from rails.simulated.exchange import Fill
from rails.simulated.service import SimulatedRail
from tests.rails.builders import NOON, capital

BANK = RailAccount.CUSTODY_BANK
EURO_FOR_YEN = Fill(
    id=UUID(int=1), account=BANK, sold="EUR", sold_minor=60_00, bought="JPY", bought_minor=9_600
)


@pytest.fixture
def rail(own_engine: Engine) -> SimulatedRail:
    """A rail whose custody bank has 100.00 EUR."""
    rail = SimulatedRail(own_engine, "test")
    rail.execute([capital(100_00)], at=NOON)
    return rail


def balances(rail: SimulatedRail) -> dict[str, int]:
    found = rail.balances(at=NOON)
    return {each.currency: each.amount_minor for each in found if each.account is BANK}


def test_a_fill_moves_both_sides_once(rail: SimulatedRail) -> None:
    """Asked for again it is made, and moves nothing."""
    for _ in range(2):
        assert exchange.fill(rail, [EURO_FOR_YEN], at=NOON) == {EURO_FOR_YEN.id}
        assert balances(rail) == {"EUR": 40_00, "JPY": 9_600}


def test_a_fill_that_the_account_cannot_pay_is_left(rail: SimulatedRail) -> None:
    """The next one, which it can pay, is made; what came in by one pays for another."""
    too_much = replace(EURO_FOR_YEN, id=UUID(int=2), sold_minor=50_00)
    back = Fill(
        id=UUID(int=3),
        account=BANK,
        sold="JPY",
        sold_minor=9_600,
        bought="KWD",
        bought_minor=20_000,
    )

    made = exchange.fill(rail, [EURO_FOR_YEN, too_much, back], at=NOON)

    assert made == {EURO_FOR_YEN.id, back.id}
    assert balances(rail) == {"EUR": 40_00, "JPY": 0, "KWD": 20_000}


def test_no_fills_are_no_work(rail: SimulatedRail) -> None:
    """And nothing is written."""
    assert exchange.fill(rail, [], at=NOON) == set()
    assert balances(rail) == {"EUR": 100_00}
