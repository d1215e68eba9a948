"""What clocks tell on the way, and what an outage gives: events that name whom and what."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection

from escrow import service_notice, service_reminders
from escrow.model import SlotState
from escrow.model_clocks import ClockRules, SetClockRules
from kernel import clock, outages
from kernel import timers as clock_rows
from kernel.outages import Gap
from kernel.timers import Arm
from tests.escrow.stage import START, Stage
from tests.escrow.stage_dispute import Court
from tests.escrow.stage_lines import LineStage

HOUR = timedelta(hours=1)
RELEASE = "escrow.auto_release"


def events(connection: Connection, kind: str) -> Sequence[Any]:
    rows = connection.exec_driver_sql(
        "SELECT subject, detail FROM event WHERE kind = %s ORDER BY id", (kind,)
    )
    return [(row.subject, orjson.loads(row.detail)) for row in rows]


def remind(stage: Stage, **later: float) -> int:
    """Let time pass, and then let the scanner tell what is to be told."""
    stage.wait(**later)  # type: ignore[arg-type]
    return service_reminders.remind(stage.connection, stage.now, 100)


def test_the_client_is_reminded_of_his_review(connection: Connection) -> None:
    """2.2: after 7, 10.5 and 12.6 of 14 days, with the time and the consequence."""
    stage = Stage(connection).submitted()

    told = [remind(stage, days=7), remind(stage, days=3, hours=12), remind(stage, days=2, hours=3)]

    assert told == [1, 1, 1]
    found = events(connection, "clock.reminded")
    assert [detail["passed_percent"] for _, detail in found] == [50, 75, 90]
    subject, detail = found[0]
    assert subject == f"slot:{stage.slot_id}"
    assert detail["clock"] == RELEASE
    assert detail["due_at"] == (START + timedelta(days=14)).isoformat()
    assert detail["tell"] == [str(stage.client.party_id)]
    assert detail["consequence"] == "The money is released to the payee."


def test_a_hold_moves_the_reminders(connection: Connection) -> None:
    """Under a hold nobody is told; afterwards the marks come as much later."""
    stage = Stage(connection).submitted()
    stage.hold(f"slot:{stage.slot_id}")
    assert remind(stage, days=30) == 0

    stage.lift(f"slot:{stage.slot_id}")

    assert remind(stage, days=6, hours=23) == 0
    assert remind(stage, hours=1) == 1


def test_an_approved_slot_reminds_nobody(connection: Connection) -> None:
    """With the clock its reminders go."""
    stage = Stage(connection).submitted()
    assert stage.approve().is_done

    assert remind(stage, days=4) == 0


def test_of_a_dispute_only_who_must_answer_is_reminded(connection: Connection) -> None:
    """The other side has nothing to do, and is not bothered."""
    court = Court(Stage(connection).submitted())
    assert court.open().is_done
    assert court.serve().is_done

    assert remind(court.stage, days=4) == 1

    ((subject, detail),) = events(connection, "clock.reminded")
    assert subject == court.dispute.subject
    assert detail["tell"] == [str(court.stage.payee.party_id)]


def test_what_is_over_is_not_told_any_more(connection: Connection) -> None:
    """A scanner that comes late rings; it does not remind of what rings anyway."""
    Stage(connection).submitted()

    assert service_reminders.remind(connection, START + timedelta(days=15), 100) == 1

    assert not events(connection, "clock.reminded")


# --- outages, told by the database's own clock


def live_now(connection: Connection) -> datetime:
    return clock.real_now(connection)


def overdue(connection: Connection, *, hours_ago: float) -> Stage:
    """A real deal under review whose clock ran out some hours ago, by the real clock."""
    stage = Stage(connection, now=live_now(connection) - timedelta(days=15)).submitted()
    due = live_now(connection) - hours_ago * HOUR
    clock_rows.arm(connection, [Arm(f"slot:{stage.slot_id}", RELEASE, due, 1)])
    return stage


def asleep(connection: Connection, *, hours: float) -> None:
    """Nobody has looked for so long."""
    since = live_now(connection) - hours * HOUR
    connection.exec_driver_sql("UPDATE timer_scan SET scanned_at = %s", (since,))


def come_back(connection: Connection) -> int | None:
    return service_reminders.begin_round(connection, live_now(connection))


def test_e51_a_review_that_ran_out_in_an_outage_gets_a_day_more(connection: Connection) -> None:
    """E51: the client could not look at the work, so nothing is released for another day."""
    stage = overdue(connection, hours_ago=2)
    due = stage_due(stage)
    asleep(connection, hours=3)

    come_back(connection)

    assert stage_due(stage) == due + 24 * HOUR
    ((subject, detail),) = events(connection, "clock.outage")
    assert subject == ""
    assert (detail["delayed"], detail["courtesy_s"]) == (1, 86_400)


def test_e51_what_was_due_before_the_outage_rings_at_once(connection: Connection) -> None:
    """The client had all his time."""
    stage = overdue(connection, hours_ago=5)
    due = stage_due(stage)
    asleep(connection, hours=3)

    come_back(connection)

    assert stage_due(stage) == due
    assert [each.delayed_count for each in outages.list_outages(connection, limit=5)] == [0]


@pytest.mark.parametrize(("minutes", "is_moved"), [(14, False), (16, True)])
def test_e51_only_an_outage_above_the_set_length_counts(
    connection: Connection, minutes: int, *, is_moved: bool
) -> None:
    """A restart of some minutes moves nothing."""
    stage = overdue(connection, hours_ago=0.1)
    due = stage_due(stage)
    asleep(connection, hours=minutes / 60)

    come_back(connection)

    assert (stage_due(stage) != due) is is_moved
    assert bool(events(connection, "clock.outage")) is is_moved


def test_e51_length_and_courtesy_are_the_tenants(connection: Connection) -> None:
    """An hour is no outage where two are allowed; three give what the tenant set."""
    stage = overdue(connection, hours_ago=0.5)
    due = stage_due(stage)
    rules = ClockRules(outage_after=2 * HOUR, courtesy=48 * HOUR, drain_per_s=7)
    command = SetClockRules(actor=stage.operator, rules=rules)
    assert service_notice.set_clock_rules(connection, [command], at=stage.now)[0].is_done
    asleep(connection, hours=1)
    assert come_back(connection) == 7
    assert stage_due(stage) == due

    asleep(connection, hours=3)
    come_back(connection)

    assert stage_due(stage) == due + 48 * HOUR


def test_e51_clocks_of_the_engine_itself_do_not_move(connection: Connection) -> None:
    """Released money becomes available whoever could not look at a page meanwhile."""
    stage = Stage(connection, now=live_now(connection) - timedelta(days=15)).submitted()
    assert stage.approve().is_done
    (subject,) = connection.exec_driver_sql("SELECT 'release:' || id FROM release").scalars()
    due = live_now(connection) - HOUR
    clock_rows.arm(connection, [Arm(subject, "escrow.security_hold", due, 0)])
    asleep(connection, hours=3)

    come_back(connection)

    (timer,) = clock_rows.list_of(connection, [subject])
    assert timer.due_at == due


def test_e51_a_sandbox_misses_nothing_while_nobody_looks(connection: Connection) -> None:
    """Its time stands still; only the sign of life is noted."""
    clock.make_sandbox(connection, at=START)
    stage = Stage(connection).submitted()
    due = stage_due(stage)
    asleep(connection, hours=300)

    assert come_back(connection) is None

    assert stage_due(stage) == due
    assert not events(connection, "clock.outage")
    sign, now = outages.find_sign(connection)
    assert sign is not None
    assert now - sign < HOUR


def test_e51_after_the_day_the_review_rings(connection: Connection) -> None:
    """The courtesy is once: then silence releases."""
    stage = overdue(connection, hours_ago=2)
    asleep(connection, hours=3)
    come_back(connection)
    stage.now = live_now(connection)

    stage.wait(hours=24)

    assert stage.slot().state is SlotState.RELEASED


def stage_due(stage: Stage) -> datetime:
    """When the review is over."""
    found = clock_rows.list_of(stage.connection, [f"slot:{stage.slot_id}"])
    return next(timer.due_at for timer in found if timer.kind == RELEASE)


def test_e51_lines_of_a_week_may_be_disputed_as_long_as_its_review_runs(
    connection: Connection,
) -> None:
    """An outage over Friday night leaves the client Saturday to look at the invoice."""
    stage = LineStage(connection).in_review()
    friday = stage.week().review_ends_at
    gap = Gap(friday - HOUR, friday + HOUR)
    moved = outages.delay(connection, gap, ["escrow.week_review_end"], courtesy=24 * HOUR)
    assert moved.delayed_count == 1
    stage.pass_to(friday + 23 * HOUR)

    assert stage.try_dispute(2).is_done


def test_lines_of_a_week_that_only_waits_for_a_hold_are_over(connection: Connection) -> None:
    """A clock that looks again each day gives nobody more time."""
    stage = LineStage(connection).in_review()
    friday = stage.week().review_ends_at
    again = Arm(f"week:{stage.week().id}", "escrow.week_review_end", friday + 24 * HOUR, 0)
    clock_rows.arm(connection, [again], at=friday)
    stage.pass_to(friday + HOUR)

    assert stage.try_dispute(2).code == "escrow.review_is_over"
