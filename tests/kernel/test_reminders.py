"""Reminders: at 50, 75 and 90 % of a clock's length, moved, stopped and ended with the clock."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from kernel import reminders, timers
from kernel.timers import Arm

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
REVIEW = "escrow.auto_release"
OTHER = "escrow.week_close"


def arm(connection: Connection, *, hours: int = 100, kind: str = REVIEW, version: int = 1) -> None:
    """A clock of so many hours from noon on; only reviews remind."""
    given = Arm("slot:a", kind, NOON + hours * HOUR, version)
    timers.arm(connection, [given], at=NOON, reminded=[REVIEW])


def told(connection: Connection, at: datetime) -> list[int]:
    """The marks that are told at a time, in per cent."""
    return [each.passed for each in reminders.take_due(connection, at=at, limit=100)]


def walk(connection: Connection, *, hours: int) -> dict[int, int]:
    """Which mark was told in which hour from noon on, looked at each hour."""
    seen = {}
    for hour in range(hours + 1):
        for mark in told(connection, NOON + hour * HOUR):
            seen[mark] = hour
    return seen


def test_three_marks_are_told_once_each(connection: Connection) -> None:
    """50, 75 and 90 % of a hundred hours are hours 50, 75 and 90."""
    arm(connection)

    assert walk(connection, hours=100) == {50: 50, 75: 75, 90: 90}
    assert reminders.find_next_at(connection) is None


def test_no_mark_is_told_early(connection: Connection) -> None:
    """A microsecond before the mark nobody is told."""
    arm(connection)

    assert told(connection, NOON + 50 * HOUR - timedelta(microseconds=1)) == []
    assert told(connection, NOON + 50 * HOUR) == [50]


def test_of_marks_that_passed_together_the_last_is_told(connection: Connection) -> None:
    """After a long silence one reminder comes, not three."""
    arm(connection)

    assert told(connection, NOON + 80 * HOUR) == [75]
    assert told(connection, NOON + 95 * HOUR) == [90]
    assert told(connection, NOON + 99 * HOUR) == []


def test_a_clock_of_another_kind_tells_nothing(connection: Connection) -> None:
    """Only the kinds that remind have marks."""
    arm(connection, kind=OTHER)

    assert walk(connection, hours=100) == {}


def test_a_stopped_clock_reminds_nobody_and_runs_on_where_it_stood(connection: Connection) -> None:
    """A hold from hour 60 to hour 160 moves the marks that are left by a hundred hours."""
    arm(connection)
    assert told(connection, NOON + 50 * HOUR) == [50]
    timers.pause(connection, ["slot:a"], at=NOON + 60 * HOUR)
    assert told(connection, NOON + 159 * HOUR) == []

    timers.resume(connection, ["slot:a"], at=NOON + 160 * HOUR)

    assert walk(connection, hours=220) == {75: 175, 90: 190}


def test_a_clock_that_starts_anew_reminds_anew(connection: Connection) -> None:
    """A resubmission brings all three marks back, counted from its own start."""
    arm(connection)
    assert told(connection, NOON + 80 * HOUR) == [75]

    again = Arm("slot:a", REVIEW, NOON + 180 * HOUR, 2)
    timers.arm(connection, [again], at=NOON + 80 * HOUR, reminded=[REVIEW])

    assert walk(connection, hours=180) == {50: 130, 75: 155, 90: 170}


def test_a_cancelled_clock_leaves_no_reminder(connection: Connection) -> None:
    """The reminder is a column of the timer: it goes with it."""
    arm(connection)
    timers.cancel(connection, [("slot:a", REVIEW)])

    assert walk(connection, hours=100) == {}


def test_a_postponed_clock_keeps_its_row_and_reminds_of_its_new_length(
    connection: Connection,
) -> None:
    """What starts anew without notice tells at 50, 75 and 90 % of the whole new time."""
    arm(connection)
    (due,) = timers.list_due(connection, at=NOON + 101 * HOUR, limit=1)

    moved = timers.postpone(connection, [(due, NOON + 201 * HOUR)], at=NOON + 101 * HOUR)

    assert [each.due_at for each in moved] == [NOON + 201 * HOUR]
    assert walk(connection, hours=201) == {50: 151, 75: 176, 90: 191}


def test_what_was_cancelled_meanwhile_is_not_postponed(connection: Connection) -> None:
    """A clock that is gone does not come back."""
    arm(connection)
    (due,) = timers.list_due(connection, at=NOON + 101 * HOUR, limit=1)
    timers.cancel(connection, [("slot:a", REVIEW)])

    assert timers.postpone(connection, [(due, NOON + 201 * HOUR)], at=NOON + 101 * HOUR) == []
    assert timers.list_of(connection, ["slot:a"]) == []


def test_a_clock_set_in_the_past_has_no_marks(connection: Connection) -> None:
    """What is over when it is set tells nothing on the way."""
    timers.arm(connection, [Arm("slot:a", REVIEW, NOON - HOUR, 1)], at=NOON, reminded=[REVIEW])

    assert told(connection, NOON + DAY) == []


def test_so_many_are_taken_soonest_first(connection: Connection) -> None:
    """A limit takes the marks that are longest over; the rest waits for the next look."""
    arms = [Arm(f"slot:{n}", REVIEW, NOON + (100 + n) * HOUR, 1) for n in range(5)]
    timers.arm(connection, arms, at=NOON, reminded=[REVIEW])

    first = reminders.take_due(connection, at=NOON + 55 * HOUR, limit=2)
    rest = reminders.take_due(connection, at=NOON + 55 * HOUR, limit=10)

    assert [each.subject for each in first] == ["slot:0", "slot:1"]
    assert [each.subject for each in rest] == ["slot:2", "slot:3", "slot:4"]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    length=st.integers(1, 100 * 86_400),
    stops=st.lists(st.integers(1, 10 * 86_400), max_size=4),
)
def test_whatever_stops_a_clock_its_marks_keep_their_part_of_it(
    connection: Connection, length: int, stops: list[int]
) -> None:
    """However often it stands still, 50, 75 and 90 % of its running time come before its end."""
    due = Arm("slot:a", REVIEW, NOON + timedelta(seconds=length), 1)
    with connection.begin_nested() as undone:
        timers.arm(connection, [due], at=NOON, reminded=[REVIEW])
        for stop in stops:
            timers.pause(connection, ["slot:a"], at=NOON)
            timers.resume(connection, ["slot:a"], at=NOON + timedelta(seconds=stop))
        (timer,) = timers.list_of(connection, ["slot:a"])
        undone.rollback()

    assert timer.remind_at is not None
    assert timer.remind_length == timedelta(seconds=length)
    assert abs(timer.due_at - timer.remind_at - timedelta(seconds=length) / 2) < timedelta(
        milliseconds=1
    )


def test_marks_are_shown_with_their_times() -> None:
    """What people are told of a clock's marks."""
    assert reminders.marks_of(NOON + 100 * HOUR, 100 * HOUR) == [
        (50, NOON + 50 * HOUR),
        (75, NOON + 75 * HOUR),
        (90, NOON + 90 * HOUR),
    ]


@pytest.mark.parametrize("column", ["reminded = 4", "remind_length = interval '-1 hour'"])
def test_the_database_keeps_the_marks_in_range(connection: Connection, column: str) -> None:
    """Three marks of a positive length, whatever the program says."""
    arm(connection)

    with pytest.raises(IntegrityError, match="timer_remind"), connection.begin_nested():
        connection.exec_driver_sql(f"UPDATE timer SET {column}")
