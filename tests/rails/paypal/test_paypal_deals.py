"""Deals whose money is at PayPal: the books and PayPal's own balance agree to the cent."""

from collections.abc import Callable, Mapping
from uuid import UUID

import pytest
from sqlalchemy import Engine

from escrow import service as escrow
from escrow.commands import Fund
from escrow.model import Method
from kernel import clock
from kernel.database import Tenant, snapshot, transaction
from kernel.ids import new_id
from kernel.principals import Actor
from payouts import methods
from payouts.commands import AddMethod
from rails import service
from rails.model import RailAccount
from rails.paypal.rules import minor_of
from tests.doubles.frame import Delivery
from tests.doubles.paypal_double.state import money
from tests.rails.paypal.stage import Stage
from tests.scenarios.world import Deal, World, differences


class AtPaypal:
    """The double as the backend of a scenario."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.rail = stage.rail

    def pass_time(self, **by: float) -> None:
        self.stage.wait(**by)

    def deliver(self, take: Callable[[str, bytes, Mapping[str, str]], int]) -> None:
        def hand_over(sent: Delivery) -> int:
            return take("platform", sent.body, sent.headers)

        self.stage.double.deliveries.send_to(hand_over)
        self.stage.double.deliveries.deliver()

    def make_known(self, account: str) -> None:
        """Nobody has an account of his own here."""

    def told(self) -> dict[tuple[str, RailAccount, str], int]:
        held = self.stage.double.state.balance
        return {
            ("paypal", RailAccount.PROCESSOR_AVAILABLE, currency): minor_of(
                money(amount, currency)
            )[0]
            for currency, amount in held.items()
            if amount
        }


class Shop(World):
    """A marketplace where clients pay by PayPal."""

    backend: AtPaypal

    def pay(self, deal: Deal, method: str) -> UUID:
        """The client pays: an order is made, approved at PayPal, and captured by the worker."""
        funding_id = new_id()
        deal.funding_ids.append(funding_id)
        fund = Fund(
            actor=deal.client,
            slot_id=deal.slot_id,
            funding_id=funding_id,
            method=Method.CARD,
            method_token=method,
            rail_account="paypal",
        )
        self.do(escrow.fund, fund)
        self.settle()
        with snapshot(self.engine, self.tenant) as connection:
            (operation,) = service.list_operations(connection, [funding_id])
        assert self.backend.rail.payment_page(operation).url
        self.backend.stage.double.state.approve(operation.rail_ref)
        return funding_id

    def settle(self, most: int = 3) -> None:
        """A few rounds are enough here."""
        super().settle(most)

    def payout_method(self, payee: Actor, receiver: str) -> UUID:
        """Where a payee wants his money, usable after its cooling time."""
        assert payee.party_id is not None
        method_id = new_id()
        self.do(
            methods.add_methods,
            AddMethod(
                actor=payee,
                method_id=method_id,
                party_id=payee.party_id,
                token=f"paypal:{receiver}",
                rail="paypal",
            ),
        )
        return method_id


@pytest.fixture
def shop(own_engine: Engine, tenant: Tenant, stage: Stage) -> Shop:
    """A tenant in a sandbox's time, at a double of the same time."""
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=stage.now)
    return Shop(own_engine, tenant, AtPaypal(stage))


def test_a_deal_is_paid_by_paypal_and_paid_out_by_it(shop: Shop) -> None:
    """From the approval to the payee's account; what PayPal keeps is in the books."""
    currency = "JPY"
    deal = shop.deal(10_000, currency=currency)
    method_id = shop.payout_method(deal.payee, "payee@shop.test")
    shop.pay(deal, "paypal")
    shop.settle()
    assert shop.balance("custody.escrow", currency, deal.slot_id) == -10_000
    shop.submit(deal)
    shop.approve(deal)
    shop.pass_time(days=8)
    shop.settle()
    assert differences(shop.booked(), shop.backend.told()) == {}

    payout_id = shop.pay_out(deal.payee, method_id, 5_000, currency)
    shop.settle()
    shop.pass_time(minutes=5)
    shop.settle()

    assert shop.state_of(payout_id) == "paid"
    assert differences(shop.booked(), shop.backend.told()) == {}
    assert len(shop.backend.stage.double.state.captures) == 1
    assert len(shop.backend.stage.double.state.batches) == 1
    shop.prove()


def test_a_payout_that_nobody_claims_leaves_and_comes_back(shop: Shop) -> None:
    """Unclaimed is on its way; after thirty days it is the payee's again, but for the fee."""
    deal = shop.deal(10_000)
    method_id = shop.payout_method(deal.payee, "returned@shop.test")
    shop.pay(deal, "paypal")
    shop.settle()
    shop.submit(deal)
    shop.approve(deal)
    shop.pass_time(days=8)
    shop.settle()
    payout_id = shop.pay_out(deal.payee, method_id, 5_000, "EUR")
    shop.settle()
    shop.pass_time(minutes=5)
    shop.settle()
    state = shop.state_of(payout_id)
    assert differences(shop.booked(), shop.backend.told()) == {}

    shop.pass_time(days=31)
    shop.settle()

    assert (state, shop.state_of(payout_id)) == ("unclaimed", "returned")
    assert differences(shop.booked(), shop.backend.told()) == {}
    shop.prove()
