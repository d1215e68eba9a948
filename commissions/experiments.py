"""Experiments on fees: who is in which arm, what each arm came to, and when to stop.

The unit is a client-payee pair or a client's organisation, never a payment: whoever is in an arm
stays in it. Pure; the ledger gives the figures.

Source: domain/escrow.md 3.2 (Experiment). Intervals: Wilson (1927) for shares, Newcombe (1998)
for their difference, Welch (1947) with the normal quantile for means.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, NamedTuple

from kernel.errors import Refusal

WHOLE_BPS: Final = 10_000
CONTROL: Final = "control"
_QUANTILE: Final = NormalDist().inv_cdf(0.975)
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

    value: float
    low: float
    high: float


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
            repeat_share=share(each.repeated, len(each.revenue_minor)),
            dispute_share=share(each.disputed, len(each.revenue_minor)),
            revenue_above_control_minor=mean_difference(each.revenue_minor, control.revenue_minor),
            disputes_above_control=share_difference(
                (each.disputed, len(each.revenue_minor)),
                (control.disputed, len(control.revenue_minor)),
            ),
        )
        for each in tallies
    ]


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


def mean_difference(these: Sequence[int], those: Sequence[int]) -> Interval:
    """How far one mean lies above another (Welch)."""
    one, one_error = _mean_and_error(these)
    other, other_error = _mean_and_error(those)
    gap, error = one - other, math.hypot(one_error, other_error)
    return Interval(gap, gap - _QUANTILE * error, gap + _QUANTILE * error)


def share(count: int, total: int) -> Interval:
    """A share of units (Wilson)."""
    found, square = count / total, _QUANTILE**2
    middle = (found + square / (2 * total)) / (1 + square / total)
    half = _QUANTILE / (1 + square / total)
    half *= math.sqrt(found * (1 - found) / total + square / (4 * total**2))
    return Interval(found, max(middle - half, 0.0), min(middle + half, 1.0))


def share_difference(these: tuple[int, int], those: tuple[int, int]) -> Interval:
    """How far one share lies above another, of (count, total) each (Newcombe, from Wilson)."""
    one, other = share(*these), share(*those)
    gap = one.value - other.value
    low = gap - math.hypot(one.value - one.low, other.high - other.value)
    high = gap + math.hypot(one.high - one.value, other.value - other.low)
    return Interval(gap, low, high)


def _mean_and_error(figures: Sequence[int]) -> tuple[float, float]:
    count = len(figures)
    middle = sum(figures) / count
    spread = sum((each - middle) ** 2 for each in figures) / (count - 1)
    return middle, math.sqrt(spread / count)
