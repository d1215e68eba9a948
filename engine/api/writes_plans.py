"""The commands on plans and products: what is sold, by two operators; what is taken, by parties."""

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field

from commissions.model import Side
from commissions.model_plans import Every, OfferingKind, PriceOf, RefundRule
from commissions.refusals_plans import UnknownOffering, UnknownPurchase, UnknownSubscription
from commissions.rules_plans import MOST_DAYS, MOST_PRICES
from engine.api.access import Scope
from engine.api.answers_plans import OfferingAnswer, PurchaseAnswer, SubscriptionActed
from engine.api.calls import Given, Nothing, Subject, Write
from engine.api.models import Amount, Currency, Id, Request, Text, Time, Version
from engine.api.refusals import Invalid
from escrow.commands_plans import (
    BuyProduct,
    CancelSubscription,
    DecideOffering,
    PrepareOffering,
    ReturnProduct,
    Subscribe,
)
from kernel.commands import Command
from kernel.ids import new_id
from kernel.principals import Actor

OFFERING: Final = Subject("offering", "offering_id", UnknownOffering)
SUBSCRIPTION: Final = Subject("subscription", "subscription_id", UnknownSubscription)
PURCHASE: Final = Subject("purchase", "purchase_id", UnknownPurchase)

Name = Annotated[str, Field(pattern="^[a-z][a-z0-9_-]{0,39}$", examples=["pro"])]
"""A plan's or a product's name."""

About = Annotated[str, Field(pattern="^[A-Za-z0-9_.:-]{0,80}$", examples=["profile:1"])]
"""What a product promotes, by the marketplace's own name."""


class PriceBody(Request):
    """What a month, a year, or a product costs in one currency, without tax."""

    every: Every
    price: Amount


class OfferingBody(Request):
    """A new version. `side` says whose money pays; `days` is how long a product lasts.

    `refund`: ended early it keeps to its end, or the days not begun go back. Without prices it
    ends the sale of the name. `valid_from` None: from its approval on.
    """

    kind: OfferingKind
    name: Name
    side: Side
    refund: RefundRule = RefundRule.KEEPS
    prices: Annotated[tuple[PriceBody, ...], Field(max_length=MOST_PRICES)]
    days: Annotated[int, Field(ge=1, le=MOST_DAYS)] | None = None
    valid_from: Time | None = None
    reason: Annotated[Text, Field(min_length=1)]


class SubscribeBody(Request):
    """Which plan, in which currency, for which time. A party's own key needs no `party_id`.

    `offering_version` is the version whose price was shown: another one is refused.
    """

    plan: Name
    currency: Currency
    every: Every
    party_id: Id | None = None
    offering_version: Version | None = None


class BuyBody(Request):
    """Which product, and what it promotes. A party's own key needs no `party_id`."""

    product: Name
    currency: Currency
    about: About = ""
    party_id: Id | None = None
    offering_version: Version | None = None


class SeenBody(Request):
    """The version that the caller saw, if he wants no other."""

    version: Version | None = None


def prepare_command(body: OfferingBody, actor: Actor) -> PrepareOffering:
    """The command of a body."""
    return PrepareOffering(
        actor=actor,
        offering_id=new_id(),
        kind=body.kind,
        name=body.name,
        side=body.side,
        refund=body.refund,
        prices=tuple(
            PriceOf(each.price.currency, each.every, each.price.minor()) for each in body.prices
        ),
        days=body.days,
        wanted_from=body.valid_from,
        reason=body.reason,
    )


def _prepare(given: Given[OfferingBody]) -> Command:
    return prepare_command(given.body, given.actor)


def _decide(given: Given[Nothing]) -> Command:
    return DecideOffering(actor=given.actor, offering_id=given.ids["offering_id"])


def _party(given: Given[Any]) -> UUID:
    party_id: UUID | None = given.body.party_id or given.actor.party_id
    if party_id is None:
        raise Invalid(errors=[{"field": "party_id", "why": "say for whom"}])
    return party_id


def _subscribe(given: Given[SubscribeBody]) -> Command:
    body = given.body
    return Subscribe(
        actor=given.actor,
        subscription_id=new_id(),
        party_id=_party(given),
        plan=body.plan,
        currency=body.currency,
        every=body.every,
        offering_version=body.offering_version,
    )


def _cancel(given: Given[SeenBody]) -> Command:
    return CancelSubscription(
        actor=given.actor,
        subscription_id=given.ids["subscription_id"],
        version=given.body.version,
    )


def _buy(given: Given[BuyBody]) -> Command:
    body = given.body
    return BuyProduct(
        actor=given.actor,
        purchase_id=new_id(),
        party_id=_party(given),
        product=body.product,
        currency=body.currency,
        about=body.about,
        offering_version=body.offering_version,
    )


def _return(given: Given[SeenBody]) -> Command:
    return ReturnProduct(
        actor=given.actor, purchase_id=given.ids["purchase_id"], version=given.body.version
    )


def _decision(verb: str, summary: str) -> Write[Nothing]:
    return Write(
        path=f"/v1/offerings/{{offering_id}}/{verb}",
        service=f"plans.{verb}_offering",
        scope=Scope.MONEY_WRITE,
        body=Nothing,
        command=_decide,
        answer=OfferingAnswer,
        summary=summary,
        subject=OFFERING,
    )


PLANS: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/offerings",
        service="plans.prepare_offering",
        scope=Scope.MONEY_WRITE,
        body=OfferingBody,
        command=_prepare,
        answer=OfferingAnswer,
        summary="Prepare a version of a plan or a product; another person approves it",
        status=201,
    ),
    _decision("approve", "Sell a version that another person prepared"),
    _decision("reject", "Give a version up before it is sold"),
    Write(
        path="/v1/subscriptions",
        service="plans.subscribe",
        scope=Scope.MONEY_WRITE,
        body=SubscribeBody,
        command=_subscribe,
        answer=SubscriptionActed,
        summary="Take a plan and pay its first period from the balance",
        status=201,
    ),
    Write(
        path="/v1/subscriptions/{subscription_id}/cancel",
        service="plans.cancel_subscription",
        scope=Scope.MONEY_WRITE,
        body=SeenBody,
        command=_cancel,
        answer=SubscriptionActed,
        summary="End a plan, at its period's end or now, as its terms say",
        subject=SUBSCRIPTION,
    ),
    Write(
        path="/v1/purchases",
        service="plans.buy_product",
        scope=Scope.MONEY_WRITE,
        body=BuyBody,
        command=_buy,
        answer=PurchaseAnswer,
        summary="Buy a product for its days from the balance",
        status=201,
    ),
    Write(
        path="/v1/purchases/{purchase_id}/return",
        service="plans.return_product",
        scope=Scope.MONEY_WRITE,
        body=SeenBody,
        command=_return,
        answer=PurchaseAnswer,
        summary="Give a product back, where its terms allow that",
        subject=PURCHASE,
    ),
)
"""Every command on plans and products."""
