"""What a rail's notices of chargebacks mean to us: each becomes a word, and each is heard once."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from escrow.model_chargeback import ChargebackState, Direction, Movement, Word
from escrow.refusals_chargeback import PaymentOpen
from escrow.service_chargeback import hear_chargebacks
from kernel.commands import Outcome
from kernel.principals import RAIL
from rails import service as rails
from rails.model import CHARGEBACK_FUNDS, Notice


def hear_notices(
    connection: Connection, notices: Sequence[Notice], *, at: datetime
) -> list[Outcome]:
    """Hear notices of chargebacks, in their order; what we could not book is among the outcomes.

    A notice on a payment of which we have not heard yet that it was made waits, and is heard again
    (domain/escrow.md 2.11, edge case 4).
    """
    outcomes = hear_chargebacks(connection, [word_of(notice, at) for notice in notices], at=at)
    early = [
        notice
        for notice, outcome in zip(notices, outcomes, strict=True)
        if outcome.code == PaymentOpen.code
    ]
    rails.park(connection, early, at=at)
    return [outcome for outcome in outcomes if outcome.code != PaymentOpen.code]


def word_of(notice: Notice, at: datetime) -> Word:
    """A notice as a word; KeyError or ValueError where it is not what rails agreed to say."""
    assert notice.operation_id is not None
    facts = notice.facts
    is_move = notice.kind == CHARGEBACK_FUNDS
    due_by = facts.get("due_by")
    movement = None
    if is_move:
        movement = Movement(
            notice.rail,
            facts["movement"],
            UUID(int=0),
            Direction(facts["direction"]),
            notice.amount_minor,
            int(facts["disputed_minor"]),
            notice.fee_minor,
            notice.occurred_at,
            at,
        )
    return Word(
        actor=RAIL,
        rail=notice.rail,
        rail_ref=facts["chargeback"],
        funding_id=notice.operation_id,
        currency=notice.currency,
        amount_minor=notice.amount_minor,
        occurred_at=notice.occurred_at,
        state=None if is_move else ChargebackState(facts["status"]),
        reason=str(facts.get("reason") or ""),
        due_by=datetime.fromisoformat(due_by) if due_by else None,
        movement=movement,
    )
