"""Roundings of processors, booked: the platform bears or gets the least of amounts (P46)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from kernel.errors import Broken, Refusal
from kernel.principals import Actor
from ledger.model import Draft
from ledger.service import post
from payouts.movements_settlement import MOST_MINOR, p46_rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounding:
    """A processor credited `short_minor` less than booked (below zero: more); why, in words.

    `rail_account` is empty for the custody bank. `most_minor` is larger than a rounding only where
    two people decided it.
    """

    rail_account: str
    currency: str
    short_minor: int
    actor: Actor
    reason: str
    most_minor: int = MOST_MINOR


def book_roundings(
    connection: Connection, roundings: Sequence[Rounding], *, at: datetime
) -> list[int]:
    """Book them, each by an event of its own; the events' numbers, in order.

    ValueError for one that is no rounding (P46); Broken if the books refuse it.
    """
    drafts = [
        Draft(
            kind="settlement.rounded",
            subject=f"rail_account:{each.rail_account}" if each.rail_account else "custody.bank",
            actor=each.actor,
            effective_at=at,
            entries=p46_rounding(
                rail_account=each.rail_account,
                currency=each.currency,
                short_minor=each.short_minor,
                most_minor=each.most_minor,
            ),
            reason=each.reason,
        )
        for each in roundings
    ]
    answers = post(connection, drafts) if drafts else []
    events: list[int] = []
    for answer in answers:
        if isinstance(answer, Refusal):
            raise Broken("the books refused a rounding", why=str(answer))
        events.append(answer.event_id)
    return events
