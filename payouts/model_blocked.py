"""Blocks of sanctioned parties' money, their releases, and the commands on them."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from kernel.commands import Command
from kernel.money import to_json

REPORT_AFTER_BUSINESS_DAYS = 10
"""A blocking is reported within ten business days (31 CFR 501.603; domain/escrow.md section 5)."""

_SATURDAY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SanctionBlock:
    """Money of one party, currency and account that is blocked; `kind` is where it came from."""

    id: UUID
    party_id: UUID
    kind: str
    currency: str
    amount_minor: int
    list_name: str
    blocked_at: datetime
    report_due_on: date
    reported_on: date | None = None
    report_ref: str = ""
    release_id: UUID | None = None
    licence_ref: str | None = None
    released_at: datetime | None = None

    def is_late(self, on: date) -> bool:
        """Whether its report should have been made and was not."""
        return self.reported_on is None and on > self.report_due_on


@dataclass(frozen=True, slots=True, kw_only=True)
class SanctionRelease:
    """A wish to give all blocked money of a party back, under a licence; two people make it so."""

    id: UUID
    party_id: UUID
    licence_ref: str
    reason: str
    prepared_by: UUID
    prepared_at: datetime
    approved_by: UUID | None = None
    approved_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescreen(Command):
    """A list changed, and these are the parties that it names now, by id or reference."""

    list_name: str
    list_date: date
    party_ids: tuple[UUID, ...] = ()
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareRelease(Command):
    """Ask that all blocked money of a party goes back, under a licence."""

    release_id: UUID
    party_id: UUID
    licence_ref: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveRelease(Command):
    """The second person's word on a release."""

    release_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordReport(Command):
    """A blocking was reported to the authority, under its reference."""

    block_id: UUID
    reported_on: date
    report_ref: str


def report_due_on(blocked_on: date) -> date:
    """Ten business days after; Saturdays and Sundays do not count, holidays do: never too late."""
    day, left = blocked_on, REPORT_AFTER_BUSINESS_DAYS
    while left:
        day += timedelta(days=1)
        left -= day.weekday() < _SATURDAY
    return day


def block_facts(block: SanctionBlock) -> dict[str, Any]:
    """A block as the API shows it."""
    return {
        "id": str(block.id),
        "party_id": str(block.party_id),
        "from": block.kind,
        "amount": to_json(block.amount_minor, block.currency),
        "list": block.list_name,
        "blocked_at": block.blocked_at.isoformat(),
        "report_due_on": block.report_due_on.isoformat(),
        "reported_on": block.reported_on.isoformat() if block.reported_on else None,
        "report_ref": block.report_ref,
        "licence_ref": block.licence_ref,
        "released_at": block.released_at.isoformat() if block.released_at else None,
    }


def release_facts(release: SanctionRelease) -> dict[str, Any]:
    """A release as the API shows it."""
    return {
        "release_id": str(release.id),
        "party_id": str(release.party_id),
        "licence_ref": release.licence_ref,
        "reason": release.reason,
        "prepared_by": str(release.prepared_by),
        "prepared_at": release.prepared_at.isoformat(),
        "approved_by": str(release.approved_by) if release.approved_by else None,
        "approved_at": release.approved_at.isoformat() if release.approved_at else None,
    }
