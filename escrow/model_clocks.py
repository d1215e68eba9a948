"""What clocks keep beside their timers: the tenant's rules, notices, limits of rails, reserves.

Amounts are minor units; rates are basis points. Rows stand in the order of their tables' columns.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from escrow.model import Role
from kernel.commands import Command


class NoticePolicy(StrEnum):
    """Whether a default by silence needs a recorded proof that the silent party was told.

    ASSUMED: the event in the log is the notice, and the platform passes events on. REQUIRED: a
    row of `notice` must stand, or the clock starts anew.
    """

    ASSUMED = "assumed"
    REQUIRED = "required"


class ReserveState(StrEnum):
    """Kept back from a release, then given to its payee."""

    KEPT = "kept"
    GIVEN = "given"


@dataclass(frozen=True, slots=True)
class ClockRules:
    """How a tenant's clocks run; `rule_no` 0: what holds while nothing was set.

    After an outage longer than `outage_after`, defaults by silence that fell due in it come
    `courtesy` later. A backlog is worked off at `drain_per_s` timers a second at most.
    """

    rule_no: int = 0
    outage_after: timedelta = timedelta(minutes=15)
    courtesy: timedelta = timedelta(hours=24)
    drain_per_s: int = 2_000
    notice: NoticePolicy = NoticePolicy.ASSUMED


@dataclass(frozen=True, slots=True)
class Concerned:
    """Whose subject a clock's is; `respondent` is who has to answer in a dispute."""

    contract_id: UUID
    client_id: UUID
    payee_id: UUID
    respondent: Role | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """That a party was told of a clock: how, when, and what proves it."""

    id: UUID
    subject: str
    kind: str
    party_id: UUID
    channel: str
    proof: str
    told_at: datetime
    recorded_by: UUID
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Untold:
    """A due clock whose silent party nobody is known to have told, and its whole length."""

    subject: str
    party_id: UUID
    length: timedelta


@dataclass(frozen=True, slots=True)
class Reserve:
    """A part of a release that is kept back until `due_at`."""

    id: UUID
    release_id: UUID
    contract_id: UUID
    payee_id: UUID
    currency: str
    amount_minor: int
    state: ReserveState
    kept_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class ReserveRule:
    """What part of a payee's releases is kept back, and for how many days."""

    payee_id: UUID
    reserve_bps: int
    reserve_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetClockRules(Command):
    """How clocks run from now on; contracts keep the policy on notices of their acceptance."""

    rules: ClockRules


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordNotice(Command):
    """That a party was told: by an operator or a program of the platform, or by itself."""

    notice_id: UUID
    subject: str
    kind: str
    party_id: UUID
    channel: str
    proof: str
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHoldLimit(Command):
    """How many days a rail account may keep client money."""

    rail_account: str
    most_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetReserveRule(Command):
    """What part of a payee's releases is kept back from now on; 0 basis points: nothing."""

    payee_id: UUID
    reserve_bps: int
    reserve_days: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveReserve(Command):
    """A reserve whose time is over; by the engine."""

    reserve_id: UUID
