"""What clocks do on the way, against commands that end them: two connections, one clear result."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine

from escrow import service, service_notice, service_reminders
from escrow.commands import SlotCommand
from escrow.model import SlotState
from escrow.model_clocks import ClockRules, NoticePolicy, SetClockRules
from escrow.timers import HANDLERS
from kernel import clock, outages, timers
from kernel.database import Tenant, transaction
from kernel.outages import Gap
from tests.attack.waiting import wait_until_blocked
from tests.escrow.stage import START, Stage, prove_books

RELEASE = "escrow.auto_release"
DAY = timedelta(days=1)
Act = Callable[[Connection], object]


@pytest.fixture
def stage(own_engine: Engine, tenant: Tenant) -> Stage:
    """A slot under review that is committed, accepted while proof of notice was required."""
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=START)
        stage = Stage(connection)
        rules = ClockRules(notice=NoticePolicy.REQUIRED)
        command = SetClockRules(actor=stage.operator, rules=rules)
        assert service_notice.set_clock_rules(connection, [command], at=stage.now)[0].is_done
        return stage.submitted()


def remind(connection: Connection) -> object:
    return service_reminders.remind(connection, START + 8 * DAY, 10)


def start_anew(connection: Connection) -> object:
    at = START + 14 * DAY
    due = timers.list_due(connection, at=at, limit=10, grace=timedelta())
    return HANDLERS[RELEASE](connection, due, at)


def delay(connection: Connection) -> object:
    gap = Gap(START + 13 * DAY, START + 15 * DAY)
    return outages.delay(connection, gap, [RELEASE], courtesy=DAY).delayed_count


@pytest.mark.parametrize("act", [remind, start_anew, delay])
def test_an_approval_that_waits_for_a_clock_ends_it(
    own_engine: Engine, tenant: Tenant, stage: Stage, act: Act
) -> None:
    """The clock is held by the scanner, the approval waits, and then no clock is left behind."""
    approve = SlotCommand(actor=stage.client, slot_id=stage.slot_id)

    def approving() -> str:
        with transaction(own_engine, tenant) as connection:
            return service.approve(connection, [approve], at=stage.now)[0].code

    with ThreadPoolExecutor(1) as pool:
        with transaction(own_engine, tenant) as scanner:
            assert act(scanner) == 1
            command = pool.submit(approving)
            wait_until_blocked(own_engine)
        code = command.result(timeout=120)

    assert code == "done"
    with transaction(own_engine, tenant) as connection:
        left = timers.list_of(connection, [f"slot:{stage.slot_id}"])
        assert RELEASE not in {timer.kind for timer in left}
        stage.connection = connection
        assert stage.slot().state is SlotState.RELEASED
        prove_books(connection)


@pytest.mark.parametrize("act", [remind, start_anew, delay])
def test_what_the_scanner_does_on_the_way_waits_for_no_command(
    own_engine: Engine, tenant: Tenant, stage: Stage, act: Act
) -> None:
    """A command holds the slot and has not come to its clock yet: the scanner goes on."""
    with transaction(own_engine, tenant) as command:
        command.exec_driver_sql("SELECT FROM slot WHERE id = %s FOR UPDATE", (stage.slot_id,))
        with transaction(own_engine, tenant) as scanner:
            scanner.exec_driver_sql("SET LOCAL lock_timeout = '2s'")
            assert act(scanner) == 1


def test_a_reminder_passes_by_a_clock_that_a_command_holds(
    own_engine: Engine, tenant: Tenant, stage: Stage
) -> None:
    """It is told in the next round, or never if the command ends the clock."""
    approve = SlotCommand(actor=stage.client, slot_id=stage.slot_id)
    with transaction(own_engine, tenant) as command:
        assert service.approve(command, [approve], at=stage.now)[0].is_done
        with transaction(own_engine, tenant) as scanner:
            scanner.exec_driver_sql("SET LOCAL lock_timeout = '2s'")
            assert remind(scanner) == 0

    with transaction(own_engine, tenant) as connection:
        assert remind(connection) == 0
