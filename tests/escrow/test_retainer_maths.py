"""Anchors never drift, days are counted to the cent, and what rolls never exceeds what is there."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as some

from escrow.maths_retainer import (
    Chunk,
    carry,
    earned_by_time,
    first_number,
    span,
    start_on,
    worth_of_minutes,
    worth_of_pieces,
)
from escrow.model_retainer import Every, RetainerKind, RetainerTerms

DAYS = some.dates(date(2000, 1, 1), date(2100, 1, 1))


def terms(anchor_on: date, every: Every, zone: str = "UTC") -> RetainerTerms:
    return RetainerTerms(
        kind=RetainerKind.ACCESS_FEE,
        amount_minor=300_000,
        every=every,
        anchor_on=anchor_on,
        zone=zone,
    )


def test_edge_31_the_31st_is_clamped_and_comes_back() -> None:
    """31 January, 29 February 2028, 31 March, 30 April; a quarter from 30 November ends in Feb."""
    found = [start_on(date(2028, 1, 31), Every.MONTH, n) for n in (1, 2, 3, 4)]
    leap = [start_on(date(2028, 2, 29), Every.MONTH, n) for n in (13, 49)]

    assert [str(day) for day in found] == ["2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"]
    assert [str(day) for day in leap] == ["2029-02-28", "2032-02-29"]
    assert str(start_on(date(2027, 11, 30), Every.QUARTER, 2)) == "2028-02-29"


@given(DAYS, some.sampled_from([Every.MONTH, Every.QUARTER]), some.integers(1, 400))
def test_anchors_never_drift(anchor: date, every: Every, number: int) -> None:
    """Each start has the anchor's day, or is the last day of a shorter month."""
    start = start_on(anchor, every, number)

    assert start.day == min(anchor.day, monthrange(start.year, start.month)[1])
    months = (start.year - anchor.year) * 12 + start.month - anchor.month
    assert months == (number - 1) * (1 if every is Every.MONTH else 3)


@given(DAYS, some.sampled_from(Every), some.integers(1, 200))
def test_periods_join_without_gap(anchor: date, every: Every, number: int) -> None:
    """One period ends in the instant in which the next begins, in any zone."""
    for zone in ("UTC", "America/Sao_Paulo", "Asia/Jerusalem"):
        found = span(terms(anchor, every, zone), number)
        after = span(terms(anchor, every, zone), number + 1)

        assert found.ends_at == after.starts_at
        assert found.starts_at < found.ends_at
        assert found.next_on == after.first_on


@given(DAYS, some.sampled_from(Every), some.integers(-50, 2_000))
def test_the_first_period_begins_after_acceptance(anchor: date, every: Every, later: int) -> None:
    """No period that has begun before is charged, and none is left out."""
    at = datetime(anchor.year, anchor.month, anchor.day, 12, tzinfo=UTC) + timedelta(days=later)

    number = first_number(terms(anchor, every), at)

    assert start_on(anchor, every, number) >= min(at.date(), start_on(anchor, every, number))
    assert start_on(anchor, every, number) >= at.date()
    assert number == 1 or start_on(anchor, every, number - 1) < at.date()


def test_a_month_with_a_changed_clock_has_its_hours() -> None:
    """October in Berlin has 745 hours and 31 days; a day counts as a day."""
    found = span(terms(date(2026, 10, 1), Every.MONTH, "Europe/Berlin"), 1)

    assert found.ends_at - found.starts_at == timedelta(hours=31 * 24 + 1)
    assert found.days == 31


def test_ten_of_thirty_days_earn_a_third() -> None:
    """3,000.00 after 10 of 30 days: 1,000.00; before the start nothing, after the end all."""
    found = span(terms(date(2026, 4, 1), Every.MONTH), 1)

    earned = [
        earned_by_time(300_000, found, datetime(2026, month, day, tzinfo=UTC), "UTC")
        for month, day in ((3, 29), (4, 1), (4, 11), (5, 1), (6, 1))
    ]

    assert earned == [0, 0, 100_000, 300_000, 300_000]


@given(some.integers(1, 10**12), some.integers(1, 500), some.integers(0, 500))
def test_pieces_of_a_quota_cost_the_amount(amount: int, quota: int, first: int) -> None:
    """However the quota is drawn, all of it costs the amount to the cent."""
    first = min(first, quota)

    one = worth_of_pieces(amount_minor=amount, quota=quota, before=0, pieces=first)
    two = worth_of_pieces(amount_minor=amount, quota=quota, before=first, pieces=quota - first)

    assert one + two == amount


def test_minutes_are_rounded_half_up() -> None:
    """1 minute at 0.30 an hour is half a cent, and counts as one."""
    assert [worth_of_minutes(minutes=m, hourly_minor=30) for m in (0, 1, 60, 90)] == [0, 1, 30, 45]


@given(
    some.lists(
        some.builds(Chunk, amount_minor=some.integers(1, 10**9), expires_no=some.integers(1, 9))
    ),
    some.integers(1, 9),
    some.integers(0, 10**10),
)
def test_what_rolls_is_there_in_time_and_below_the_cap(
    chunks: list[Chunk], number: int, cap: int
) -> None:
    """Nothing rolls twice, beyond its age or above the cap; what could roll does."""
    kept = carry(chunks, number=number, cap_minor=cap)

    assert all(0 <= part <= chunk.amount_minor for part, chunk in zip(kept, chunks, strict=True))
    alive = [c.amount_minor if c.expires_no > number else 0 for c in chunks]
    assert sum(kept) == min(cap, sum(alive))
    assert all(part == 0 for part, left in zip(kept, alive, strict=True) if not left)
