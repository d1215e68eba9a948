"""Experiments on fees: who is in which arm, what each arm came to, and when to stop.

The unit is a client-payee pair or a client's organisation, never a payment: whoever is in an arm
stays in it. Pure; the ledger gives the figures.

Source: domain/escrow.md 3.2 (Experiment). Intervals: Wilson (1927) for shares, Newcombe (1998)
for their difference, Welch (1947) with the normal quantile for means.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from kernel.errors import Refusal

WHOLE_BPS: Final = 10_000
CONTROL: Final = "control"
_QUANTILE: Final = Decimal("1.959963984540054")
"""Of the normal distribution: 97.5 % lie below it, so 95 % between it and its negative."""

_BUCKETS: Final = 2**64


class BadExperiment(Refusal):
    """The arms are not what an experiment needs; `why` says where."""

    code = "fees.bad_experiment"


class Arm(NamedTuple):
    """One way to charge, and the share of units that get it, in basis points."""

    name: str
    share_bps: int


@dataclass(frozen=True, slots=True)
class Experiment:
    """Arms with their shares; who is in none is held out, and charged as ever.

    `stop_after_units` ends it once every arm has so many units.
    """

    name: str
    arms: tuple[Arm, ...]
    stop_after_units: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What the ledger says of one arm: per unit its net revenue, and counts of units.

    `revenue_minor` has one figure for every unit; `repeated` and `disputed` count the units with
    a second contract, and with a dispute.
    """

    arm: str
    revenue_minor: Sequence[int]
    repeated: int
    disputed: int


class Interval(NamedTuple):
    """A figure and where it lies with 95 % confidence."""

    value: Decimal
    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class Readout:
    """One arm beside the control: figures with intervals, differences last."""

    arm: str
    units: int
    revenue_minor: Interval
    repeat_share: Interval
    dispute_share: Interval
    revenue_above_control_minor: Interval
    disputes_above_control: Interval


def check(experiment: Experiment) -> None:
    """Refuses `fees.bad_experiment`: a control, at least one other arm, shares up to the whole."""
    names = [arm.name for arm in experiment.arms]
    if CONTROL not in names or len(names) < 2 or len(set(names)) != len(names):
        raise BadExperiment(why="arms")
    if any(not name or "/" in name for name in (experiment.name, *names)):
        raise BadExperiment(why="name")
    if any(arm.share_bps <= 0 for arm in experiment.arms):
        raise BadExperiment(why="share")
    if sum(arm.share_bps for arm in experiment.arms) > WHOLE_BPS:
        raise BadExperiment(why="shares come to more than the whole")
    if experiment.stop_after_units < 1:
        raise BadExperiment(why="stop_after_units")


def assign(experiment: Experiment, unit: str) -> str | None:
    """The arm of a unit, always the same; None is held out.

    By the SHA-256 of experiment and unit, so two experiments cut the units independently.
    """
    digest = hashlib.sha256(f"{experiment.name}\0{unit}".encode()).digest()
    place = int.from_bytes(digest[:8], "big")
    end = 0
    for arm in experiment.arms:
        end += arm.share_bps
        if place * WHOLE_BPS < end * _BUCKETS:
            return arm.name
    return None


def read_out(tallies: Sequence[Tally]) -> list[Readout]:
    """Every arm beside the control; refuses `fees.bad_experiment` where an arm has no two units."""
    control = next((each for each in tallies if each.arm == CONTROL), None)
    if control is None or any(len(each.revenue_minor) < 2 for each in tallies):
        raise BadExperiment(why="too few units")
    return [
        Readout(
            arm=each.arm,
            units=len(each.revenue_minor),
            revenue_minor=mean(each.revenue_minor),
            repeat_share=share(count=each.repeated, total=len(each.revenue_minor)),
            dispute_share=_disputed(each),
            revenue_above_control_minor=mean_difference(
                these=each.revenue_minor, those=control.revenue_minor
            ),
            disputes_above_control=share_difference(this=_disputed(each), that=_disputed(control)),
        )
        for each in tallies
    ]


def _disputed(tally: Tally) -> Interval:
    return share(count=tally.disputed, total=len(tally.revenue_minor))


def stops(experiment: Experiment, readouts: Sequence[Readout]) -> str | None:
    """Why it is over: an arm brings surely more disputes, or every arm has its units; else None."""
    for each in readouts:
        if each.arm != CONTROL and each.disputes_above_control.low > 0:
            return f"disputes:{each.arm}"
    counted = {each.arm: each.units for each in readouts}
    if all(counted.get(arm.name, 0) >= experiment.stop_after_units for arm in experiment.arms):
        return "units"
    return None


def mean(figures: Sequence[int]) -> Interval:
    """The mean of at least two figures."""
    middle, error = _mean_and_error(figures)
    return Interval(middle, middle - _QUANTILE * error, middle + _QUANTILE * error)


def mean_difference(*, these: Sequence[int], those: Sequence[int]) -> Interval:
    """How far the mean of these lies above that of those (Welch)."""
    one, one_error = _mean_and_error(these)
    other, other_error = _mean_and_error(those)
    gap, error = one - other, _hypotenuse(one_error, other_error)
    return Interval(gap, gap - _QUANTILE * error, gap + _QUANTILE * error)


def share(*, count: int, total: int) -> Interval:
    """A share of units (Wilson)."""
    found, square = Decimal(count) / total, _QUANTILE**2
    middle = (found + square / (2 * total)) / (1 + square / total)
    half = _QUANTILE / (1 + square / total)
    half *= (found * (1 - found) / total + square / (4 * total**2)).sqrt()
    return Interval(found, max(middle - half, Decimal(0)), min(middle + half, Decimal(1)))


def share_difference(*, this: Interval, that: Interval) -> Interval:
    """How far one share lies above another (Newcombe, from Wilson's intervals)."""
    gap = this.value - that.value
    low = gap - _hypotenuse(this.value - this.low, that.high - that.value)
    high = gap + _hypotenuse(this.high - this.value, that.value - that.low)
    return Interval(gap, low, high)


def _hypotenuse(*sides: Decimal) -> Decimal:
    return sum((side**2 for side in sides), Decimal(0)).sqrt()


def _mean_and_error(figures: Sequence[int]) -> tuple[Decimal, Decimal]:
    count = len(figures)
    middle = Decimal(sum(figures)) / count
    spread = sum(((each - middle) ** 2 for each in figures), Decimal(0)) / (count - 1)
    return middle, (spread / count).sqrt()
