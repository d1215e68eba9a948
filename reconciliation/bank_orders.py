"""Lines of our banks that are about orders of ours: made, or come back. Payouts books them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from payouts import service_bank
from rails.bank.model import BankMatch, Heard
from rails.statements.model import StatementLine
from reconciliation.model_matching import plain
from reconciliation.store_orders import Order, list_orders


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What statements said of orders: how many were booked or came back, and what was odd."""

    booked: int
    returned: int
    refused: tuple[dict[str, Any], ...]


def confirm_orders(
    connection: Connection, place: str, lines: Sequence[StatementLine], *, at: datetime
) -> Confirmed:
    """Confirm the bank orders whose end-to-end id the lines carry; money first, returns then.

    `place` is the bank whose statement it is. A line that does not fit its order confirms nothing
    and is told; it stays an unmatched line.
    """
    named = [(found, line) for line in lines if (found := _order_id(line.end_to_end_id))]
    orders = {each.id: each for each in list_orders(connection, [found for found, _ in named])}
    made = [
        _match(Heard.BOOKED, order, line)
        for found, line in named
        if (order := orders.get(found)) and order.source == place and line.amount_minor < 0
    ]
    back = [
        _match(Heard.RETURNED, order, line)
        for found, line in named
        if (order := orders.get(found)) and order.source == place and line.amount_minor > 0
    ]
    made_outcomes = service_bank.confirm(connection, made, at) if made else []
    back_outcomes = service_bank.confirm(connection, back, at) if back else []
    return Confirmed(
        booked=sum(outcome.is_done for outcome in made_outcomes),
        returned=sum(outcome.is_done for outcome in back_outcomes),
        refused=tuple(
            {"code": outcome.code, **outcome.facts}
            for outcome in (*made_outcomes, *back_outcomes)
            if not outcome.is_done
        ),
    )


def _order_id(end_to_end_id: str) -> UUID | None:
    """The operation that an end-to-end id of ours names: its id without dashes."""
    told = plain(end_to_end_id).lower()
    try:
        return UUID(hex=told) if len(told) == 32 else None
    except ValueError:
        return None


def _match(heard: Heard, order: Order, line: StatementLine) -> BankMatch:
    """A booking must be of the whole order; of a return the bank may have kept something."""
    is_return = heard is Heard.RETURNED
    return BankMatch(
        operation_id=order.id,
        heard=heard,
        amount_minor=order.amount_minor if is_return else -line.amount_minor,
        currency=line.currency,
        statement_ref=line.ref or f"{line.booked_on.isoformat()}/{line.end_to_end_id}",
        occurred_at=datetime.combine(line.booked_on, time(12), UTC),
        kept_minor=order.amount_minor - line.amount_minor if is_return else 0,
        code="bank.returned" if is_return else "",
    )
