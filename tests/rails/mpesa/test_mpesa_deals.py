"""A deal whose money is at M-Pesa: paid by phone, released, and paid out to a phone."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine

from escrow import service as escrow
from escrow.commands import Fund
from escrow.model import Method
from kernel import clock
from kernel.database import Tenant, snapshot, transaction
from kernel.ids import new_id
from rails import service
from rails.model import RailAccount
from tests.doubles.frame import Delivery
from tests.rails.mpesa.stage import PHONE, Stage
from tests.scenarios.world import Deal, World, differences


class AtMpesa:
    """The double as the backend of a scenario."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.rail = stage.rail

    def pass_time(self, **by: float) -> None:
        self.stage.double.clock.advance(timedelta(**by))

    def deliver(self, take: Callable[[str, bytes, Mapping[str, str]], int]) -> None:
        def hand_over(sent: Delivery) -> int:
            return take(sent.endpoint, sent.body, sent.headers)

        self.stage.double.deliveries.send_to(hand_over)
        self.stage.double.deliveries.deliver()

    def make_known(self, account: str) -> None:
        """Nobody has an account of his own here."""

    def told(self) -> dict[tuple[str, RailAccount, str], int]:
        minor = self.stage.double.balance * 100
        return {("mpesa", RailAccount.PROCESSOR_AVAILABLE, "KES"): minor} if minor else {}


class Shop(World):
    """A marketplace where clients pay by M-Pesa."""

    backend: AtMpesa

    def settle(self, most: int = 3) -> None:
        """A few rounds are enough here."""
        super().settle(most)

    def pay(self, deal: Deal, method: str) -> UUID:
        """The client is asked on his phone and pays."""
        funding_id = new_id()
        deal.funding_ids.append(funding_id)
        fund = Fund(
            actor=deal.client,
            slot_id=deal.slot_id,
            funding_id=funding_id,
            method=Method.CARD,
            method_token=method,
            rail_account="mpesa",
        )
        self.do(escrow.fund, fund)
        self.settle()
        with snapshot(self.engine, self.tenant) as connection:
            (operation,) = service.list_operations(connection, [funding_id])
        self.backend.stage.double.answer_push(operation.rail_ref)
        return funding_id


@pytest.fixture
def shop(own_engine: Engine, tenant: Tenant, stage: Stage) -> Shop:
    """A tenant in a sandbox's time, at a double of the same time."""
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=stage.now)
    return Shop(own_engine, tenant, AtMpesa(stage))


def test_a_deal_is_paid_by_phone(shop: Shop) -> None:
    """What the client paid is his deal's, with our fee, and the books agree with M-Pesa."""
    deal = shop.deal(150_000, currency="KES")

    shop.pay(deal, f"mpesa:{PHONE}")
    shop.settle()

    assert shop.balance("custody.escrow", "KES", deal.slot_id) == -150_000
    assert differences(shop.booked(), shop.backend.told()) == {}
    assert list(shop.booked().values()) == [154_500]
    shop.prove()
