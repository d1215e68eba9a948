"""What can be looked at of the webhooks that we send: endpoints, deliveries, dead letters."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from engine.api.access import Scope
from engine.api.answers_webhooks import DeliveryAnswer, EndpointAnswer
from engine.api.calls import (
    Look,
    Page,
    PageQuery,
    Read,
    after_id,
    after_numbers,
    by_id,
    declare,
    page_of,
)
from engine.api.models import Id
from engine.api.refusals import PlatformOnly
from engine.webhooks import store
from engine.webhooks.model import Delivery, DeliveryState, Endpoint


class DeliveriesQuery(PageQuery):
    """Which deliveries: to which endpoint, and in which state; `dead` is the dead-letter list."""

    endpoint_id: Id | None = None
    state: DeliveryState | None = None


def endpoint_as_json(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint for the API, without its secrets."""
    return {
        "id": str(endpoint.id),
        "url": endpoint.url,
        "kinds": list(endpoint.kinds),
        "label": endpoint.label,
        "state": endpoint.state.value,
        "reason": endpoint.reason,
        "planned_to": str(endpoint.planned_to),
        "created_at": endpoint.made_at.isoformat(),
        "failing_since": _time(endpoint.failing_since),
        "disabled_at": _time(endpoint.disabled_at),
    }


def delivery_as_json(delivery: Delivery) -> dict[str, Any]:
    """A delivery for the API; of the receiver's answer only its status is known."""
    number = delivery.journal_no
    return {
        "delivery_no": str(delivery.delivery_no),
        "webhook_id": delivery.message_id,
        "endpoint_id": str(delivery.endpoint_id),
        "journal_no": None if number is None else str(number),
        "state": delivery.state.value,
        "tries": delivery.tries,
        "created_at": delivery.made_at.isoformat(),
        "next_at": _time(delivery.next_at),
        "tried_at": _time(delivery.tried_at),
        "ended_at": _time(delivery.ended_at),
        "status": delivery.status,
        "trouble": delivery.trouble,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _endpoints(connection: Connection, look: Look) -> Page:
    if look.sees_only is not None:
        raise PlatformOnly
    limit = look.query.limit
    rows = store.list_endpoints(connection, after=after_id(look), limit=limit + 1)
    return page_of(rows, limit, show=endpoint_as_json, key=by_id)


def _endpoint(connection: Connection, look: Look) -> dict[str, Any] | None:
    if look.sees_only is not None:
        raise PlatformOnly
    named = look.ids["endpoint_id"]
    found = store.find_endpoints(connection, [named]).get(named)
    return None if found is None else endpoint_as_json(found)


def _deliveries(connection: Connection, look: Look) -> Page:
    if look.sees_only is not None:
        raise PlatformOnly
    query = look.query
    rows = store.list_deliveries(
        connection,
        after=after_numbers(look)[0],
        limit=query.limit + 1,
        endpoint_id=query.endpoint_id,
        state=query.state,
    )
    return page_of(rows, query.limit, show=delivery_as_json, key=lambda row: (row.delivery_no,))


WEBHOOK_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/webhook_endpoints",
        Scope.EVENTS_READ,
        _endpoints,
        EndpointAnswer,
        summary="Receivers of our events",
        query=PageQuery,
        pages=True,
    ),
    declare(
        "/v1/webhook_endpoints/{endpoint_id}",
        Scope.EVENTS_READ,
        _endpoint,
        EndpointAnswer,
        summary="One receiver",
    ),
    declare(
        "/v1/webhook_deliveries",
        Scope.EVENTS_READ,
        _deliveries,
        DeliveryAnswer,
        summary="Deliveries to receivers; those that are dead wait for somebody",
        query=DeliveriesQuery,
        pages=True,
    ),
)
"""Every look at the webhooks that we send."""
