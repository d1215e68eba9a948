"""Timers: armed, cancelled, paused, resumed, read when due, and claimed once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from kernel import timers
from kernel.database import Tenant, enter, transaction
from kernel.errors import Broken
from kernel.timers import Arm, DueTimer

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
RELEASE = "escrow.auto_release"
REPLY = "escrow.refund_reply"


def test_a_timer_waits_for_its_due_time_and_grace(connection: Connection) -> None:
    """A timer is due 60 s after its time and not a microsecond before."""
    timers.arm(connection, [Arm("slot:a", RELEASE, NOON, 1)])

    just_before = timers.list_due(
        connection, at=NOON + timers.GRACE - timedelta(microseconds=1), limit=10
    )
    at_last = timers.list_due(connection, at=NOON + timers.GRACE, limit=10)

    assert just_before == []
    assert at_last == [DueTimer(NOON, "slot:a", RELEASE, 1)]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    offsets=st.lists(st.integers(-5_000_000, 5_000_000), min_size=1, max_size=12),
    page=st.integers(1, 5),
)
def test_no_timer_is_early_and_pages_keep_the_due_order(
    connection: Connection, offsets: list[int], page: int
) -> None:
    """Whatever is armed, the pages name exactly what is due, soonest first, each once."""
    arms = [
        Arm(f"slot:{number}", RELEASE, NOON + timedelta(microseconds=offset), 1)
        for number, offset in enumerate(offsets)
    ]
    with connection.begin_nested() as undone:
        timers.arm(connection, arms)
        pages = _all_pages(connection, at=NOON, page=page)
        undone.rollback()

    due = [DueTimer(a.due_at, a.subject, a.kind, 1) for a in arms if a.due_at <= NOON]
    assert pages == sorted(due)


def test_arming_again_starts_anew(connection: Connection) -> None:
    """A resubmission restarts the clock: one timer, the new time and version, no longer paused."""
    timers.arm(connection, [Arm("slot:a", RELEASE, NOON, 1)])
    timers.pause(connection, ["slot:a"], at=NOON - HOUR)

    timers.arm(connection, [Arm("slot:a", RELEASE, NOON + HOUR, 2)])

    (timer,) = timers.list_of(connection, ["slot:a"])
    assert (timer.due_at, timer.subject_version) == (NOON + HOUR, 2)
    assert timer.paused_remaining is None


def test_a_batch_arms_a_timer_once(connection: Connection) -> None:
    """Two times for one timer in one batch break the promise that a subject is named once."""
    twice = [Arm("slot:a", RELEASE, NOON, 1), Arm("slot:a", RELEASE, NOON + HOUR, 1)]

    with pytest.raises(Broken):
        timers.arm(connection, twice)

    assert timers.list_of(connection, ["slot:a"]) == []


def test_cancel_takes_away_only_what_is_named(connection: Connection) -> None:
    """Cancelling names subject and kind; other kinds and subjects keep their timers."""
    timers.arm(connection, [Arm(s, k, NOON, 1) for s in "ab" for k in (RELEASE, REPLY)])

    cancelled = timers.cancel(connection, [("a", RELEASE), ("b", "escrow.never_set")])

    assert cancelled == 1
    left = [(timer.subject, timer.kind) for timer in timers.list_of(connection, ["a", "b"])]
    assert left == [("a", REPLY), ("b", RELEASE), ("b", REPLY)]


def test_a_paused_timer_never_falls_due_and_keeps_what_remains(connection: Connection) -> None:
    """A hold stops the clock: nothing is due, however late it gets."""
    timers.arm(connection, [Arm("slot:a", RELEASE, NOON, 1)])

    assert timers.pause(connection, ["slot:a"], at=NOON - HOUR) == 1

    assert timers.list_due(connection, at=NOON + 999 * HOUR, limit=10) == []
    assert timers.list_of(connection, ["slot:a"])[0].paused_remaining == HOUR


def test_overlapping_holds_pause_once(connection: Connection) -> None:
    """A second hold takes nothing more from what remained at the first."""
    timers.arm(connection, [Arm("slot:a", RELEASE, NOON, 1)])
    timers.pause(connection, ["slot:a"], at=NOON - HOUR)

    assert timers.pause(connection, ["slot:a"], at=NOON) == 0

    assert timers.list_of(connection, ["slot:a"])[0].paused_remaining == HOUR


def test_a_timer_in_its_grace_pauses_with_nothing_left(connection: Connection) -> None:
    """What was already due keeps no negative time: it is due again at once when resumed."""
    timers.arm(connection, [Arm("slot:a", RELEASE, NOON, 1)])
    timers.pause(connection, ["slot:a"], at=NOON + timedelta(seconds=30))

    timers.resume(connection, ["slot:a"], at=NOON + HOUR)

    assert timers.list_of(connection, ["slot:a"])[0].due_at == NOON + HOUR


@pytest.mark.parametrize(
    ("remaining", "floor", "expected"),
    [
        (2 * HOUR, 72 * HOUR, 72 * HOUR),
        (90 * HOUR, 72 * HOUR, 90 * HOUR),
        (2 * HOUR, None, 2 * HOUR),
    ],
)
def test_resume_leaves_the_longer_of_remaining_and_floor(
    connection: Connection, remaining: timedelta, floor: timedelta | None, expected: timedelta
) -> None:
    """After a hold a client has max(remaining, floor) left; without a floor what remained."""
    timers.arm(connection, [Arm("slot:a", RELEASE, NOON, 1)])
    timers.pause(connection, ["slot:a"], at=NOON - remaining)

    floors = {} if floor is None else {"slot:a": floor}
    resumed = timers.resume(connection, ["slot:a"], at=NOON + HOUR, floors=floors)

    (timer,) = timers.list_of(connection, ["slot:a"])
    assert resumed == 1
    assert (timer.due_at, timer.paused_remaining) == (NOON + HOUR + expected, None)


def test_pause_and_resume_may_name_kinds(connection: Connection) -> None:
    """A compliance hold stops the reply timer and lets the maximum hold run on."""
    timers.arm(connection, [Arm("slot:a", kind, NOON, 1) for kind in (REPLY, "escrow.max_hold")])

    paused = timers.pause(connection, ["slot:a"], at=NOON, kinds=[REPLY])
    resumed = timers.resume(connection, ["slot:a"], at=NOON, kinds=["escrow.max_hold"])

    assert (paused, resumed) == (1, 0)


@pytest.mark.parametrize("change", ["cancel", "pause", "rearm", "later version"])
def test_claim_leaves_what_changed_since_it_was_read(connection: Connection, change: str) -> None:
    """A timer that was cancelled, paused or armed anew after it was read is not claimed."""
    timers.arm(connection, [Arm("a", RELEASE, NOON, 1), Arm("b", RELEASE, NOON, 1)])
    due = timers.list_due(connection, at=NOON + HOUR, limit=10)
    if change == "cancel":
        timers.cancel(connection, [("a", RELEASE)])
    elif change == "pause":
        timers.pause(connection, ["a"], at=NOON)
    elif change == "rearm":
        timers.arm(connection, [Arm("a", RELEASE, NOON + HOUR, 1)])
    else:
        timers.arm(connection, [Arm("a", RELEASE, NOON, 2)])
    left_alone = timers.list_of(connection, ["a"])

    claimed = timers.claim(connection, due)

    assert claimed == [DueTimer(NOON, "b", RELEASE, 1)]
    assert timers.list_of(connection, ["a", "b"]) == left_alone


def test_two_claims_of_one_timer_give_it_to_one(own_engine: Engine, tenant: Tenant) -> None:
    """Two scanners may read one timer; the second waits, finds it gone, and does nothing."""
    with transaction(own_engine, tenant) as connection:
        timers.arm(connection, [Arm(f"slot:{n}", RELEASE, NOON, 1) for n in range(50)])
        due = timers.list_due(connection, at=NOON + HOUR, limit=100)

    with transaction(own_engine, tenant) as first, ThreadPoolExecutor(1) as pool:
        of_first = timers.claim(first, due[:30])
        racing = pool.submit(_claim_and_commit, own_engine, tenant, due)
        first.commit()
        of_second = racing.result(timeout=120)

    assert of_first == due[:30]
    assert of_second == due[30:]


def test_a_rollback_brings_claimed_timers_back(own_engine: Engine, tenant: Tenant) -> None:
    """What was claimed by work that failed is due again: a timer is never lost."""
    with transaction(own_engine, tenant) as connection:
        timers.arm(connection, [Arm("slot:a", RELEASE, NOON, 1)])
        due = timers.list_due(connection, at=NOON + HOUR, limit=1)

    with own_engine.connect() as connection, connection.begin() as failing:
        enter(connection, tenant)
        assert timers.claim(connection, due) == due
        failing.rollback()

    with transaction(own_engine, tenant) as connection:
        assert timers.list_due(connection, at=NOON + HOUR, limit=1) == due


def test_a_failed_timer_is_left_alone_for_a_while(connection: Connection) -> None:
    """A timer that was pushed back is still there with its due time, and not read again yet."""
    timers.arm(connection, [Arm("a", RELEASE, NOON, 1), Arm("b", RELEASE, NOON, 1)])
    first, second = timers.list_due(connection, at=NOON + HOUR, limit=10)

    timers.push_back(connection, [first])

    assert timers.list_due(connection, at=NOON + HOUR, limit=10) == [second]
    (timer,) = timers.list_of(connection, ["a"])
    assert (timer.due_at, timer.failed_times) == (NOON, 1)


def test_the_next_due_time_passes_over_paused_timers(connection: Connection) -> None:
    """Whoever plans the next look at a tenant hears of the soonest timer that runs."""
    assert timers.find_next_due_at(connection) is None
    timers.arm(connection, [Arm("a", RELEASE, NOON, 1), Arm("b", RELEASE, NOON + HOUR, 1)])
    timers.pause(connection, ["a"], at=NOON - HOUR)

    assert timers.find_next_due_at(connection) == NOON + HOUR


def _all_pages(connection: Connection, *, at: datetime, page: int) -> list[DueTimer]:
    found: list[DueTimer] = []
    while True:
        after = found[-1] if found else None
        more = timers.list_due(connection, at=at, grace=timedelta(), limit=page, after=after)
        found.extend(more)
        if len(more) < page:
            return found


def _claim_and_commit(engine: Engine, tenant: Tenant, due: Sequence[DueTimer]) -> list[DueTimer]:
    with transaction(engine, tenant) as connection:
        return timers.claim(connection, due)
