"""When payees are paid by themselves: cadences, their days, and who set them."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from kernel.money import to_json


class Cadence(StrEnum):
    """How often money goes out by itself; MANUAL: only when it is asked for."""

    MANUAL = "manual"
    DAILY = "daily"
    WEEKLY = "weekly"
    TWICE_A_MONTH = "twice_a_month"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """The days of a cadence, all of them days of UTC.

    `weekday` is 1 (Monday) to 7, for WEEKLY. `day` is 1 to 31, for MONTHLY and TWICE_A_MONTH, with
    `second_day` above it for the latter; in a shorter month a day is its last.
    """

    cadence: Cadence
    weekday: int | None = None
    day: int | None = None
    second_day: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One setting of a payee, or of all without one of their own (`party_id` None).

    It counts from `valid_from_on` until a later one counts. Less than `minimum_minor` stays where
    it is until the next time. Without `method_id` the payee's newest usable method is taken.
    """

    id: UUID
    party_id: UUID | None
    currency: str
    valid_from_on: date
    rhythm: Rhythm
    minimum_minor: int
    method_id: UUID | None
    set_by: UUID
    set_at: datetime


def as_json(schedule: Schedule) -> dict[str, Any]:
    """The setting as the API shows it."""
    rhythm = schedule.rhythm
    return {
        "schedule_id": str(schedule.id),
        "party_id": str(schedule.party_id) if schedule.party_id else None,
        "currency": schedule.currency,
        "valid_from_on": schedule.valid_from_on.isoformat(),
        "cadence": rhythm.cadence.value,
        "weekday": rhythm.weekday,
        "day": rhythm.day,
        "second_day": rhythm.second_day,
        "minimum": to_json(schedule.minimum_minor, schedule.currency),
        "method_id": str(schedule.method_id) if schedule.method_id else None,
        "set_at": schedule.set_at.isoformat(),
    }
