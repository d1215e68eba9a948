"""The commands on receivers of our events and on deliveries, but those that show a secret."""

from typing import Annotated, Any, Final

from pydantic import Field

from engine.api.access import Scope
from engine.api.answers_webhooks import EndpointActed, RedeliveredAnswer
from engine.api.calls import Given, Nothing, Subject, Write
from engine.api.models import Request, Text
from engine.webhooks.service import (
    ChangeEndpoint,
    PingEndpoint,
    Redeliver,
    Replay,
    UnknownEndpoint,
)
from kernel.commands import Command

ENDPOINT: Final = Subject("webhook_endpoint", "endpoint_id", UnknownEndpoint)
_ONE: Final = "/v1/webhook_endpoints/{endpoint_id}"

_Digits = Annotated[str, Field(pattern="^[0-9]{1,18}$")]


class DisableBody(Request):
    """Why nothing is sent there for now."""

    reason: Text = ""


class ReplayBody(Request):
    """From which number of the journal on."""

    from_journal_no: _Digits


class RedeliverBody(Request):
    """Which delivery."""

    delivery_no: _Digits


def _disable(given: Given[DisableBody]) -> Command:
    return ChangeEndpoint(
        actor=given.actor,
        endpoint_id=given.ids["endpoint_id"],
        enabled=False,
        reason=given.body.reason,
    )


def _enable(given: Given[Nothing]) -> Command:
    return ChangeEndpoint(actor=given.actor, endpoint_id=given.ids["endpoint_id"], enabled=True)


def _ping(given: Given[Nothing]) -> Command:
    return PingEndpoint(actor=given.actor, endpoint_id=given.ids["endpoint_id"])


def _replay(given: Given[ReplayBody]) -> Command:
    return Replay(
        actor=given.actor,
        endpoint_id=given.ids["endpoint_id"],
        from_journal_no=int(given.body.from_journal_no),
    )


def _redeliver(given: Given[RedeliverBody]) -> Command:
    return Redeliver(actor=given.actor, delivery_no=int(given.body.delivery_no))


def _on_endpoint(verb: str, body: Any, command: Any, summary: str) -> Write[Any]:  # noqa: ANN401
    return Write(
        path=f"{_ONE}/{verb}",
        service="webhooks.change" if verb in {"disable", "enable"} else f"webhooks.{verb}",
        scope=Scope.WEBHOOKS_WRITE,
        body=body,
        command=command,
        answer=EndpointActed,
        summary=summary,
        subject=ENDPOINT,
    )


WEBHOOKS: Final[tuple[Write[Any], ...]] = (
    _on_endpoint("disable", DisableBody, _disable, "Send nothing there for now (operator)"),
    _on_endpoint("enable", Nothing, _enable, "Send there again what waited (operator)"),
    _on_endpoint("test", Nothing, _ping, "Send a message that tells of no event (operator)"),
    _on_endpoint("replay", ReplayBody, _replay, "Send all from an event on once more (operator)"),
    Write(
        path="/v1/webhook_deliveries/redeliver",
        service="webhooks.redeliver",
        scope=Scope.WEBHOOKS_WRITE,
        body=RedeliverBody,
        command=_redeliver,
        answer=RedeliveredAnswer,
        summary="Have a delivery tried anew that is dead, or waits (operator)",
    ),
)
"""Every command on webhooks that is a command of a service."""
