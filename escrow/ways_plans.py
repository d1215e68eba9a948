"""How the steps of subscriptions and purchases are asked for, and what their clocks set off."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from commissions import rules_plans as rules
from commissions import store_plans
from commissions.machine_plans import Trigger
from commissions.model_plans import Purchase, RefundRule, Role, Subscription, SubscriptionState
from escrow import service_plans
from escrow.commands_plans import CancelSubscription, ReturnProduct
from escrow.rules_plans import EARN, RENEW
from kernel import clock
from kernel.commands import Command
from kernel.errors import Refusal
from kernel.options import Way
from kernel.principals import Actor

CONSEQUENCES: Final = MappingProxyType(
    {
        RENEW: "The next period is charged; an ended plan is over.",
        EARN: "The day's part of the price is earned.",
    }
)
"""What each clock does when it rings."""


def _cancel(_connection: Connection, actor: Actor, subscription: Subscription) -> Command:
    return CancelSubscription(actor=actor, subscription_id=subscription.id)


def _return(_connection: Connection, actor: Actor, purchase: Purchase) -> Command:
    return ReturnProduct(actor=actor, purchase_id=purchase.id)


def _ends_now(connection: Connection, subscription: Subscription, _actor: Actor) -> bool:
    """Whether ending it takes effect at once: nothing runs, or something goes back."""
    if subscription.state is SubscriptionState.PAST_DUE:
        return True
    if subscription.refund is RefundRule.KEEPS:
        return False
    paid = store_plans.find_paid(connection, subscription.id)
    return paid is not None and rules.back_of(paid, clock.now(connection)).net_minor > 0


def _runs_out(connection: Connection, subscription: Subscription, actor: Actor) -> bool:
    return not _ends_now(connection, subscription, actor)


SUBSCRIPTION_WAYS: Final[Mapping[Trigger, Way]] = MappingProxyType(
    {
        Trigger.CANCEL: Way(service_plans.cancel_subscription, _cancel, applies=_runs_out),
        Trigger.CANCEL_NOW: Way(service_plans.cancel_subscription, _cancel, applies=_ends_now),
    }
)
"""Every step of people on a subscription that there is."""

PURCHASE_WAYS: Final[Mapping[Trigger, Way]] = MappingProxyType(
    {Trigger.GIVE_BACK: Way(service_plans.return_product, _return)}
)
"""Every step of people on what was paid for."""


def roles_of(party_id: UUID, actor: Actor) -> Collection[Role]:
    """The role in which an actor meets a party's plans; a stranger has none."""
    try:
        return (rules.role_of(actor, party_id),)
    except Refusal:
        return ()
