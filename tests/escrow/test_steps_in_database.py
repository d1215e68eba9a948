"""The database moves a deal by its machines alone, whatever Python says."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from commissions.machine_plans import MACHINES as PLANS
from escrow.machine import CONTRACTS, FUNDINGS, REFUNDS, RELEASES
from escrow.machine_chargeback import CHARGEBACKS
from escrow.machine_claim import CLAIMS
from escrow.machine_dispute import AT_ONCE as RESOLVED_AT_ONCE
from escrow.machine_dispute import DISPUTES
from escrow.machine_hourly import ENTRIES, LINE_DISPUTES, RUNS, WEEKS
from escrow.machine_hybrid import TERM_AMENDMENTS
from escrow.machine_retainer import DRAWDOWNS, PERIODS, RETAINERS
from escrow.machine_slot import SLOTS
from tests.escrow.stage import Stage

MACHINES: dict[str, Mapping[Any, Any]] = {
    "contract": CONTRACTS,
    "slot": SLOTS,
    "funding": FUNDINGS,
    "refund": REFUNDS,
    "release": RELEASES,
    "dispute": DISPUTES,
    "retainer": RETAINERS,
    "retainer_period": PERIODS,
    "drawdown": DRAWDOWNS,
    "term_amendment": TERM_AMENDMENTS,
    "work_week": WEEKS,
    "time_entry": ENTRIES,
    "time_run": RUNS,
    "line_dispute": LINE_DISPUTES,
    "claim": CLAIMS,
    "chargeback": CHARGEBACKS,
    **PLANS,
}


AT_ONCE = {("contract", "active", "ended"), ("contract", "paused", "ended")} | {
    ("dispute", str(start), str(end)) for start, end in RESOLVED_AT_ONCE
}


def test_the_steps_in_the_database_are_those_of_the_tables(connection: Connection) -> None:
    """Every step of every machine is written down, and two that are taken in one act."""
    stored = connection.execute(text("SELECT machine, from_state, to_state FROM machine_step"))

    assert {tuple(row) for row in stored} == AT_ONCE | {
        (name, str(start), str(row.to))
        for name, machine in MACHINES.items()
        for (start, _), row in machine.items()
        if start is not None and row.to != start
    }


def test_a_step_outside_the_machine_is_refused(connection: Connection) -> None:
    """Without a submission no changes are asked for; a running contract is no draft again."""
    stage = Stage(connection).ready()

    for table, row_id, state in (
        ("slot", stage.slot_id, "changes_requested"),
        ("contract", stage.contract_id, "draft"),
    ):
        nested = connection.begin_nested()
        with pytest.raises(DBAPIError, match="may not move from"):
            connection.exec_driver_sql(
                f"UPDATE {table} SET state = %s, version = version + 1 WHERE id = %s",
                (state, row_id),
            )
        nested.rollback()
