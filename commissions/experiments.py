"""Experiments on fees: who is in which arm, what each arm came to, and when to stop.

The unit is a client-payee pair or a client's organisation, never a payment: whoever is in an arm
stays in it. Pure; the ledger gives the figures, as sums, so that no unit is held in memory.

Source: domain/escrow.md 3.2 (Experiment). Intervals: Wilson (1927) for shares, Newcombe (1998)
for their difference, Welch (1947) with the normal quantile for means.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple, Self

from kernel.errors import Refusal

WHOLE_BPS: Final = 10_000
MOST_ARMS: Final = 20
CONTROL: Final = "control"
HOLDOUT: Final = "holdout"
"""Those in no arm: charged as ever, and counted beside the arms."""

_QUANTILE: Final = Decimal("1.959963984540054")
"""Of the normal distribution: 97.5 % lie below it, so 95 % between it and its negative."""

_BUCKETS: Final = 2**64
MOST_UNITS: Final = 100_000_000
_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{1,80}")


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

    It ends once every arm has `stop_after_units` units, or an arm's share of units with a dispute
    surely lies more than `harm_bps` basis points above the control's.
    """

    name: str
    arms: tuple[Arm, ...]
    stop_after_units: int
    harm_bps: int = 0


class Figures(NamedTuple):
    """What a mean and its spread are made of: minor units of one currency.

    `squares` is the sum of the squared figures.
    """

    units: int
    total_minor: int
    squares: int

    @classmethod
    def of(cls, figures: Sequence[int]) -> Self:
        """The sums of figures that are at hand."""
        return cls(len(figures), sum(figures), sum(each**2 for each in figures))


class Part(NamedTuple):
    """So many units of those that are asked about."""

    number: int
    units: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What the books say of one arm.

    `revenue` has, by currency, one figure per unit with a contract in it. `repeated` and
    `disputed` are the units with a second contract, and with a dispute; `quiet` those that had
    time for a second contract and made none.
    """

    arm: str
    revenue: Mapping[str, Figures]
    repeated: Part
    disputed: Part
    quiet: Part

    @property
    def units(self) -> int:
        """All that joined."""
        return self.disputed.units


class Interval(NamedTuple):
    """A figure and where it lies with 95 % confidence."""

    value: Decimal
    low: Decimal
    high: Decimal


class Compared(NamedTuple):
    """A figure of an arm, and how far it lies above the control's; None: too few units."""

    figure: Interval | None
    above_control: Interval | None


@dataclass(frozen=True, slots=True)
class Readout:
    """One arm beside the control; `revenue` is the mean per unit in minor units, by currency."""

    arm: str
    units: int
    revenue: Mapping[str, Compared]
    repeated: Compared
    disputed: Compared
    quiet: Compared


def check(experiment: Experiment) -> None:
    """Refuses `fees.bad_experiment`: a control, at least one other arm, shares up to the whole."""
    names = [arm.name for arm in experiment.arms]
    if CONTROL not in names or len(names) < 2 or len(set(names)) != len(names):
        raise BadExperiment(why="arms")
    if len(names) > MOST_ARMS:
        raise BadExperiment(why="too many arms")
    if any(not _NAME.fullmatch(name) for name in (experiment.name, *names)) or HOLDOUT in names:
        raise BadExperiment(why="name")
    if any(arm.share_bps <= 0 for arm in experiment.arms):
        raise BadExperiment(why="share")
    if sum(arm.share_bps for arm in experiment.arms) > WHOLE_BPS:
        raise BadExperiment(why="shares come to more than the whole")
    if not 1 <= experiment.stop_after_units <= MOST_UNITS:
        raise BadExperiment(why="stop_after_units")
    if not 0 <= experiment.harm_bps <= WHOLE_BPS:
        raise BadExperiment(why="harm_bps")


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
    """Every arm beside the control; refuses `fees.bad_experiment` where there is none."""
    control = next((each for each in tallies if each.arm == CONTROL), None)
    if control is None:
        raise BadExperiment(why="no control")
    return [
        Readout(
            arm=each.arm,
            units=each.units,
            revenue={
                currency: _means(this=figures, that=control.revenue.get(currency))
                for currency, figures in sorted(each.revenue.items())
            },
            repeated=_shares(this=each.repeated, that=control.repeated),
            disputed=_shares(this=each.disputed, that=control.disputed),
            quiet=_shares(this=each.quiet, that=control.quiet),
        )
        for each in tallies
    ]


def _shares(*, this: Part, that: Part) -> Compared:
    if not this.units:
        return Compared(None, None)
    found = share(count=this.number, total=this.units)
    if not that.units:
        return Compared(found, None)
    other = share(count=that.number, total=that.units)
    return Compared(found, share_difference(this=found, that=other))


def _means(*, this: Figures, that: Figures | None) -> Compared:
    if this.units < 2:
        return Compared(None, None)
    if that is None or that.units < 2:
        return Compared(mean(this), None)
    return Compared(mean(this), mean_difference(these=this, those=that))


def stops(experiment: Experiment, readouts: Sequence[Readout]) -> str | None:
    """Why it is over: an arm brings surely more disputes, or every arm has its units; else None."""
    bound = Decimal(experiment.harm_bps) / WHOLE_BPS
    for each in readouts:
        gap = each.disputed.above_control
        if each.arm not in {CONTROL, HOLDOUT} and gap is not None and gap.low > bound:
            return f"disputes:{each.arm}"
    counted = {each.arm: each.units for each in readouts}
    if all(counted.get(arm.name, 0) >= experiment.stop_after_units for arm in experiment.arms):
        return "units"
    return None


def mean(figures: Figures) -> Interval:
    """The mean of at least two figures."""
    middle, error = _mean_and_error(figures)
    return Interval(middle, middle - _QUANTILE * error, middle + _QUANTILE * error)


def mean_difference(*, these: Figures, those: Figures) -> Interval:
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


def _mean_and_error(figures: Figures) -> tuple[Decimal, Decimal]:
    count, total, squares = figures
    assert count > 1
    # Whole numbers until here, so that nothing is lost between sums of like size.
    spread = Decimal(count * squares - total**2) / (count * (count - 1))
    return Decimal(total) / count, (spread / count).sqrt()
