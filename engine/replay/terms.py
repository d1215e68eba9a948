"""What an hourly posting becomes: hours, a retainer, or either beside milestones.

Pure. Everything follows from the dice of the posting and the stated rates.
"""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from engine.replay.behaviour import RATES, Rates
from engine.replay.currencies import Local
from engine.replay.dice import Dice
from engine.replay.postings import Posting
from escrow.model_hourly import Collect
from escrow.model_hourly import Unused as UnusedDeposit
from escrow.model_retainer import Every, RetainerKind, Unused


class Form(StrEnum):
    """The kind of contract that a posting becomes."""

    MILESTONES = "milestones"
    HOURS = "hours"
    RETAINER = "retainer"
    MILESTONES_AND_HOURS = "milestones_and_hours"
    MILESTONES_AND_RETAINER = "milestones_and_retainer"


WITH_MILESTONES: Final = frozenset(
    {Form.MILESTONES, Form.MILESTONES_AND_HOURS, Form.MILESTONES_AND_RETAINER}
)
WITH_HOURS: Final = frozenset({Form.HOURS, Form.MILESTONES_AND_HOURS})
WITH_RETAINER: Final = frozenset({Form.RETAINER, Form.MILESTONES_AND_RETAINER})

WEEKS: Final = MappingProxyType(
    {
        "Less than 1 month": (1, 4),
        "1 to 3 months": (4, 13),
        "3 to 6 months": (13, 24),
        "More than 6 months": (20, 26),
    }
)
"""Weeks of work, by the duration that a posting names."""

HOURS: Final = MappingProxyType({"30+ hrs/week": (30, 40), "Less than 30 hrs/week": (4, 28)})
"""Hours per week, by the engagement that a posting names."""

_ANY_WEEKS: Final = (2, 12)
_ANY_HOURS: Final = (5, 25)
_DAYS: Final = MappingProxyType(
    {Every.WEEK: 7, Every.TWO_WEEKS: 14, Every.MONTH: 30, Every.QUARTER: 91}
)
_SHORT: Final = MappingProxyType({Every.WEEK: 60, Every.TWO_WEEKS: 40})
_LONG: Final = MappingProxyType(
    {Every.WEEK: 8, Every.TWO_WEEKS: 17, Every.MONTH: 65, Every.QUARTER: 10}
)
_KINDS: Final = MappingProxyType(
    {
        RetainerKind.HOURS_DRAWDOWN: 60,
        RetainerKind.ACCESS_FEE: 20,
        RetainerKind.DELIVERABLE_QUOTA: 20,
    }
)
_UNUSED: Final = MappingProxyType({Unused.ROLL: 50, Unused.TO_CLIENT: 30, Unused.TO_PAYEE: 20})
_REST: Final = MappingProxyType({Unused.TO_CLIENT: 60, Unused.TO_PAYEE: 40})

LEAST_RETAINER_MINOR: Final = 2_000
_STEP_MINOR: Final = 500
_SHORT_WEEKS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Paying:
    """How a client pays what the engine charges by itself, week by week or period by period."""

    charge_fails: bool
    pays_late: bool
    late_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HoursPlan:
    """An hourly term: `minutes` a week are worked for `weeks` weeks; the rate is per hour."""

    term_id: UUID
    rate_minor: int
    minutes: int
    weeks: int
    raised_after: int | None
    collect: Collect
    unused: UnusedDeposit
    paying: Paying


@dataclass(frozen=True, slots=True, kw_only=True)
class RetainerPlan:
    """A retainer that is cancelled in its last period of `periods`."""

    retainer_id: UUID
    kind: RetainerKind
    every: Every
    amount_minor: int
    hourly_minor: int
    quota: int
    unused: Unused
    rest: Unused
    periods: int
    notice_days: int
    paying: Paying

    @property
    def days(self) -> int:
        """About how long a period is."""
        return _DAYS[self.every]


