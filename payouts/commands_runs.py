"""What payout runs and schedules can be asked to do."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from kernel.commands import Command
from payouts.model_runs import RunKind
from payouts.model_schedules import Rhythm


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSchedule(Command):
    """Say when a payee (None: everybody without a setting of his own) is paid by itself."""

    schedule_id: UUID
    payee_id: UUID | None
    currency: str
    valid_from_on: date
    rhythm: Rhythm
    minimum_minor: int = 0
    method_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareRun(Command):
    """List whom a run would pay; `due_from_on` is the first day whose payees it is about."""

    run_id: UUID
    currency: str
    kind: RunKind
    due_from_on: date
    cut_off_on: date
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveRun(Command):
    """A second person's word; `content` is the hash of what he has seen, in hex."""

    run_id: UUID
    content: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand(Command):
    """A command on a run that needs nothing more: start, stop, withdraw."""

    run_id: UUID
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareLimit(Command):
    """Up to what sum a scheduled run is paid without a person, once another has approved it."""

    limit_id: UUID
    currency: str
    limit_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveLimit(Command):
    """A second person's word on a limit, from now on."""

    limit_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SetInstantFee(Command):
    """What an instant payout costs from a time on; see `payouts.model_instant.InstantFee`."""

    currency: str
    valid_from: datetime
    rate_bps: int
    fixed_minor: int
    smallest_minor: int
    largest_minor: int | None
    is_on_top: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestInstant(Command):
    """Pay out at once; `fee_minor` is the fee that was quoted, so that nobody is surprised."""

    payout_id: UUID
    payee_id: UUID
    method_id: UUID
    amount_minor: int
    currency: str
    fee_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowInstant(Command):
    """Say whether a method may be paid at once."""

    method_id: UUID
    allowed: bool = True
