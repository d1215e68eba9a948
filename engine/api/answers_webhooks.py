"""The shapes of answers about the webhooks that we send."""

from typing import Literal

from engine.api.answers import Answer, IdText, Number, OpenAnswer, TimeText


class EndpointAnswer(Answer):
    """A receiver of our events; its secrets are never shown."""

    id: IdText
    url: str
    kinds: list[str]
    label: str
    state: Literal["active", "disabled"]
    reason: str
    planned_to: Number
    created_at: TimeText
    failing_since: TimeText | None
    disabled_at: TimeText | None


class NewEndpointAnswer(EndpointAnswer):
    """The same with the secret that signs, shown this once; a repeated call does not have it."""

    secret: str = ""


class EndpointActed(OpenAnswer):
    """What was done to an endpoint."""

    id: IdText


class DeliveryAnswer(Answer):
    """One event to one endpoint. `journal_no` is null for a test; times are real."""

    delivery_no: Number
    webhook_id: str
    endpoint_id: IdText
    journal_no: Number | None
    state: Literal["waiting", "delivered", "dead"]
    tries: int
    created_at: TimeText
    next_at: TimeText | None
    tried_at: TimeText | None
    ended_at: TimeText | None
    status: int | None
    trouble: str


class RedeliveredAnswer(OpenAnswer):
    """The delivery waits to be sent."""

    delivery_no: Number
    state: Literal["waiting"]
