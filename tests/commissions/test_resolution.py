"""Which schedule wins, why, and which pairs may not stand beside one another."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commissions import resolution, rules
from commissions.model import Band, Facts, Level, Mode, Schedule, Scope, Side, Tariff
from kernel.errors import Refusal
from tests.commissions.deals import tariff

START = datetime(2026, 1, 1, tzinfo=UTC)
TENTH = tariff((None, 1_000))

FACTS = Facts(
    contract_id="k1",
    promotion="spring",
    client_id="c1",
    plan="pro",
    client_plan="premium",
    arms=frozenset({"launch/b"}),
    category="design",
    origin="marketplace",
    country="KE",
    basis="milestone",
)
BY_LEVEL = {
    Level.CONTRACT: Scope(contract_id="k1"),
    Level.PROMOTION: Scope(promotion="spring"),
    Level.AGREEMENT: Scope(client_id="c1"),
    Level.PLAN: Scope(plan="pro"),
    Level.EXPERIMENT: Scope(arm="launch/b"),
    Level.CATEGORY: Scope(category="design"),
    Level.DEFAULT: Scope(),
}


def schedule(number: int, scope: Scope, **more: Any) -> Schedule:
    made = Schedule(
        id=UUID(int=number),
        name=f"s{number}",
        version=1,
        side=Side.PAYEE,
        mode=Mode.MARGINAL,
        scope=scope,
        priority=0,
        tariffs=(TENTH,),
        valid_from=START,
        valid_to=None,
        recorded_at=START,
    )
    return replace(made, **more)


def choose(*schedules: Schedule, facts: Facts = FACTS, **more: Any) -> resolution.Choice:
    asked: dict[str, Any] = {"side": Side.PAYEE, "currency": "EUR", "at": START} | more
    return resolution.choose(schedules, facts, **asked)


def test_the_order_of_levels_is_that_of_the_rules() -> None:
    """Taking the strongest away, the next one wins; the trace tells all, strongest first."""
    left = [schedule(i, scope) for i, scope in enumerate(BY_LEVEL.values(), 1)]
    levels = []
    while left:
        choice = choose(*reversed(left))
        assert [step.level for step in choice.trace] == [each.scope.level for each in left]
        assert {step.result for step in choice.trace[1:]} <= {"level"}
        levels.append(choice.schedule.scope.level)
        left.remove(choice.schedule)

    assert levels == list(Level)
    with pytest.raises(resolution.NoSchedule):
        choose()


def test_within_a_level_dimensions_then_priority_then_the_newest_win() -> None:
    """Each rule decides only what the one before it left open."""
    one = schedule(1, Scope(category="design"))
    two = schedule(2, Scope(category="design", country="KE"))
    wanted = schedule(3, Scope(category="design", origin="marketplace"), priority=5)
    newer = schedule(
        4, Scope(country="KE", origin="marketplace"), priority=5, valid_from=START + timedelta(1)
    )
    at = START + timedelta(2)

    choice = choose(one, two, wanted, newer, at=at)

    assert choice.schedule is newer
    assert [(step.schedule_id[-1], step.result) for step in choice.trace] == [
        ("4", "won"),
        ("3", "newer"),
        ("2", "priority"),
        ("1", "dimensions"),
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"side": Side.CLIENT},
        {"valid_from": START + timedelta(days=1)},
        {"valid_from": START - timedelta(days=9), "valid_to": START},
        {"tariffs": (tariff((None, 1), currency="USD"),)},
        {"scope": Scope(country="DE")},
        {"scope": Scope(arm="launch/a")},
    ],
)
def test_what_does_not_fit_is_not_looked_at(other: dict[str, Any]) -> None:
    """Another side, time, currency or deal: not even in the trace."""
    default = schedule(1, Scope())

    choice = choose(default, replace(schedule(2, Scope(category="design")), **other))

    assert choice.schedule is default
    assert len(choice.trace) == 1


def test_a_version_that_overlaps_is_refused() -> None:
    """The same scope at the same time; one after the other is fine, half-open."""
    first = schedule(1, Scope(category="design"), valid_to=START + timedelta(days=30))
    rules.check_beside(replace(first, id=UUID(int=2), valid_from=START + timedelta(30)), [first])

    with pytest.raises(rules.Overlap):
        rules.check_beside(replace(first, id=UUID(int=2), valid_to=None), [first])


def test_a_tie_is_refused_when_it_is_saved() -> None:
    """Both fit one deal with equal right; a priority, a first day or an excluding arm end it."""
    first = schedule(1, Scope(category="design"))
    second = schedule(2, Scope(country="KE"))
    with pytest.raises(rules.Tie):
        rules.check_beside(second, [first])

    rules.check_beside(replace(second, priority=1), [first])
    rules.check_beside(replace(second, valid_from=START + timedelta(days=1)), [first])
    rules.check_beside(schedule(3, Scope(category="music")), [first])
    dollars = (tariff((None, 1), currency="USD"),)
    rules.check_beside(replace(second, tariffs=dollars), [first])
    rules.check_beside(schedule(3, Scope(arm="x/a")), [schedule(4, Scope(arm="x/b"))])
    with pytest.raises(rules.Tie):
        rules.check_beside(schedule(3, Scope(arm="x/a")), [schedule(4, Scope(arm="y/a"))])


SCOPES = st.builds(
    Scope,
    contract_id=st.sampled_from([None, "k1"]),
    client_id=st.sampled_from([None, "c1"]),
    plan=st.sampled_from([None, "pro", "free"]),
    arm=st.sampled_from([None, "launch/a", "launch/b", "price/a"]),
    category=st.sampled_from([None, "design", "music"]),
    country=st.sampled_from([None, "KE"]),
)


@given(st.lists(st.tuples(SCOPES, st.integers(0, 1), st.integers(0, 2)), max_size=8))
def test_what_was_saved_never_ties(drawn: list[tuple[Scope, int, int]]) -> None:
    """Whatever passed the check beside the others, some deal finds exactly one winner."""
    saved: list[Schedule] = []
    for number, (scope, priority, day) in enumerate(drawn, 1):
        new = schedule(number, scope, priority=priority, valid_from=START + timedelta(days=day))
        try:
            rules.check_beside(new, saved)
        except Refusal:
            continue
        saved.append(new)
    arms = frozenset({"launch/b", "price/a"})
    for facts in (FACTS, replace(FACTS, arms=arms), replace(FACTS, plan="free", arms=arms)):
        try:
            choice = choose(*saved, facts=facts, at=START + timedelta(days=5))
        except resolution.NoSchedule:
            continue
        assert choice.trace[0].result == "won"


@pytest.mark.parametrize(
    ("code", "bad"),
    [
        ("fees.bad_schedule", {"tariffs": ()}),
        ("fees.bad_schedule", {"tariffs": (TENTH, TENTH)}),
        ("fees.bad_schedule", {"valid_to": START}),
        ("fees.bad_schedule", {"version": 0}),
        ("fees.bad_schedule", {"tariffs": (tariff((100, 1)),)}),
        ("fees.bad_schedule", {"tariffs": (tariff((None, 1), (None, 1)),)}),
        ("fees.bad_schedule", {"tariffs": (tariff((200, 1), (100, 1), (None, 1)),)}),
        ("fees.bad_schedule", {"tariffs": (tariff((None, -1)),)}),
        ("fees.bad_schedule", {"tariffs": (tariff((None, 1), floor_minor=5, cap_minor=4),)}),
        ("fees.bad_schedule", {"tariffs": (tariff((None, 1), per_transaction_minor=-1),)}),
        ("fees.above_amount", {"tariffs": (tariff((None, 10_001)),)}),
        (
            "fees.bad_schedule",
            {"mode": Mode.WHOLE_AMOUNT, "tariffs": (tariff((None, 1), floor_minor=1),)},
        ),
        ("money.unknown_currency", {"tariffs": (Tariff("XXX", (Band(None, 1),)),)}),
    ],
)
def test_a_schedule_that_cannot_be_meant_is_refused(code: str, bad: dict[str, Any]) -> None:
    """Each with its code, before anybody is asked to approve it."""
    rules.check(schedule(1, Scope()))

    with pytest.raises(Refusal) as refused:
        rules.check(schedule(1, Scope(), **bad))

    assert refused.value.code == code
