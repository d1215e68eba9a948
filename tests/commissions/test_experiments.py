"""Experiments on fees: stable arms in their shares, known intervals, and when one is over."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commissions.experiments import (
    Arm,
    BadExperiment,
    Experiment,
    Figures,
    Interval,
    Part,
    Tally,
    assign,
    check,
    mean,
    mean_difference,
    read_out,
    share,
    share_difference,
    stops,
)

LAUNCH = Experiment("launch", (Arm("control", 4_000), Arm("low", 4_000)), stop_after_units=1_000)


def test_units_fall_into_arms_by_their_shares() -> None:
    """Of 20,000 units four in ten each way, two held out; the next experiment cuts them anew."""
    units = [f"pair-{number}" for number in range(20_000)]
    counted = Counter(assign(LAUNCH, unit) for unit in units)
    other = replace(LAUNCH, name="other")

    assert counted["control"] == pytest.approx(8_000, abs=300)
    assert counted["low"] == pytest.approx(8_000, abs=300)
    assert counted[None] == pytest.approx(4_000, abs=250)
    both = sum(assign(LAUNCH, unit) == assign(other, unit) == "low" for unit in units)
    assert both == pytest.approx(20_000 * 0.16, abs=250)


@given(st.text(max_size=40))
def test_a_unit_stays_in_its_arm(unit: str) -> None:
    """The same answer every time; an arm is only taken from whom a smaller share leaves out."""
    arm = assign(LAUNCH, unit)
    wider = replace(LAUNCH, arms=(LAUNCH.arms[0], Arm("low", 6_000)))

    assert assign(LAUNCH, unit) == arm
    if arm is not None:
        assert assign(wider, unit) == arm


@pytest.mark.parametrize(
    "bad",
    [
        {"arms": (Arm("low", 10_000),)},
        {"arms": (Arm("control", 5_000),)},
        {"arms": (Arm("control", 5_000), Arm("control", 5_000))},
        {"arms": (Arm("control", 5_000), Arm("low", 5_001))},
        {"arms": (Arm("control", 5_000), Arm("low", 0))},
        {"arms": (Arm("control", 5_000), Arm("a/b", 5_000))},
        {"arms": (Arm("control", 5_000), Arm("holdout", 5_000))},
        {"arms": (Arm("control", 1), *(Arm(f"arm{n}", 1) for n in range(20)))},
        {"harm_bps": -1},
        {"name": ""},
        {"stop_after_units": 0},
    ],
)
def test_what_is_no_experiment_is_refused(bad: dict[str, object]) -> None:
    """A control and another arm, names without a slash, shares up to the whole."""
    check(LAUNCH)

    with pytest.raises(BadExperiment):
        check(replace(LAUNCH, **bad))  # type: ignore[arg-type]


ONE_TO_THREE = Figures.of([1, 2, 3])


def written(interval: Interval) -> list[str]:
    return [f"{figure:.4f}" for figure in interval]


def test_intervals_are_the_textbook_s() -> None:
    """Wilson for 10 of 100 and for none of 20; Newcombe for 56/70 beside 48/80; a mean."""
    assert written(share(count=10, total=100)) == ["0.1000", "0.0552", "0.1744"]
    assert written(share(count=0, total=20)) == ["0.0000", "0.0000", "0.1611"]
    this, that = share(count=56, total=70), share(count=48, total=80)
    assert written(share_difference(this=this, that=that)) == ["0.2000", "0.0524", "0.3339"]
    assert written(mean(Figures.of([2, 4, 4, 4, 5, 5, 7, 9]))) == ["5.0000", "3.5184", "6.4816"]
    assert mean_difference(these=ONE_TO_THREE, those=ONE_TO_THREE).value == 0


def test_a_readout_finds_what_was_planted_and_stops() -> None:
    """A cent of every ten more revenue, no more disputes: over when every arm has its units."""
    random = Random(5)
    revenue = [random.randint(500, 1_500) for _ in range(1_000)]
    control = tally("control", revenue, repeated=400, disputed=30)
    low = tally("low", [each + 100 for each in revenue], repeated=420, disputed=31)

    readouts = read_out([control, low])

    above = readouts[1].revenue["EUR"].above_control
    assert above is not None
    assert above.value == 100
    assert above.low > 0
    beside_itself = readouts[0].revenue["EUR"].above_control
    assert beside_itself is not None
    assert beside_itself.low < beside_itself.value == 0 < beside_itself.high
    assert stops(LAUNCH, readouts) == "units"
    assert stops(replace(LAUNCH, stop_after_units=1_001), readouts) is None
    angry = read_out([control, tally("low", revenue, repeated=400, disputed=90)])
    assert stops(LAUNCH, angry) == "disputes:low"
    assert stops(replace(LAUNCH, stop_after_units=1_001, harm_bps=1_000), angry) is None
    held_out = read_out([control, tally("holdout", revenue, repeated=400, disputed=90)])
    assert stops(LAUNCH, held_out) is None


def tally(arm: str, revenue: Sequence[int], *, repeated: int, disputed: int) -> Tally:
    """Every unit has a contract in euro and had time for another."""
    units = len(revenue)
    again, angry = Part(repeated, units), Part(disputed, units)
    gone = Part(units - repeated, units)
    return Tally(arm, {"EUR": Figures.of(revenue)}, repeated=again, disputed=angry, quiet=gone)


def test_too_few_units_have_no_interval() -> None:
    """One unit has no spread, none has no share; and nothing is beside a control that is empty."""
    nobody = tally("control", [], repeated=0, disputed=0)
    one = tally("low", [700], repeated=0, disputed=0)

    control, low = read_out([nobody, one])

    assert control.revenue["EUR"] == control.disputed == (None, None)
    assert low.revenue["EUR"] == (None, None)
    assert low.disputed.figure is not None
    assert low.disputed.above_control is None
    assert stops(LAUNCH, [control, low]) is None
    with pytest.raises(BadExperiment):
        read_out([one])


@given(st.lists(st.integers(-(10**15), 10**15), min_size=2, max_size=30))
def test_sums_give_the_spread_of_the_figures(figures: list[int]) -> None:
    """A mean and its spread from three sums are those of the figures one by one, to 20 digits."""
    found = mean(Figures.of(figures))
    middle = Fraction(sum(figures), len(figures))
    squares = sum(((each - middle) ** 2 for each in figures), Fraction(0))
    variance = squares / (len(figures) - 1)

    half = Fraction(found.high - found.low) / 2
    exact = Fraction(Decimal("1.959963984540054")) ** 2 * variance / len(figures)
    assert abs(half**2 - exact) <= exact / 10**18 + Fraction(1, 10**6)
    assert abs(Fraction(found.value) - middle) <= Fraction(1, 10**6)
