"""What can be looked at of reservations; a party sees those of its own money."""

from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import Connection

from engine.api.access import Scope
from engine.api.answers_books import ReservationAnswer
from engine.api.calls import Look, Page, PageQuery, Read, after_id, by_id, declare, page_of
from ledger import reservations
from ledger.model_reservations import ReservationState
from ledger.rules_reservations import holder


class ReservationsQuery(PageQuery):
    """Which reservations; the filters are literal."""

    state: ReservationState | None = None
    kind: Annotated[str, Field(max_length=100)] | None = None
    subject: Annotated[str, Field(max_length=100)] | None = None


def _reservation(connection: Connection, look: Look) -> dict[str, Any] | None:
    named = look.ids["reservation_id"]
    row = reservations.find_many(connection, [named]).get(named)
    if row is None or (look.sees_only and holder(row.account) != str(look.sees_only)):
        return None
    return dict(reservations.as_json(row))


def _reservations(connection: Connection, look: Look) -> Page:
    query = look.query
    own = look.sees_only and str(look.sees_only)
    if own is not None and query.subject not in {None, own}:
        return Page([], None)
    rows = reservations.list_page(
        connection,
        after=after_id(look),
        limit=query.limit + 1,
        state=query.state and query.state.value,
        kind=query.kind,
        subject=own or query.subject,
    )
    return page_of(rows, query.limit, show=reservations.as_json, key=by_id)


RESERVATION_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/reservations",
        Scope.LEDGER_READ,
        _reservations,
        ReservationAnswer,
        summary="Money set aside",
        query=ReservationsQuery,
        pages=True,
    ),
    declare(
        "/v1/reservations/{reservation_id}",
        Scope.LEDGER_READ,
        _reservation,
        ReservationAnswer,
        summary="A reservation",
    ),
)
"""Every look at reservations."""
