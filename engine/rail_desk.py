"""What people do about the events of rails: have one tried again that waits for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Refusal
from ledger.model import Draft
from ledger.service import post
from rails import store_events


class OperatorOnly(Refusal):
    """Only an operator may do this."""

    code = "rail.operator_only"


class EventNotWaiting(Refusal):
    """There is no such event, or it is processed, or it is new and will be worked anyway."""

    code = "rail.event_not_waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryEvent(Command):
    """Have a parked event, or an exception, tried again now."""

    event_no: int


def retry_events(
    connection: Connection, commands: Sequence[RetryEvent], *, at: datetime
) -> list[Outcome]:
    """Put events back into the worker's hands; each retry is an event of the log.

    Refuses with `rail.operator_only`, `rail.event_not_waiting`.
    """
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            if not command.actor.is_operator:
                raise OperatorOnly(event_no=command.event_no)
            if not store_events.save_retry(connection, command.event_no, at):
                raise EventNotWaiting(event_no=command.event_no)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        subject = f"rail_event:{command.event_no}"
        post(connection, [Draft("rail.event_retried", subject, command.actor, at)])
        outcomes.append(done(event_no=str(command.event_no), state="parked"))
    return outcomes