def form_of(dice: Dice, rates: Rates = RATES) -> Form:
    """What an hourly posting becomes."""
    drawn = dice.below("form", 10_000)
    for form, rate in (
        (Form.RETAINER, rates.by_retainer),
        (Form.MILESTONES_AND_RETAINER, rates.with_retainer),
        (Form.MILESTONES_AND_HOURS, rates.with_hours),
    ):
        drawn -= rate
        if drawn < 0:
            return form
    return Form.HOURS


def hours_plan(dice: Dice, posting: Posting, local: Local, rates: Rates = RATES) -> HoursPlan:
    """The hours of a posting with a rate, which is in dollars, as its client pays them."""
    assert posting.rate_minor is not None
    weeks = dice.between("weeks", lowest=_weeks(posting)[0], highest=_weeks(posting)[1])
    raised = dice.happens("raised", rates.rate_raised) and weeks > 2
    return HoursPlan(
        term_id=dice.new_id("hours", posting.posted_at),
        rate_minor=local.of(posting.rate_minor),
        minutes=_hours(dice, posting) * 60,
        weeks=weeks,
        raised_after=weeks // 2 if raised else None,
        collect=Collect.PREFUND if dice.happens("ahead", rates.paid_ahead) else Collect.ARREARS,
        unused=UnusedDeposit.RETURN
        if dice.happens("returned", rates.deposit_returned)
        else UnusedDeposit.ROLL,
        paying=_paying(dice, rates),
    )


def retainer_plan(dice: Dice, posting: Posting, local: Local, rates: Rates = RATES) -> RetainerPlan:
    """The retainer of a posting with a rate: what its hours of a period would cost."""
    assert posting.rate_minor is not None
    weeks = dice.between("weeks", lowest=_weeks(posting)[0], highest=_weeks(posting)[1])
    every = dice.weigh("every", _SHORT if weeks <= _SHORT_WEEKS else _LONG)
    kind = dice.weigh("kind_of_retainer", _KINDS)
    unused = Unused.TO_PAYEE if kind is RetainerKind.ACCESS_FEE else dice.weigh("unused", _UNUSED)
    cost = posting.rate_minor * _hours(dice, posting) * _DAYS[every] // 7
    is_hours = kind is RetainerKind.HOURS_DRAWDOWN
    return RetainerPlan(
        retainer_id=dice.new_id("retainer", posting.posted_at),
        kind=kind,
        every=every,
        amount_minor=local.of(max(LEAST_RETAINER_MINOR, cost // _STEP_MINOR * _STEP_MINOR)),
        hourly_minor=local.of(posting.rate_minor) if is_hours else 0,
        quota=dice.between("quota", lowest=2, highest=8)
        if kind is RetainerKind.DELIVERABLE_QUOTA
        else 0,
        unused=unused,
        rest=dice.weigh("rest", _REST),
        periods=max(1, weeks * 7 // _DAYS[every]),
        notice_days=min(14, _DAYS[every]),
        paying=_paying(dice, rates),
    )


def budget_beside(dice: Dice, posting: Posting) -> int:
    """What is paid by milestones in a contract that has hours or a retainer, too; minor units."""
    assert posting.rate_minor is not None
    hours = dice.between("hours_beside", lowest=5, highest=40)
    return posting.rate_minor * hours


def _weeks(posting: Posting) -> tuple[int, int]:
    return WEEKS.get(posting.duration, _ANY_WEEKS)


def _hours(dice: Dice, posting: Posting) -> int:
    lowest, highest = HOURS.get(posting.engagement, _ANY_HOURS)
    return dice.between("hours_a_week", lowest=lowest, highest=highest)


def _paying(dice: Dice, rates: Rates) -> Paying:
    return Paying(
        charge_fails=dice.happens("charge_fails", rates.charge_fails),
        pays_late=dice.happens("pays_late", rates.pays_late),
        late_days=dice.between("late_days", lowest=1, highest=20),
    )
