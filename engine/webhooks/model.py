"""Receivers of our events, deliveries to them, and when a delivery is tried again. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

TEST_KIND: Final = "webhook.test"
"""Kind of a message that tells of no event: somebody asked whether it arrives."""

WAITS: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=22),
)
"""After the first, second, ... try that failed; after the last of them, three days: dead.

Source: Standard Webhooks, "retry schedule".
"""

JITTER: Final = 0.2
"""The most that a wait grows by chance, so that receivers that come back are not run over."""

DISABLED_AFTER: Final = timedelta(days=5)
"""An endpoint that took nothing for so long is disabled."""

OVERLAP: Final = timedelta(hours=24)
"""How long a rotated secret still signs beside the new one, unless told."""


class EndpointState(StrEnum):
    """Whether an endpoint is sent to."""

    ACTIVE = "active"
    DISABLED = "disabled"


class DeliveryState(StrEnum):
    """How far a delivery is; DEAD is over until somebody has it delivered again."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A receiver. `kinds` are kinds of events, `escrow.*` for all of a room; none: every kind.

    Deliveries are written up to the number `planned_to` of the journal; each replay is a round.
    `failing_since` is real time.
    """

    id: UUID
    url: str
    kinds: tuple[str, ...]
    label: str
    state: EndpointState
    reason: str
    planned_to: int
    round_no: int
    made_at: datetime
    failing_since: datetime | None = None
    disabled_at: datetime | None = None

    def wants(self, kind: str) -> bool:
        """Whether events of this kind are told to it."""
        room = kind.partition(".")[0] + ".*"
        return not self.kinds or kind in self.kinds or room in self.kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event to one endpoint, tried until it arrives or is dead. Times are real."""

    delivery_no: int
    endpoint_id: UUID
    journal_no: int | None
    round_no: int
    state: DeliveryState
    tries: int
    made_at: datetime
    next_at: datetime | None = None
    tried_at: datetime | None = None
    ended_at: datetime | None = None
    status: int | None = None
    trouble: str = ""

    @property
    def message_id(self) -> str:
        """The `webhook-id`: the same however often, and in however many rounds, it is sent."""
        told = f"test_{self.delivery_no}" if self.journal_no is None else str(self.journal_no)
        return f"msg_{self.endpoint_id.hex}_{told}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one try: a status, or no answer and why. Bodies are never kept."""

    status: int | None
    trouble: str = ""
    retry_after: timedelta | None = None

    @property
    def is_taken(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants nothing any more (410)."""
        return self.status == 410


def wait_after(tries: int, *, chance: float, retry_after: timedelta | None) -> timedelta | None:
    """How long to wait after so many tries that failed; None: that was the last.

    Args:
        tries: how many there were, at least one.
        chance: from 0 to 1; how much of the jitter is added.
        retry_after: what the receiver asked for; heeded up to the longest wait.
    """
    if tries > len(WAITS):
        return None
    wait = WAITS[tries - 1] * (1 + JITTER * chance)
    return wait if retry_after is None else max(wait, min(retry_after, max(WAITS)))
