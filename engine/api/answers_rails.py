"""The shapes of answers about rails: what they can do, and the events that they sent."""

from typing import Annotated, Literal

from pydantic import Field

from engine.api.answers import Answer, Number, OpenAnswer, TimeText


class TakenIn(Answer):
    """The event is kept; what it leads to is worked later."""

    received: Literal[True]


class RailAnswer(OpenAnswer):
    """A rail in use: what it can do. Hours, days and seconds; amounts in minor units."""

    name: str
    idempotency_ttl_hours: int
    partial_refund: bool
    refund_window_days: int
    separate_payout: bool
    late_return: bool
    clears_late: bool
    event_replay: bool
    statement: bool
    currencies: list[str]
    auth_hold_days: int
    partial_capture: bool
    multi_capture: bool
    hold_deadline_days: dict[str, int]
    split_release: bool
    reversal: bool
    payee_accounts: bool
    payee_onboarding: bool
    resolve_by: str
    webhook_auth: str
    disputes: bool
    fx: bool
    cancels: bool
    instant_payouts: bool
    available_at_once: bool
    amount_steps: dict[str, int]
    smallest_minor: dict[str, int]
    largest_minor: dict[str, int]
    poll_every_s: int


class RailsAnswer(Answer):
    """The rails in use."""

    rails: list[RailAnswer]


class RailEventAnswer(Answer):
    """An event as it came from a rail, without its body, and what became of it."""

    event_no: Number
    rail: str
    account: str
    event_id: str
    kind: str
    object: str
    authentic: Literal["signature", "api", "none"]
    is_live: bool
    body_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    occurred_at: TimeText | None
    received_at: TimeText
    state: Literal["new", "processed", "parked", "exception"]
    tries: int
    failures: int
    trouble: str
    retry_at: TimeText | None
    processed_at: TimeText | None


class NoticeExceptionAnswer(Answer):
    """A word of a rail that nothing could be done with."""

    rail: str
    notice_id: str
    kind: str
    object: str
    operation_id: str | None
    occurred_at: TimeText
    trouble: str


class NoticeExceptionsAnswer(Answer):
    """The oldest of them."""

    exceptions: list[NoticeExceptionAnswer]


class RetriedAnswer(OpenAnswer):
    """The event waits for the worker again."""

    event_no: Number
    state: Literal["parked"]
