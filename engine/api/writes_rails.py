"""The commands on the events of rails."""

from typing import Annotated, Any, Final

from pydantic import Field

from engine.api.access import Scope
from engine.api.answers_rails import RetriedAnswer
from engine.api.calls import Given, Write
from engine.api.models import Request
from engine.rail_desk import RetryEvent
from kernel.commands import Command


class RetryBody(Request):
    """Which event."""

    event_no: Annotated[str, Field(pattern="^[0-9]{1,18}$")]


def _retry(given: Given[RetryBody]) -> Command:
    return RetryEvent(actor=given.actor, event_no=int(given.body.event_no))


RAIL_WRITES: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/rail_events/retry",
        service="rails.retry_event",
        scope=Scope.RAILS_WRITE,
        body=RetryBody,
        command=_retry,
        answer=RetriedAnswer,
        summary="Have an event of a rail tried again now (operator)",
    ),
)
"""Every command on what rails said."""
