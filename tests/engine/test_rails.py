"""Which rails serve a tenant: as its environment says, and never real money in a sandbox's time."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from engine.rails import RailHouse, of_tenant
from kernel import clock
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from rails import service
from rails.model import OperationKind, RailOperation

TEST_KEY = {"STRIPE_API_KEY": "sk_test_of_nobody"}
LIVE_KEY = {"STRIPE_API_KEY": "sk_live_of_nobody"}


def test_without_a_key_the_simulated_rail_serves(own_engine: Engine, tenant: Tenant) -> None:
    """It is where clients pay, and what moves money between banks."""
    house = RailHouse(own_engine, {})

    assert [rail.name for rail in house.every(tenant)] == ["simulated"]
    assert (house.default(tenant), house.bank(tenant)) == ("simulated", "simulated")
    assert house.find(tenant, "stripe") is None


def test_with_a_key_clients_pay_there(own_engine: Engine, tenant: Tenant) -> None:
    """The simulated rail stays for what was paid by it; bank files never take payments."""
    house = RailHouse(own_engine, {**TEST_KEY, "HOLDFAST_BANK": "files"})

    assert [rail.name for rail in house.every(tenant)] == ["stripe", "simulated", "bank"]
    assert (house.default(tenant), house.bank(tenant)) == ("stripe", "bank")


def test_bank_files_may_be_for_one_tenant(own_engine: Engine, tenant: Tenant) -> None:
    """Beside it a tenant that plays goes on with the simulated bank."""
    mine = {f"HOLDFAST_BANK__{tenant.name.upper()}": "files"}
    others = {"HOLDFAST_BANK__ELSEWHERE": "files"}

    assert RailHouse(own_engine, mine).bank(tenant) == "bank"
    assert RailHouse(own_engine, others).bank(tenant) == "simulated"


def test_a_tenants_own_name_goes_before_the_name_alone() -> None:
    """Two marketplaces have two accounts at a rail."""
    said = {"STRIPE_API_KEY": "one", "STRIPE_API_KEY__SHOP": "other"}

    assert of_tenant(said, Tenant("shop"))["STRIPE_API_KEY"] == "other"
    assert of_tenant(said, Tenant("mart"))["STRIPE_API_KEY"] == "one"


@pytest.mark.parametrize(("key", "default"), [(TEST_KEY, "stripe"), (LIVE_KEY, "simulated")])
def test_a_live_key_moves_nothing_in_a_sandboxs_time(
    own_engine: Engine, tenant: Tenant, key: dict[str, str], default: str
) -> None:
    """Who plays with the clock never moves real money."""
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=datetime(2026, 3, 2, tzinfo=UTC))

    assert RailHouse(own_engine, key).default(tenant) == default


def test_a_live_key_serves_a_tenant_that_lives_by_the_real_clock(
    own_engine: Engine, tenant: Tenant
) -> None:
    """It is where clients pay from then on."""
    assert RailHouse(own_engine, LIVE_KEY).default(tenant) == "stripe"


def test_without_its_key_a_real_tenant_takes_no_play_money(
    own_engine: Engine, tenant: Tenant
) -> None:
    """What clients pay is written down for the rail that was there, and waits for its key."""
    asked = RailOperation(
        id=new_id(),
        kind=OperationKind.FUND,
        handler="escrow.funding",
        subject=f"funding:{new_id()}",
        amount_minor=1_000,
        currency="EUR",
        method="pm_card_visa",
        rail="stripe",
    )
    with transaction(own_engine, tenant) as connection:
        service.intend(connection, [asked], at=datetime(2026, 3, 2, tzinfo=UTC))

    house = RailHouse(own_engine, {})

    assert house.default(tenant) == "stripe"
    assert house.find(tenant, "stripe") is None
