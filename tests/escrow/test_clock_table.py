"""The table of clocks against machines, handlers, and the timers that stories really set."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Connection

from engine.handlers import TIMERS
from escrow import clocks, timers
from escrow.clocks import CLOCKS, ROOM
from escrow.clocks_page import page
from escrow.diagram import MACHINES
from escrow.model import Method
from escrow.service_reminders import whom
from escrow.store_clocks import _SILENT, KNOWN, find_concerned
from escrow.triggers import Timer
from rails.model import RailOutcome
from tests.escrow.stage import Stage
from tests.escrow.stage_dispute import Court
from tests.escrow.stage_hourly import MONDAY, HourlyStage, hours
from tests.escrow.stage_retainer import Lease
from tests.escrow.test_retainer_stories import HOURS

BESIDE_THE_MACHINES: Final = {clocks.MAX_HOLD, clocks.RESERVE_RELEASE, clocks.CLOSE_CONTRACT}
"""Clocks that no row of a machine sets."""

NOT_TOLD_HERE: Final = {
    *(Timer.DISPUTE_EXECUTE, Timer.WEEK_AHEAD, Timer.WEEK_DEPOSIT, Timer.LINE_REPLY),
    *(clocks.MAX_HOLD, clocks.RESERVE_RELEASE, Timer.OVERAGE_CHARGE),
}
"""Clocks that other tests set: of tries again, of deposits, of lines, of overage, of rails."""


def test_every_clock_has_one_row_and_one_handler() -> None:
    """What is fired is told, and what is told is fired."""
    handled = {kind.removeprefix(ROOM) for kind in TIMERS if kind.startswith(ROOM)}

    assert handled == set(CLOCKS)


def test_the_machines_know_the_clocks_of_the_table() -> None:
    """Every clock that a row of a machine sets, stops or ends stands in the table of clocks."""
    named = {
        timer
        for machine in MACHINES.values()
        for row in machine.values()
        for timer in (*row.arms, *row.cancels, *row.pauses)
    }

    assert named <= set(CLOCKS)
    assert set(CLOCKS) - BESIDE_THE_MACHINES == set(Timer)


def test_every_subject_leads_to_its_contract() -> None:
    """Whom a clock concerns can be found for each kind of subject."""
    assert {clock.subject for clock in CLOCKS.values()} <= KNOWN


def test_who_must_be_told_can_be_named() -> None:
    """A clock that asks for proof of notice reminds, is moved by outages, and names one party."""
    asked = [clock for clock in CLOCKS.values() if clock.needs_notice]

    assert {clock.kind for clock in asked} == set(_SILENT)
    assert all(clock.is_reminded and clock.is_courteous for clock in asked)
    assert all(len(clock.told) == 1 for clock in asked)


def test_a_clock_that_reminds_tells_somebody() -> None:
    """A reminder without an address helps nobody."""
    assert all(clock.told for clock in CLOCKS.values() if clock.is_reminded)


def test_each_row_is_written_out() -> None:
    """When it starts, how long it runs, what changes it, what it fires: in words."""
    for clock in CLOCKS.values():
        assert all((clock.starts, clock.length, clock.changes, clock.fires)), clock.kind


def deals(connection: Connection) -> Iterator[None]:
    """Milestones, a pause wherever clocks run."""
    stage = Stage(connection)
    assert stage.propose().is_done
    assert stage.accept().is_done
    assert stage.start_funding().is_done
    yield
    assert stage.hear(stage.result()).is_done
    assert stage.submit().is_done
    yield
    assert stage.approve().is_done
    yield
    bank = Stage(connection)
    assert bank.propose().is_done
    assert bank.accept().is_done
    assert bank.start_funding(Method.BANK_TRANSFER).is_done
    yield
    ended = Stage(connection).submitted()
    assert ended.on_contract("end", ended.client).is_done
    yield


def disputes(connection: Connection) -> Iterator[None]:
    """A dispute above a small claim, stage by stage."""
    court = Court(Stage(connection, amounts=(100_000,)).submitted())
    assert court.open().is_done
    assert court.serve().is_done
    yield
    assert court.offer(court.stage.payee, 0, is_reply=True).is_done
    yield
    assert court.act("mediate_dispute", court.stage.client).is_done
    yield
    assert court.file(court.stage.client).is_done
    assert court.file(court.stage.payee).is_done
    assert court.recommend(50_000).is_done
    yield


def weeks(connection: Connection) -> Iterator[None]:
    """A worked week until its review, and one whose charge failed."""
    stage = HourlyStage(connection).ready()
    yield
    assert stage.log(hours(0, 8, 18)).is_done
    stage.pass_to(MONDAY + timedelta(days=7, hours=1))
    yield
    stage.pass_to(MONDAY + timedelta(days=7, hours=12))
    yield
    assert stage.hear(RailOutcome.REFUSED).is_done
    yield


def retainers(connection: Connection) -> Iterator[None]:
    """A retainer of hours: charged, begun, drawn from, ended with notice."""
    lease = Lease(connection, HOURS).agreed()
    yield
    lease.stage.now = datetime(2026, 3, 29, 1, tzinfo=UTC)
    while due := lease.next_due(lease.stage.now):
        timers.HANDLERS[due.kind](connection, [due], lease.stage.now)
    yield
    lease.pay()
    yield
    lease.until(date(2026, 4, 2))
    assert lease.draw(1, 60).is_done
    assert lease.cancel(lease.stage.client).is_done
    yield


def stories(connection: Connection) -> Iterator[None]:
    """Deals of every kind."""
    for story in (deals, disputes, weeks, retainers):
        yield from story(connection)


@pytest.mark.slow
def test_the_timers_that_stories_set_are_those_of_the_table(connection: Connection) -> None:
    """Kinds, subjects and reminders of real rows are what the table says."""
    seen = set()
    for _ in stories(connection):
        for row in connection.exec_driver_sql("SELECT subject, kind, remind_length FROM timer"):
            clock = CLOCKS[row.kind.removeprefix(ROOM)]
            assert row.subject.partition(":")[0] == clock.subject, row
            assert (row.remind_length is not None) is clock.is_reminded, row
            seen.add(clock.kind)

    assert seen | NOT_TOLD_HERE >= set(CLOCKS)


@pytest.mark.slow
def test_whom_a_clock_concerns_is_found_for_every_real_timer(connection: Connection) -> None:
    """Each subject leads to the two sides of its contract; a reply concerns who has to answer."""
    told: dict[str, set[int]] = {}
    for _ in stories(connection):
        rows = connection.exec_driver_sql("SELECT subject, kind FROM timer").all()
        people = find_concerned(connection, [row.subject for row in rows])
        for row in rows:
            clock = CLOCKS[row.kind.removeprefix(ROOM)]
            parties = whom(clock, people[row.subject])
            told.setdefault(clock.kind, set()).add(len(parties))

    assert told.pop(Timer.DISPUTE_REPLY) == {1}
    assert all(sizes == {len(CLOCKS[kind].told)} for kind, sizes in told.items())


def test_the_page_is_what_the_table_says() -> None:
    """docs/clocks.md is drawn from the table: after a change, `make docs`."""
    drawn = Path(clocks.__file__).parent.parent / "docs" / "clocks.md"

    assert drawn.read_text(encoding="utf-8") == page()
