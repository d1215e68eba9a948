"""What a fee schedule must be before anybody approves it, and where two of them would tie."""

from collections.abc import Iterable
from typing import Final

from commissions.model import Mode, Schedule, Tariff
from kernel.errors import Refusal
from kernel.money import MAX_MINOR, exponent

MOST_BANDS: Final = 100
MOST_BPS: Final = 10_000


class BadSchedule(Refusal):
    """The schedule cannot be what was meant; `why` says where."""

    code = "fees.bad_schedule"


class FeeAboveAmount(Refusal):
    """The schedule charges more than the payment itself: its rate is above one in one."""

    code = "fees.above_amount"


class Tie(Refusal):
    """Another schedule would win with the same right: neither is newer, nor of more weight."""

    code = "fees.tie"


class Overlap(Refusal):
    """Two versions for the same scope would hold at the same time."""

    code = "fees.overlap"


def check(schedule: Schedule) -> None:
    """Refuses `fees.bad_schedule` or `fees.above_amount`."""
    if schedule.version < 1:
        raise BadSchedule(why="version")
    if schedule.valid_to is not None and schedule.valid_to <= schedule.valid_from:
        raise BadSchedule(why="valid_to")
    if not schedule.tariffs:
        raise BadSchedule(why="tariffs")
    if len({each.currency for each in schedule.tariffs}) != len(schedule.tariffs):
        raise BadSchedule(why="currency")
    for tariff in schedule.tariffs:
        _check_tariff(tariff, schedule.mode)


def _check_tariff(tariff: Tariff, mode: Mode) -> None:
    exponent(tariff.currency)
    _check_bands(tariff)
    bounds = {
        "per_transaction": tariff.per_transaction_minor,
        "floor": tariff.floor_minor,
        "cap": tariff.cap_minor,
        "cap_month": tariff.cap_month_minor,
    }
    for name, bound in bounds.items():
        if bound is not None and not 0 <= bound <= MAX_MINOR:
            raise BadSchedule(why=name)
    if tariff.cap_minor is not None and tariff.cap_minor < tariff.floor_minor:
        raise BadSchedule(why="floor above cap")
    if mode is Mode.WHOLE_AMOUNT and any(bound is not None and bound for bound in bounds.values()):
        raise BadSchedule(why="a period's total has bands alone")


def _check_bands(tariff: Tariff) -> None:
    if not 1 <= len(tariff.bands) <= MOST_BANDS:
        raise BadSchedule(why=f"there are 1 to {MOST_BANDS} bands")
    *rising, last = tariff.bands
    if last.up_to_minor is not None or any(band.up_to_minor is None for band in rising):
        raise BadSchedule(why="the last band, and it alone, has no end")
    start = 0
    for end, rate_bps in tariff.bands:
        if rate_bps < 0:
            raise BadSchedule(why="rate")
        if rate_bps > MOST_BPS:
            raise FeeAboveAmount(rate_bps=rate_bps)
        if end is not None:
            if not start < end <= MAX_MINOR:
                raise BadSchedule(why="each band ends above the one before it")
            start = end


def check_beside(schedule: Schedule, others: Iterable[Schedule]) -> None:
    """Refuses one that some deal could not choose from: `fees.overlap` or `fees.tie`.

    Two scopes that a deal may fit both, of the same level, as many dimensions, one priority and
    one first day, tie. The newer first day wins otherwise.
    """
    for other in others:
        if other.id == schedule.id or other.side is not schedule.side:
            continue
        if not _meet_in_time(schedule, other) or not _share_a_currency(schedule, other):
            continue
        if other.scope == schedule.scope and other.priority == schedule.priority:
            raise Overlap(other=str(other.id))
        if _rank(schedule) == _rank(other) and _fit_together(schedule, other):
            raise Tie(other=str(other.id))


def _meet_in_time(one: Schedule, other: Schedule) -> bool:
    ends_before = one.valid_to is not None and one.valid_to <= other.valid_from
    begins_after = other.valid_to is not None and other.valid_to <= one.valid_from
    return not ends_before and not begins_after


def _share_a_currency(one: Schedule, other: Schedule) -> bool:
    return any(other.tariff(each.currency) for each in one.tariffs)


def _rank(schedule: Schedule) -> tuple[object, ...]:
    scope = schedule.scope
    return (scope.level, len(scope.named), schedule.priority, schedule.valid_from)


def _fit_together(one: Schedule, other: Schedule) -> bool:
    """Whether a deal can be in both scopes: no dimension is asked to be two things."""
    shared = set(one.scope.named) & set(other.scope.named)
    # A deal may be in arms of several experiments, but never in two arms of one.
    for name in shared:
        mine, theirs = getattr(one.scope, name), getattr(other.scope, name)
        if name == "arm":
            if mine != theirs and mine.split("/")[0] == theirs.split("/")[0]:
                return False
        elif mine != theirs:
            return False
    return True
