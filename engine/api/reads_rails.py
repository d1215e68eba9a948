"""What can be looked at of rails: the events that they sent, and what nobody could do with them."""

from collections.abc import Mapping
from dataclasses import fields
from hashlib import sha256
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import Connection

from engine.api.access import Scope
from engine.api.answers_rails import NoticeExceptionsAnswer, RailEventAnswer
from engine.api.calls import Look, Page, PageQuery, Read, after_numbers, declare, page_of
from engine.api.refusals import PlatformOnly
from rails import service, store_events
from rails.model_kept import EventState, KeptEvent
from rails.port import Rail

_MOST_EXCEPTIONS: Final = 500


class RailEventsQuery(PageQuery):
    """Which events: of which rail, and in which state."""

    rail: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,31}$")] | None = None
    state: EventState | None = None


def shown(rail: Rail) -> dict[str, Any]:
    """A rail with its flags, as JSON."""
    able = rail.capabilities
    flags = {each.name: getattr(able, each.name) for each in fields(able)}
    told = {name: dict(flag) if isinstance(flag, Mapping) else flag for name, flag in flags.items()}
    told.pop("rail_account")
    return {
        "name": rail.name,
        **told,
        "currencies": sorted(able.currencies),
        "resolve_by": able.resolve_by.value,
        "webhook_auth": able.webhook_auth.value,
    }


def event_as_json(kept: KeptEvent) -> dict[str, Any]:
    """An event for the API and the command line: its body stays where it is, named by its hash."""
    event = kept.event
    return {
        "event_no": str(kept.event_no),
        "rail": event.rail,
        "account": event.account,
        "event_id": event.event_id,
        "kind": event.kind,
        "object": event.object_ref,
        "authentic": event.authentic.value,
        "is_live": event.is_live,
        "body_sha256": sha256(event.body).hexdigest(),
        "occurred_at": event.occurred_at and event.occurred_at.isoformat(),
        "received_at": kept.received_at.isoformat(),
        "state": kept.state.value,
        "tries": kept.tries,
        "failures": kept.failures,
        "trouble": kept.trouble,
        "retry_at": kept.retry_at and kept.retry_at.isoformat(),
        "processed_at": kept.processed_at and kept.processed_at.isoformat(),
    }


def notice_exceptions(
    connection: Connection, *, limit: int = _MOST_EXCEPTIONS
) -> list[dict[str, Any]]:
    """Words of rails that nothing could be done with, oldest first."""
    return [
        {
            "rail": notice.rail,
            "notice_id": notice.notice_id,
            "kind": notice.kind,
            "object": notice.rail_ref,
            "operation_id": notice.operation_id and str(notice.operation_id),
            "occurred_at": notice.occurred_at.isoformat(),
            "trouble": trouble,
        }
        for notice, trouble in service.list_exceptions(connection, limit=limit)
    ]


def _events(connection: Connection, look: Look) -> Page:
    if look.sees_only is not None:
        raise PlatformOnly
    query = look.query
    rows = store_events.list_events(
        connection,
        after=after_numbers(look)[0],
        limit=query.limit + 1,
        rail=query.rail,
        state=query.state,
    )
    return page_of(rows, query.limit, show=event_as_json, key=lambda row: (row.event_no,))


def _exceptions(connection: Connection, look: Look) -> dict[str, Any]:
    if look.sees_only is not None:
        raise PlatformOnly
    return {"exceptions": notice_exceptions(connection)}


RAIL_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/rail_events",
        Scope.LEDGER_READ,
        _events,
        RailEventAnswer,
        summary="Events as rails sent them, and what became of each",
        query=RailEventsQuery,
        pages=True,
    ),
    declare(
        "/v1/rail_exceptions",
        Scope.LEDGER_READ,
        _exceptions,
        NoticeExceptionsAnswer,
        summary="Words of rails that nothing could be done with",
    ),
)
"""Every look at what rails said."""
