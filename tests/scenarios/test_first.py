"""One deal whose money is at Stripe, to the cent."""

import pytest
from sqlalchemy import Engine

from kernel import clock
from kernel.database import Tenant, transaction
from tests.doubles.fixtures import stripe_double
from tests.doubles.stripe_double.double import StripeDouble
from tests.scenarios.doubled import Doubled
from tests.scenarios.world import World, differences

__all__ = ["stripe_double"]


@pytest.fixture
def world(own_engine: Engine, tenant: Tenant, stripe_double: StripeDouble) -> World:
    """A tenant in a sandbox's time, at a double of the same time."""
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=stripe_double.clock.now)
    return World(own_engine, tenant, Doubled(stripe_double, tenant=tenant.name))


def test_a_payment_is_booked_by_its_balance_transaction(world: World) -> None:
    """Pending first, then available when Stripe says so; the fee is Stripe's own."""
    deal = world.deal(10_000)
    world.pay(deal, "pm_card_visa")

    world.settle()
    assert differences(world.booked(), world.backend.told()) == {}
    assert world.balance("custody.escrow", "EUR", deal.slot_id) == -10_000
    world.pass_time(days=8)
    world.settle()

    assert differences(world.booked(), world.backend.told()) == {}
    world.prove()


def test_a_payout_goes_by_the_payees_account(world: World, stripe_double: StripeDouble) -> None:
    """A transfer to his account, a payout from there; both are in the books while under way."""
    deal = world.deal(10_000)
    world.pay(deal, "pm_card_visa")
    method_id = world.open_account(deal.payee)
    world.settle()
    account = world.account_of(deal.payee)
    stripe_double.verify(account)
    world.settle()
    world.submit(deal)
    world.approve(deal)
    world.pass_time(days=8)
    world.settle()
    payout_id = world.pay_out(deal.payee, method_id, 9_000, "EUR")

    world.settle()
    assert world.state_of(payout_id) == "in_transit"
    assert differences(world.booked(), world.backend.told()) == {}
    world.pass_time(days=4)
    world.settle()

    assert world.state_of(payout_id) == "paid"
    assert differences(world.booked(), world.backend.told()) == {}
    assert stripe_double.operations_twice() == {}
    world.prove()
