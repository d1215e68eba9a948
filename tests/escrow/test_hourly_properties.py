"""What holds of all hours: never above the limit or the deposit, each minute once, rounded once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from escrow.maths_hourly import amount_minor, judge, lines_of, split_at_weeks, week_of
from escrow.model_hourly import (
    Collect,
    EntryState,
    Judged,
    Source,
    TimeEntry,
    Unprotected,
    Unused,
    WeekState,
)
from kernel.ids import new_id
from tests.escrow.stage import prove_books
from tests.escrow.stage_hourly import MONDAY, HourlyStage

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
SPRING = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = 366 * 24 * 60


def entry(start: int, minutes: int, rate: int, *, tracked: bool, late: bool = False) -> TimeEntry:
    """An entry of the first week, in minutes from its beginning."""
    begin = MONDAY + timedelta(minutes=start)
    return TimeEntry(
        new_id(),
        new_id(),
        new_id(),
        new_id(),
        MONDAY,
        new_id(),
        begin,
        begin + timedelta(minutes=minutes),
        Source.TRACKED if tracked else Source.MANUAL,
        "work",
        100,
        rate,
        EntryState.LATE_APPROVED if late else EntryState.LOGGED,
        1,
        method_verified=True,
        identity_verified=True,
        payee_clear=True,
        logged_at=begin,
    )


@st.composite
def entries(draw: st.DrawFn) -> list[TimeEntry]:
    """Entries that do not overlap, at few rates, in any order."""
    at, found = 0, []
    rates = draw(st.lists(st.integers(1, 20_000), min_size=1, max_size=3))
    for _ in range(draw(st.integers(0, 12))):
        at += draw(st.integers(0, 300))
        minutes = draw(st.integers(1, 600))
        found.append(entry(at, minutes, draw(st.sampled_from(rates)), tracked=draw(st.booleans())))
        at += minutes
    return draw(st.permutations(found))


def billed(judged: list[Judged]) -> int:
    return sum(each.billed_minutes for each in judged)


@given(entries(), st.integers(0, 4_000), st.integers(0, 4_000))
def test_no_minute_is_billed_above_the_limit(some: list[TimeEntry], limit: int, used: int) -> None:
    """All that fits is billed and no more, in time order; what is flagged is what is cut."""
    judged = judge(some, limit_minutes=limit, used_minutes=used, activity_floor=10)

    worked = sum(each.minutes for each in some)
    assert billed(judged) == min(worked, max(0, limit - used))
    assert [each.entry for each in judged] == sorted(some, key=lambda each: each.started_at)
    cuts = [each.billed_minutes < each.entry.minutes for each in judged]
    assert cuts == sorted(cuts)
    assert cuts == [each.over_limit for each in judged]
    for each in judged:
        assert each.is_protected == (each.reason is Unprotected.NONE)
        assert each.billed_minutes or not each.is_protected


@given(entries(), st.integers(1, 4_000), st.integers(1, 5_000_000))
def test_no_cent_is_billed_above_the_deposit(some: list[TimeEntry], limit: int, cover: int) -> None:
    """The lines cost at most what was paid ahead, and a minute more would cost too much."""
    judged = judge(some, limit_minutes=limit, used_minutes=0, activity_floor=10, cover_minor=cover)
    total = sum(line.amount_minor for line in lines_of(new_id(), judged))

    assert total <= cover
    assert billed(judged) <= limit
    free = judge(some, limit_minutes=limit, used_minutes=0, activity_floor=10)
    assert all(a.billed_minutes <= b.billed_minutes for a, b in zip(judged, free, strict=True))
    if sum(line.amount_minor for line in lines_of(new_id(), free)) <= cover:
        assert judged == free
    else:
        first = next(
            i
            for i, (a, b) in enumerate(zip(judged, free, strict=True))
            if a.billed_minutes < b.billed_minutes
        )
        cut = judged[first]
        judged[first] = replace(cut, billed_minutes=cut.billed_minutes + 1)
        assert sum(line.amount_minor for line in lines_of(new_id(), judged)) > cover


@given(entries(), st.integers(0, 4_000))
def test_lines_hold_every_billed_minute_once_and_round_once(
    some: list[TimeEntry], limit: int
) -> None:
    """One line per rate; its amount is the exact price, half a cent up; the protected part fits."""
    judged = judge(some, limit_minutes=limit, used_minutes=0, activity_floor=10)

    lines = lines_of(new_id(), judged)

    assert sum(line.minutes for line in lines) == billed(judged)
    assert [line.line_no for line in lines] == list(range(1, len(lines) + 1))
    assert len({(line.is_late, line.rate_minor) for line in lines}) == len(lines)
    for line in lines:
        exact_sixtieths = line.minutes * line.rate_minor
        assert abs(60 * line.amount_minor - exact_sixtieths) <= 30
        assert 0 <= line.protected_minor <= line.amount_minor
        assert 0 <= line.protected_minutes <= line.minutes


@given(st.integers(0, 100_000), st.integers(0, 100_000), st.integers(1, 10**9))
def test_a_line_costs_as_much_as_its_parts_within_a_cent(a: int, b: int, rate: int) -> None:
    """Rounding a line once differs from rounding its parts by a cent at most, and never falls."""
    whole = amount_minor(a + b, rate_minor=rate)
    parts = amount_minor(a, rate_minor=rate) + amount_minor(b, rate_minor=rate)

    assert abs(whole - parts) <= 1
    assert whole >= amount_minor(a, rate_minor=rate)


@given(st.sampled_from(ZONES), st.integers(0, YEAR), st.integers(1, 3 * 7 * 24 * 60))
def test_weeks_cut_time_without_gap_or_overlap(zone: str, start: int, minutes: int) -> None:
    """27, 28: whatever the clocks do, the parts join up, and each lies within one week."""
    here = ZoneInfo(zone)
    begin = SPRING + timedelta(minutes=start)
    end = begin + timedelta(minutes=minutes)

    parts = split_at_weeks(here, started_at=begin, ended_at=end)

    assert (parts[0][1], parts[-1][2]) == (begin, end)
    assert sum((stop - go for _, go, stop in parts), timedelta()) == end - begin
    for (_, _, stop), (week, go, _) in pairwise(parts):
        assert stop == go == week.starts_at
    for week, go, stop in parts:
        assert week.starts_at <= go < stop <= week.ends_at
        assert week == week_of(go, here)
        local = week.starts_at.astimezone(here)
        assert (local.weekday(), local.hour, local.minute) == (0, 0, 0)
        assert week_of(week.ends_at, here).starts_at == week.ends_at
        assert week.ends_at <= week.invoice_at <= week.review_ends_at


Spans = list[tuple[int, int]]


@pytest.mark.parametrize("collect", list(Collect))
@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    spans=st.lists(
        st.tuples(st.integers(0, 7 * 24 * 4 - 1), st.integers(1, 40)), min_size=1, max_size=12
    ),
    limit=st.integers(1, 60).map(lambda hours: hours * 60),
    rate=st.integers(1, 9_999),
)
def test_of_two_contracts_every_minute_is_billed_once_at_most(
    connection: Connection, collect: Collect, spans: Spans, limit: int, rate: int
) -> None:
    """Random hours, logged under both terms in turn: no minute twice, no week above its limit."""
    nested = connection.begin_nested()
    first = HourlyStage(
        connection, limit_minutes=limit, rate_minor=rate, collect=collect, unused=Unused.RETURN
    ).ready()
    second = HourlyStage(connection, limit_minutes=limit, rate_minor=rate)
    second.payee = first.payee
    second.ready()
    if collect is Collect.PREFUND:
        first.wait(minutes=1)
        assert first.hear().is_done
    later = MONDAY + timedelta(days=7)
    first.pass_to(later)
    second.now = later
    taken: set[int] = set()
    for number, (start, length) in enumerate(spans):
        stage = (first, second)[number % 2]
        begin = MONDAY + timedelta(minutes=15 * start)
        end = min(begin + timedelta(minutes=15 * length), later)
        minutes = set(range(start * 15, (end - MONDAY) // timedelta(minutes=1)))
        logged = stage.log((begin, end))
        assert logged.is_done == taken.isdisjoint(minutes), logged
        taken |= minutes if logged.is_done else set()

    first.pass_to(later + timedelta(hours=12))

    total = 0
    for stage in (first, second):
        week = stage.week()
        done = sum(each.billed_minutes for each in stage.entries())
        lines = stage.lines()
        assert done == sum(line.minutes for line in lines) <= limit
        assert week.amount_minor == sum(line.amount_minor for line in lines)
        assert (week.state is WeekState.CLOSED) == (not lines)
        total += done
    assert total <= len(taken)
    prove_books(connection)
    nested.rollback()
