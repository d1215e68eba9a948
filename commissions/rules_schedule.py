"""What a schedule must be beyond its prices: named plainly, of today, and another's to approve."""

import re
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from commissions.model import Basis, Mode, Schedule, Scope, Side
from commissions.model_schedule import Ending, ScheduleState, Version
from commissions.refusals_schedule import (
    ChangesThePast,
    FeesDecided,
    FeesFinanceOnly,
    NotReplaceable,
    SamePerson,
)
from commissions.rules import BadSchedule, check
from kernel.money import MAX_MINOR
from kernel.principals import Actor, PrincipalKind

MOST_TARIFFS: Final = 200
LONGEST_REASON: Final = 2_000
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:-]{1,80}", re.ASCII)
_COUNTRY: Final = re.compile(r"[A-Z]{2}", re.ASCII)
_WORDS: Final = ("promotion", "plan", "client_plan", "category", "origin")
_PRIORITIES: Final = 1_000_000


def check_person(actor: Actor) -> None:
    """Refuse anyone but a person with the finance right who speaks for no party."""
    if actor.kind is not PrincipalKind.PERSON or not actor.is_operator or actor.party_id:
        raise FeesFinanceOnly(principal_kind=actor.kind.value)


def check_reason(reason: str) -> None:
    """Refuses a reason that cannot be kept: `fees.bad_schedule`."""
    if len(reason) > LONGEST_REASON or "\0" in reason:
        raise BadSchedule(why="reason")


def check_version(version: Version) -> None:
    """Refuses `fees.bad_schedule`, `fees.above_amount`, `money.unknown_currency`."""
    schedule = version.schedule
    _check_words(schedule.name, schedule.scope)
    if not -_PRIORITIES <= schedule.priority <= _PRIORITIES:
        raise BadSchedule(why="priority")
    if len(schedule.tax_code) > 40 or not _PLAIN.fullmatch(schedule.tax_code):
        raise BadSchedule(why="tax_code")
    check_reason(version.reason)
    if len(schedule.tariffs) > MOST_TARIFFS:
        raise BadSchedule(why="tariffs")
    if schedule.mode is Mode.WHOLE_AMOUNT:
        # Its cliffs are for a closed period's total with a true-up, which no contract has yet.
        raise BadSchedule(why="whole_amount is not charged per payment")
    _check_promotion(version)
    check(schedule)


def check_first_day(version: Version, at: datetime) -> None:
    """Refuses a schedule that would hold before somebody approves it: `fees.changes_the_past`."""
    if version.schedule.valid_from < at:
        raise ChangesThePast(
            schedule_id=str(version.id), starts=version.schedule.valid_from.isoformat()
        )


def begun(version: Version, at: datetime) -> Version:
    """The version with its first day, where that is the day of its approval."""
    if not version.begins_when_approved:
        return version
    schedule = replace(version.schedule, valid_from=at)
    return replace(version, schedule=schedule, begins_when_approved=False)


def check_waiting(given: Version | Ending) -> None:
    """Refuses what was decided already: `fees.wrong_state`."""
    if given.state is not ScheduleState.PREPARED:
        raise FeesDecided(id=str(given.id), state=given.state.value)


def check_approver(prepared_by: UUID, actor: Actor) -> None:
    """Refuses the person who prepared it: `fees.same_person`."""
    if prepared_by == actor.principal_id:
        raise SamePerson


def check_end(version: Version, *, ends_at: datetime, at: datetime) -> None:
    """A schedule ends earlier than planned, and never before now.

    Refuses `fees.wrong_state`, `fees.changes_the_past`, `fees.bad_schedule`.
    """
    schedule = version.schedule
    if version.state is not ScheduleState.APPROVED:
        raise FeesDecided(id=str(version.id), state=version.state.value)
    if ends_at < at:
        raise ChangesThePast(schedule_id=str(version.id), starts=ends_at.isoformat())
    if ends_at < schedule.valid_from:
        raise BadSchedule(why="ends before it begins")
    if schedule.valid_to is not None and ends_at >= schedule.valid_to:
        raise BadSchedule(why="ends no earlier than planned")


def check_replaced(version: Version, elder: Version | None) -> None:
    """What a version replaces is approved, alike, and holds on its first day."""
    mine = version.schedule
    theirs = elder.schedule if elder else None
    is_elder = (
        elder is not None
        and theirs is not None
        and elder.state is ScheduleState.APPROVED
        and (theirs.side, theirs.scope, theirs.priority) == (mine.side, mine.scope, mine.priority)
        and theirs.valid_from <= mine.valid_from
        and (theirs.valid_to is None or mine.valid_from < theirs.valid_to)
    )
    if not is_elder:
        raise NotReplaceable(replaces=str(version.replaces))


def standing_beside(version: Version, others: list[Version]) -> list[Schedule]:
    """The schedules beside which a version must fit: its elder ends on its first day."""
    first = version.schedule.valid_from
    beside = []
    for other in others:
        schedule = other.schedule
        if other.id == version.replaces:
            if schedule.valid_from >= first:
                continue
            schedule = replace(schedule, valid_to=first)
        beside.append(schedule)
    return beside


def _check_words(name: str, scope: Scope) -> None:
    if not _PLAIN.fullmatch(name):
        raise BadSchedule(why="name")
    for word in _WORDS:
        value = getattr(scope, word)
        if value is not None and not _PLAIN.fullmatch(value):
            raise BadSchedule(why=word)
    arms = scope.arm.split("/") if scope.arm is not None else ["-", "-"]
    if len(arms) != 2 or not all(map(_PLAIN.fullmatch, arms)):
        raise BadSchedule(why="arm")
    if scope.country is not None and not _COUNTRY.fullmatch(scope.country):
        raise BadSchedule(why="country")
    if scope.basis is not None and scope.basis not in set(Basis) - {Basis.ANY}:
        raise BadSchedule(why="basis")
    for word in ("contract_id", "client_id"):
        _check_id(word, getattr(scope, word))


def _check_id(word: str, value: str | None) -> None:
    try:
        is_id = value is None or str(UUID(value)) == value
    except ValueError:
        is_id = False
    if not is_id:
        raise BadSchedule(why=word)


def _check_promotion(version: Version) -> None:
    schedule, promotion = version.schedule, version.promotion
    if (schedule.scope.promotion is None) != (promotion is None):
        raise BadSchedule(why="promotion")
    if promotion is None:
        return
    if schedule.side is not Side.PAYEE:
        raise BadSchedule(why="a promotion lowers the payee's fee")
    for limit in promotion.limits.values():
        for bound in limit:
            if bound is not None and not 0 <= bound <= MAX_MINOR:
                raise BadSchedule(why="budget")
    if not promotion.limits.keys() <= {each.currency for each in schedule.tariffs}:
        raise BadSchedule(why="budget")
