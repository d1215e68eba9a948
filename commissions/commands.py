"""What the keepers of fee schedules may ask for."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from commissions.model import Mode, Scope, Side, Tariff
from commissions.model_schedule import Promotion
from kernel.commands import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareSchedule(Command):
    """Draw up a schedule for its approver; versions of one name are counted.

    `valid_from` None: from its approval on. `replaces` ends on its first day. `promotion` where
    the scope names one.
    """

    schedule_id: UUID
    name: str
    side: Side
    scope: Scope
    tariffs: tuple[Tariff, ...]
    mode: Mode = Mode.MARGINAL
    priority: int = 0
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    tax_code: str = "standard"
    promotion: Promotion | None = None
    replaces: UUID | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideSchedule(Command):
    """Approve or withdraw a schedule."""

    schedule_id: UUID
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareEnding(Command):
    """Let a schedule end earlier, once another person approves."""

    ending_id: UUID
    schedule_id: UUID
    ends_at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideEnding(Command):
    """Approve or withdraw the end of a schedule."""

    ending_id: UUID
    reason: str = ""
