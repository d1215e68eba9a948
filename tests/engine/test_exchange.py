"""The simulated bank fills conversions a while after the deal, once, and never on credit."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from engine.exchange import fill_open
from escrow.service_fx import exposure
from kernel.database import Tenant, transaction
from kernel.errors import Broken
from ledger.proof import prove
from rails.model import RailAccount
from rails.simulated.service import SimulatedRail
from tests.escrow.stage_fx import Desk
from tests.rails.builders import capital


def test_a_conversion_is_filled_by_the_simulated_bank(own_engine: Engine, tenant: Tenant) -> None:
    """90.00 EUR at 1.0967 are 98.70 USD; bank and books hold the same afterwards."""
    rail = SimulatedRail(own_engine, tenant.name)
    with transaction(own_engine, tenant) as connection:
        desk = Desk(connection)
        desk.earn(9_000, "EUR")
        assert desk.convert(desk.quote(9_000).facts["quote_id"]).is_done
        assert len(exposure(connection)) == 2
    later = desk.now + timedelta(hours=1)

    early = fill_open(own_engine, tenant, rail, at=desk.now)
    poor = fill_open(own_engine, tenant, rail, at=later)
    rail.execute([capital(9_000)], at=later)
    filled = fill_open(own_engine, tenant, rail, at=later)
    again = fill_open(own_engine, tenant, rail, at=later)

    assert (early, poor, filled, again) == (0, 0, 1, 0)
    found = rail.balances(at=later)
    banks = {b.currency: b.amount_minor for b in found if b.account is RailAccount.CUSTODY_BANK}
    with transaction(own_engine, tenant) as connection:
        desk.connection = connection
        books = {code: desk.balance("custody.bank", code) for code in ("EUR", "USD")}
        assert exposure(connection) == []
        assert desk.balance("platform.revenue.fx_margin", "USD") == -149
        assert desk.balance("platform.expense.fx", "USD") == 31
        assert prove(connection).is_clean
    assert banks == books == {"EUR": 0, "USD": 9_870}


def test_a_fill_that_cannot_be_booked_does_not_undo_its_neighbours(
    own_engine: Engine, tenant: Tenant
) -> None:
    """More dollars than we keep books of: somebody is told, and the other fill is booked."""
    huge = 922_000_000_000_000
    rail = SimulatedRail(own_engine, tenant.name)
    with transaction(own_engine, tenant) as connection:
        desk = Desk(connection)
        desk.earn(huge + 9_000, "EUR")
        for amount in (huge, 9_000):
            assert desk.convert(desk.quote(amount).facts["quote_id"]).is_done
    later = desk.now + timedelta(hours=1)
    rail.execute([capital(huge + 9_000)], at=later)

    with pytest.raises(Broken, match="a fill that the bank made was refused"):
        fill_open(own_engine, tenant, rail, at=later)

    with transaction(own_engine, tenant) as connection:
        open_minor = {each.currency: each.open_minor for each in exposure(connection)}
        assert open_minor["EUR"] == -huge
