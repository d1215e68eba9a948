"""Every (state, trigger, role) of the week and the entry: in the list it moves, outside not."""

from itertools import product
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from escrow.machine import Machine, Trigger
from escrow.machine_hourly import ENTRIES, LINE_DISPUTES, RUNS, WEEKS
from escrow.model import Role
from escrow.model_hourly import EntryState, WeekState
from escrow.model_lines import LineState
from escrow.model_runs import RunState
from escrow.refusals import NotYours, WrongState
from escrow.rules import step
from tests.escrow.stage_hourly import HourlyStage

WEEK_ROWS = """
- open_week client payee system -> open
open start_funding system -> =
open close_week system -> payee_review
payee_review invoice system -> invoiced
payee_review close system -> closed
payee_review bill_deposit system -> in_review
in_review dispute_line client -> =
in_review release_undisputed system -> lines_disputed
lines_disputed review_ends system -> released
invoiced,charge_failed fund system -> in_review
invoiced funding_ended system -> charge_failed
charge_failed,advanced,unpaid start_funding system -> =
in_review review_ends system -> released
in_review,lines_disputed give_back system -> refunded
invoiced,charge_failed,in_review advance system -> advanced
invoiced,charge_failed,in_review leave_unpaid system -> unpaid
advanced settle_advance system -> released
unpaid review_ends system -> released
advanced write_off operator -> written_off
"""

ENTRY_ROWS = """
- log_time payee -> logged
- log_late payee -> late
logged edit_time payee -> logged
logged,late delete_time payee -> deleted
late approve_late client -> late_approved
logged lock system -> locked
logged,locked,late_approved bill system -> billed
"""

RUN_ROWS = """
- start_time payee -> running
running cut_time system -> =
running stop_time payee system -> stopped
running discard_time payee -> discarded
"""

LINE_ROWS = """
- open_dispute client -> opened
opened serve operator system -> awaiting_reply
opened,awaiting_reply reply payee -> contested
opened,awaiting_reply,contested concede payee -> refunded
opened,awaiting_reply,contested withdraw_dispute client -> upheld
awaiting_reply uphold_line system -> upheld
awaiting_reply refund_line system -> refunded
contested propose_decision operator -> =
contested uphold_line operator -> upheld
contested refund_line operator -> refunded
"""

MACHINES = [
    (WEEKS, WeekState, WEEK_ROWS),
    (ENTRIES, EntryState, ENTRY_ROWS),
    (RUNS, RunState, RUN_ROWS),
    (LINE_DISPUTES, LineState, LINE_ROWS),
]
NAMES = ["week", "entry", "run", "line"]


def rows_of(listing: str) -> dict[tuple[str, str, str], str]:
    """(state, trigger, role) -> next state, as the text says."""
    found = {}
    for line in filter(None, listing.splitlines()):
        left, _, to = line.partition(" -> ")
        states, trigger, *who = left.split()
        for state, role in product(states.split(","), who):
            found[state, trigger, role] = state if to == "=" else to
    return found


@pytest.mark.parametrize(("machine", "states", "listing"), MACHINES, ids=NAMES)
def test_every_state_trigger_and_role(machine: Machine, states: Any, listing: str) -> None:
    """In the list a step leads where it says; any other is refused, a stranger's always."""
    expected = rows_of(listing)

    for state, trigger in product([None, *states], Trigger):
        may = {role for at, what, role in expected if (at, what) == (state or "-", trigger)}
        for role in Role:
            if role in may:
                row, _ = step(machine, state, trigger, (role,))
                assert row.to == expected[state or "-", trigger, role]
            else:
                with pytest.raises(NotYours if may else WrongState):
                    step(machine, state, trigger, (role,))
        with pytest.raises(NotYours):
            step(machine, state, trigger, ())
    assert {(s or "-", t) for s, t in machine} == {(s, t) for s, t, _ in expected}
    assert {type(row.to) for row in machine.values()} == {states}


def test_the_steps_in_the_database_are_those_of_the_tables(connection: Connection) -> None:
    """Every step of the week and of the entry is written down, and no other."""
    stored = connection.execute(
        text(
            "SELECT machine, from_state, to_state FROM machine_step"
            " WHERE machine IN ('work_week', 'time_entry', 'time_run', 'line_dispute')"
        )
    )

    assert {tuple(row) for row in stored} == {
        (name, str(start), str(row.to))
        for name, machine in (
            ("work_week", WEEKS),
            ("time_entry", ENTRIES),
            ("time_run", RUNS),
            ("line_dispute", LINE_DISPUTES),
        )
        for (start, _), row in machine.items()
        if start is not None and row.to != start
    }


def test_a_week_that_jumps_is_refused_by_the_database(connection: Connection) -> None:
    """An open week is not released, whatever Python says."""
    stage = HourlyStage(connection).ready()

    nested = connection.begin_nested()
    with pytest.raises(DBAPIError, match="may not move from"):
        connection.exec_driver_sql(
            "UPDATE work_week SET state = 'closed', version = version + 1 WHERE id = %s",
            (stage.week().id,),
        )
    nested.rollback()
