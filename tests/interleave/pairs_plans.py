"""Pairs of plans and products: charges of one balance, ends against clocks, holds."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from commissions.model_plans import Every, RefundRule
from engine.api.doors import place_holds
from escrow import service_plans
from escrow.commands_plans import BuyProduct, CancelSubscription, ReturnProduct, Subscribe
from escrow.rules_plans import EARN, RENEW
from kernel.commands import Outcome
from kernel.ids import new_id
from ledger.holds import HoldKind, PlaceHold
from tests.escrow.stage import Stage
from tests.escrow.stage_plans import Shop
from tests.interleave.scenes import Pair, rings


@dataclass
class Counter:
    """A payee's balance that does for one plan or one product, and a plan that he may have."""

    stage: Stage
    shop: Shop
    subscription_id: UUID
    purchase_id: UUID


def fresh(connection: Connection) -> Counter:
    """30.00, a plan at 17.99 and a product at 14.99; nothing is taken yet."""
    shop = Shop(connection)
    shop.earn(3_000)
    shop.sell(amount_minor=1_799, refund=RefundRule.PRO_RATA)
    shop.sell_product(amount_minor=1_499, refund=RefundRule.PRO_RATA)
    return Counter(Stage(connection), shop, new_id(), new_id())


def taken(connection: Connection) -> Counter:
    """The plan runs for five days."""
    found = fresh(connection)
    assert subscribe(found).is_done
    return later(found, days=5)


def bought(connection: Connection) -> Counter:
    """The product runs for five days."""
    found = fresh(connection)
    assert buy(found).is_done
    return later(found, days=5)


def both(connection: Connection) -> Counter:
    """The plan runs for five days, beside the product."""
    found = fresh(connection)
    found.shop.earn(10_000)
    assert subscribe(found).is_done
    assert buy(found).is_done
    return later(found, days=5)


def due(connection: Connection) -> Counter:
    """The plan's first month is over, and the money for the next is there."""
    found = fresh(connection)
    found.shop.earn(10_000)
    assert subscribe(found).is_done
    return later(found, days=31)


def poor(connection: Connection) -> Counter:
    """The plan's first month is over, and there is 12.01 left."""
    found = fresh(connection)
    assert subscribe(found).is_done
    return later(found, days=31)


def later(found: Counter, *, days: int) -> Counter:
    """Days that nobody has rung yet."""
    found.stage.now += timedelta(days=days)
    found.shop.now = found.stage.now
    return found


def subscribe(found: Counter) -> Outcome:
    shop = found.shop
    command = Subscribe(
        actor=shop.party,
        subscription_id=found.subscription_id,
        party_id=shop.party_id,
        plan="pro",
        currency="EUR",
        every=Every.MONTH,
    )
    return service_plans.subscribe(shop.connection, [command], at=shop.now)[0]


def buy(found: Counter) -> Outcome:
    shop = found.shop
    command = BuyProduct(
        actor=shop.party,
        purchase_id=found.purchase_id,
        party_id=shop.party_id,
        product="boost",
        currency="EUR",
        about="profile:1",
    )
    return service_plans.buy_product(shop.connection, [command], at=shop.now)[0]


def cancel(found: Counter) -> Outcome:
    shop = found.shop
    command = CancelSubscription(actor=shop.party, subscription_id=found.subscription_id)
    return service_plans.cancel_subscription(shop.connection, [command], at=shop.now)[0]


def give_back(found: Counter) -> Outcome:
    shop = found.shop
    command = ReturnProduct(actor=shop.party, purchase_id=found.purchase_id)
    return service_plans.return_product(shop.connection, [command], at=shop.now)[0]


def hold(found: Counter) -> Outcome:
    shop = found.shop
    command = PlaceHold(
        actor=shop.preparer,
        subject=f"party:{shop.party_id}",
        kind=HoldKind.COMPLIANCE,
        reason="a doubt",
    )
    return place_holds(shop.connection, [command], at=shop.now)[0]


PAIRS: Final = (
    Pair("plan taken / taken", fresh, subscribe, subscribe),
    Pair("plan taken / product bought", fresh, subscribe, buy),
    Pair("product bought / bought", fresh, buy, buy),
    Pair("plan taken / held", fresh, subscribe, hold),
    Pair("plan ended / ended", taken, cancel, cancel),
    Pair("plan ended / earns", taken, cancel, rings(EARN)),
    Pair("plan ended / product given back", both, cancel, give_back),
    Pair("product given back / given back", bought, give_back, give_back),
    Pair("product given back / earns", bought, give_back, rings(EARN)),
    Pair("plan ended / renewed", due, cancel, rings(RENEW)),
    Pair("plan renewed / renewed", due, rings(RENEW), rings(RENEW)),
    Pair("plan renewed / held", due, rings(RENEW), hold),
    Pair("plan fails / product bought", poor, rings(RENEW), buy),
)
