"""What is kept of a fee schedule beside its prices: who stood for it, its end, its promotion."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from commissions.model import Schedule, Scope, Tariff
from kernel.money import to_json


class ScheduleState(StrEnum):
    """What became of a schedule, or of its end: one person prepares, another approves."""

    PREPARED = "prepared"
    APPROVED = "approved"
    WITHDRAWN = "withdrawn"


class Limit(NamedTuple):
    """The most that a promotion may forgo in one currency, minor units; None: any.

    `party_limit_minor` bounds what one payee saves by it.
    """

    budget_minor: int | None = None
    party_limit_minor: int | None = None


NO_LIMIT = Limit()


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Who gets a promotion, how long, and how much it may cost us.

    `is_open`: every deal in scope; else only those that name it. It counts for releases before
    `applies_until`; None: for the life of the contract (edge case 26).
    """

    is_open: bool = False
    applies_until: datetime | None = None
    limits: Mapping[str, Limit] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A schedule with who prepared and approved it.

    `begins_when_approved`: no first day was named, and what the schedule shows is a stand-in until
    somebody approves it. `replaces` is the schedule that ends on its first day.
    """

    schedule: Schedule
    state: ScheduleState
    reason: str
    prepared_by: UUID
    approved_by: UUID | None = None
    decided_by: UUID | None = None
    decided_at: datetime | None = None
    begins_when_approved: bool = False
    replaces: UUID | None = None
    promotion: Promotion | None = None

    @property
    def id(self) -> UUID:
        """The schedule's."""
        return self.schedule.id

    @property
    def subject(self) -> str:
        """Its name in events."""
        return f"fee_schedule:{self.schedule.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """That a schedule shall hold no longer than until an instant, as two people say."""

    id: UUID
    schedule_id: UUID
    ends_at: datetime
    reason: str
    state: ScheduleState
    prepared_by: UUID
    prepared_at: datetime
    approved_by: UUID | None = None
    decided_by: UUID | None = None
    decided_at: datetime | None = None


def as_json(version: Version) -> dict[str, Any]:
    """A schedule as the API and the command line show it."""
    schedule, promotion = version.schedule, version.promotion
    return {
        "schedule_id": str(schedule.id),
        "name": schedule.name,
        "version": schedule.version,
        "side": schedule.side.value,
        "mode": schedule.mode.value,
        "state": version.state.value,
        "level": schedule.scope.level.value,
        "scope": scope_json(schedule.scope),
        "priority": schedule.priority,
        "valid_from": None if version.begins_when_approved else schedule.valid_from.isoformat(),
        "valid_to": _time(schedule.valid_to),
        "tax_code": schedule.tax_code,
        "tariffs": [_tariff_json(each, promotion) for each in schedule.tariffs],
        "promotion": None
        if promotion is None
        else {"is_open": promotion.is_open, "applies_until": _time(promotion.applies_until)},
        "replaces": None if version.replaces is None else str(version.replaces),
        "reason": version.reason,
        "recorded_at": schedule.recorded_at.isoformat(),
        "prepared_by": str(version.prepared_by),
        "approved_by": None if version.approved_by is None else str(version.approved_by),
        "decided_at": _time(version.decided_at),
    }


def scope_json(scope: Scope) -> dict[str, str]:
    """The dimensions that matter, by name."""
    return {name: getattr(scope, name) for name in scope.named}


def ending_json(ending: Ending) -> dict[str, Any]:
    """An end as the API shows it."""
    return {
        "ending_id": str(ending.id),
        "schedule_id": str(ending.schedule_id),
        "ends_at": ending.ends_at.isoformat(),
        "reason": ending.reason,
        "state": ending.state.value,
        "prepared_by": str(ending.prepared_by),
        "approved_by": None if ending.approved_by is None else str(ending.approved_by),
        "decided_at": _time(ending.decided_at),
    }


def _tariff_json(tariff: Tariff, promotion: Promotion | None) -> dict[str, Any]:
    def money(minor: int | None) -> dict[str, str] | None:
        return None if minor is None else to_json(minor, tariff.currency)

    limit = promotion.limits.get(tariff.currency, NO_LIMIT) if promotion else NO_LIMIT
    return {
        "currency": tariff.currency,
        "bands": [
            {"up_to": money(band.up_to_minor), "rate_bps": band.rate_bps} for band in tariff.bands
        ],
        "per_transaction": money(tariff.per_transaction_minor),
        "floor": money(tariff.floor_minor),
        "cap": money(tariff.cap_minor),
        "cap_month": money(tariff.cap_month_minor),
        "budget": money(limit.budget_minor),
        "party_limit": money(limit.party_limit_minor),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
