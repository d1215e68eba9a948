"""Outages: what fell due while nobody looked is moved once, in order, and only after a long gap."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from kernel import outages, timers
from kernel.outages import Gap
from kernel.timers import Arm

HOUR = timedelta(hours=1)
REVIEW = "escrow.auto_release"
HOLD = "escrow.security_hold"


def now(connection: Connection) -> datetime:
    at: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    return at


def looked(connection: Connection, at: datetime) -> None:
    connection.exec_driver_sql("UPDATE timer_scan SET scanned_at = %s", (at,))


def arm(connection: Connection, due: dict[str, datetime], kind: str = REVIEW) -> None:
    timers.arm(connection, [Arm(subject, kind, at, 1) for subject, at in due.items()])


def due_of(connection: Connection, subjects: Sequence[str]) -> dict[str, datetime]:
    return {timer.subject: timer.due_at for timer in timers.list_of(connection, subjects)}


def test_the_first_look_finds_no_outage(connection: Connection) -> None:
    """Nobody ever looked: there is nothing to compare with."""
    connection.exec_driver_sql("UPDATE timer_scan SET scanned_at = NULL")

    assert outages.sign(connection) is None
    assert outages.find_sign(connection)[0] is not None


def test_a_look_tells_how_long_nobody_had(connection: Connection) -> None:
    """The gap runs from the last look to now, and the look is noted."""
    start = now(connection) - HOUR
    looked(connection, start)

    gap = outages.sign(connection)

    assert gap is not None
    assert gap.from_at == start
    assert gap.until_at - start >= HOUR
    assert outages.sign(connection) is None


def test_a_clock_that_went_back_is_no_gap(connection: Connection) -> None:
    """After a jump backwards the sign begins anew, and no time is thought missing."""
    looked(connection, now(connection) + HOUR)

    assert outages.sign(connection) is None
    sign, at = outages.find_sign(connection)
    assert sign is not None
    assert sign <= at


def test_only_what_fell_due_in_the_gap_moves(connection: Connection) -> None:
    """What was due before it, or is due after it, keeps its time; other kinds do, too."""
    end = now(connection)
    start = end - 3 * HOUR
    times = {
        "slot:before": start,
        "slot:first": start + timedelta(microseconds=1),
        "slot:inside": start + HOUR,
        "slot:last": end,
        "slot:after": end + timedelta(microseconds=1),
    }
    arm(connection, times)
    arm(connection, {"release:inside": start + HOUR}, HOLD)

    done = outages.delay(connection, Gap(start, end), [REVIEW], courtesy=24 * HOUR)

    found = due_of(connection, list(times))
    moved = {subject for subject in times if found[subject] != times[subject]}
    assert moved == {"slot:first", "slot:inside", "slot:last"}
    assert all(found[subject] == times[subject] + 24 * HOUR for subject in moved)
    assert due_of(connection, ["release:inside"]) == {"release:inside": start + HOUR}
    assert done.delayed_count == 3


def test_what_was_moved_stays_in_its_order(connection: Connection) -> None:
    """Everybody waits a day longer, and the order of due times is what it was."""
    end = now(connection)
    start = end - HOUR
    times = {f"slot:{n}": start + timedelta(minutes=n + 1) for n in (5, 1, 3, 2, 4)}
    arm(connection, times)

    outages.delay(connection, Gap(start, end), [REVIEW], courtesy=24 * HOUR)

    due = timers.list_due(connection, at=end + 48 * HOUR, limit=10)
    assert [each.subject for each in due] == ["slot:1", "slot:2", "slot:3", "slot:4", "slot:5"]


def test_a_clock_moves_once_however_many_outages_follow(connection: Connection) -> None:
    """A second outage over the new time finds it moved already."""
    end = now(connection)
    arm(connection, {"slot:a": end - HOUR})
    outages.delay(connection, Gap(end - 2 * HOUR, end), [REVIEW], courtesy=24 * HOUR)

    again = Gap(end + 20 * HOUR, end + 30 * HOUR)
    second = outages.delay(connection, again, [REVIEW], courtesy=24 * HOUR)

    assert second.delayed_count == 0
    assert due_of(connection, ["slot:a"]) == {"slot:a": end + 23 * HOUR}
    assert [each.outage_no for each in outages.list_outages(connection, limit=10)] == [2, 1]


def test_a_stopped_clock_does_not_move(connection: Connection) -> None:
    """Under a hold nothing runs out, so nothing is given."""
    end = now(connection)
    arm(connection, {"slot:a": end - HOUR})
    timers.pause(connection, ["slot:a"], at=end - 3 * HOUR)

    done = outages.delay(connection, Gap(end - 2 * HOUR, end), [REVIEW], courtesy=24 * HOUR)

    assert done.delayed_count == 0


def test_who_is_reminded_of_a_moved_clock_is_told_at_once(connection: Connection) -> None:
    """The new time is news: the last mark is told again."""
    end = now(connection)
    due = Arm("slot:a", REVIEW, end - HOUR, 1)
    timers.arm(connection, [due], at=end - 100 * HOUR, reminded=[REVIEW])

    outages.delay(connection, Gap(end - 2 * HOUR, end), [REVIEW], courtesy=24 * HOUR)

    (timer,) = timers.list_of(connection, ["slot:a"])
    assert (timer.remind_at, timer.was_delayed) == (end, True)
