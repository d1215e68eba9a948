"""Which schedule a deal gets, and why: the strongest that fits, with the trace of all the others.

Source: domain/escrow.md 3.2, resolution order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final, NamedTuple

from commissions.model import Facts, Schedule, Scope, Side
from kernel.errors import Broken, Refusal

_STRENGTH: Final = attrgetter("strength")


class NoSchedule(Refusal):
    """No schedule is for this deal in this currency: not even a default one."""

    code = "fees.no_schedule"


class Step(NamedTuple):
    """One schedule that fitted, and how it stood: `won`, or by what it lost."""

    schedule_id: str
    level: str
    dimensions: tuple[str, ...]
    priority: int
    valid_from: datetime
    result: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The schedule that a deal gets, and every one that fitted, strongest first."""

    schedule: Schedule
    trace: tuple[Step, ...]


def fits(scope: Scope, facts: Facts) -> bool:
    """Whether a deal is in a scope: every dimension that matters is as it says."""
    for name, wanted in scope.wanted:
        if name == "arm":
            if wanted not in facts.arms:
                return False
        elif wanted != getattr(facts, name):
            return False
    return True


def choose(
    schedules: Iterable[Schedule], facts: Facts, *, side: Side, currency: str, at: datetime
) -> Choice:
    """The schedule of a side for a deal; refuses `fees.no_schedule`.

    Level first, then the number of dimensions, priority, and the newest first day. Broken on a
    tie: saving refused it.
    """
    fitting = [
        each
        for each in schedules
        if each.side is side
        and (not each.scope.wanted or fits(each.scope, facts))
        and each.is_in_force(at)
        and each.tariff(currency) is not None
    ]
    if not fitting:
        raise NoSchedule(side=side.value, currency=currency)
    fitting.sort(key=_STRENGTH)
    if len(fitting) > 1 and fitting[0].strength == fitting[1].strength:
        raise Broken("two fee schedules tie", ids=[str(each.id) for each in fitting[:2]])
    return Choice(fitting[0], tuple(_trace(fitting)))


def strength(schedule: Schedule) -> tuple[int, int, int, timedelta]:
    """What decides between schedules that fit, in order: the least is strongest."""
    return schedule.strength


def _trace(fitting: Sequence[Schedule]) -> Iterable[Step]:
    best = fitting[0]
    for each in fitting:
        yield Step(*each.told, "won" if each is best else lost_by(best=best, other=each))


def lost_by(best: Schedule, *, other: Schedule) -> str:
    """By what one schedule loses to another that is stronger."""
    ours, theirs = best.strength, other.strength
    if ours[0] != theirs[0]:
        return "level"
    if ours[1] != theirs[1]:
        return "dimensions"
    if ours[2] != theirs[2]:
        return "priority"
    if ours[3] != theirs[3]:
        return "newer"
    raise Broken("two fee schedules tie", ids=[best.id_text, other.id_text])
