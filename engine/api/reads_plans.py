"""What can be looked at of plans and products: a party sees its own, and what is sold."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection

from commissions import store_plans
from commissions.model_plans import (
    OfferingState,
    offering_json,
    purchase_json,
    subscription_json,
)
from engine.api.access import Scope
from engine.api.answers_plans import OfferingAnswer, PurchaseAnswer, SubscriptionAnswer
from engine.api.calls import Look, Page, PageQuery, Read, after_id, by_id, declare, page_of


class OfferingsQuery(PageQuery):
    """Which versions; a party sees approved ones alone."""

    state: OfferingState | None = None


def _offerings(connection: Connection, look: Look) -> Page:
    query = look.query
    state = query.state if look.sees_only is None else OfferingState.APPROVED
    rows = store_plans.list_offerings(
        connection, after=after_id(look), limit=query.limit + 1, state=state
    )
    return page_of(rows, query.limit, show=offering_json, key=by_id)


def _offering(connection: Connection, look: Look) -> dict[str, Any] | None:
    wanted = look.ids["offering_id"]
    found = store_plans.find_offerings(connection, [wanted]).get(wanted)
    hidden = look.sees_only is not None and found and found.state is not OfferingState.APPROVED
    return None if found is None or hidden else offering_json(found)


def _subscriptions(connection: Connection, look: Look) -> Page:
    limit = look.query.limit
    rows = store_plans.list_subscriptions(
        connection, party_id=look.sees_only, after=after_id(look), limit=limit + 1
    )
    return page_of(rows, limit, show=subscription_json, key=by_id)


def _subscription(connection: Connection, look: Look) -> dict[str, Any] | None:
    found = store_plans.find_subscriptions(connection, [look.ids["subscription_id"]])
    if not found or look.sees_only not in {None, found[0].party_id}:
        return None
    return subscription_json(found[0])


def _purchases(connection: Connection, look: Look) -> Page:
    limit = look.query.limit
    rows = store_plans.list_purchases(
        connection, party_id=look.sees_only, after=after_id(look), limit=limit + 1
    )
    return page_of(rows, limit, show=purchase_json, key=by_id)


def _purchase(connection: Connection, look: Look) -> Mapping[str, Any] | None:
    found = store_plans.find_purchases(connection, [look.ids["purchase_id"]])
    if not found or look.sees_only not in {None, found[0].party_id}:
        return None
    return purchase_json(found[0])


_C: Final = Scope.CONTRACTS_READ

PLAN_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/offerings",
        _C,
        _offerings,
        OfferingAnswer,
        summary="Versions of plans and products",
        query=OfferingsQuery,
        pages=True,
    ),
    declare("/v1/offerings/{offering_id}", _C, _offering, OfferingAnswer, summary="A version"),
    declare(
        "/v1/subscriptions",
        _C,
        _subscriptions,
        SubscriptionAnswer,
        summary="Who has which plan, or had",
        query=PageQuery,
        pages=True,
    ),
    declare(
        "/v1/subscriptions/{subscription_id}",
        _C,
        _subscription,
        SubscriptionAnswer,
        summary="A subscription",
    ),
    declare(
        "/v1/purchases",
        _C,
        _purchases,
        PurchaseAnswer,
        summary="What was paid for plans and products",
        query=PageQuery,
        pages=True,
    ),
    declare(
        "/v1/purchases/{purchase_id}",
        _C,
        _purchase,
        PurchaseAnswer,
        summary="What was paid for a time, and how much of it is earned",
    ),
)
"""Every look at plans, subscriptions and purchases."""
