"""All SQL of disputed lines and of what runs; the rows themselves are written by `store_hourly`."""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from escrow.model_lines import LineDispute, LineState
from escrow.model_runs import RunState, TimeRun
from escrow.tables_hourly import LINE_DISPUTE, TIME_RUN
from kernel.database import driver

_LINES: Final = ", ".join(column.name for column in LINE_DISPUTE.columns)
_RUNS: Final = ", ".join(column.name for column in TIME_RUN.columns)
_LOCK: Final = "FOR NO KEY UPDATE"

_SUM_FROZEN: Final = """
SELECT slot_id, sum(amount_minor)::bigint FROM line_dispute
WHERE slot_id = ANY (%s::uuid[]) AND ended_at IS NULL
GROUP BY slot_id
"""


def find_lines(connection: Connection, ids: Iterable[UUID]) -> list[LineDispute]:
    """Disputed lines without a lock."""
    return _lines(connection, "id = ANY (%s::uuid[])", ids)


def lock_lines(connection: Connection, ids: Iterable[UUID]) -> list[LineDispute]:
    """Lock disputed lines, after their slots and weeks."""
    return _lines(connection, "id = ANY (%s::uuid[])", ids, _LOCK)


def list_week_lines(connection: Connection, week_id: UUID) -> list[LineDispute]:
    """The disputed lines of a week."""
    return _lines(connection, "week_id = ANY (%s::uuid[])", [week_id])


def sum_frozen(connection: Connection, slot_ids: Iterable[UUID]) -> dict[UUID, int]:
    """What disputed lines have frozen of slots; the slots are locked."""
    rows = connection.exec_driver_sql(_SUM_FROZEN, (_ids(slot_ids),))
    return {row[0]: row[1] for row in rows}


def find_runs(connection: Connection, ids: Iterable[UUID]) -> list[TimeRun]:
    """Runs without a lock."""
    return _run_rows(connection, "id = ANY (%s::uuid[])", ids)


def lock_runs(connection: Connection, ids: Iterable[UUID]) -> list[TimeRun]:
    """Lock runs."""
    return _run_rows(connection, "id = ANY (%s::uuid[])", ids, _LOCK)


def find_running(connection: Connection, payee_ids: Iterable[UUID]) -> list[TimeRun]:
    """What runs of payees now; one each at most."""
    return _run_rows(connection, "payee_id = ANY (%s::uuid[]) AND state = 'running'", payee_ids)


def list_running(connection: Connection, term_ids: Iterable[UUID]) -> list[TimeRun]:
    """What runs under terms now."""
    return _run_rows(connection, "term_id = ANY (%s::uuid[]) AND state = 'running'", term_ids)


def list_at_work(
    connection: Connection, *, contract_ids: Iterable[UUID] = (), funding_ids: Iterable[UUID] = ()
) -> list[UUID]:
    """Payees whose time runs under these contracts, or under those of these fundings."""
    rows = driver(connection).execute(
        "SELECT DISTINCT payee_id FROM time_run WHERE state = 'running' AND (contract_id = ANY (%s)"
        " OR contract_id IN (SELECT contract_id FROM funding WHERE id = ANY (%s)))",
        (list(contract_ids), list(funding_ids)),
    )
    return [payee_id for (payee_id,) in rows]


def _lines(
    connection: Connection, where: str, ids: Iterable[UUID], lock: str = ""
) -> list[LineDispute]:
    statement = f"SELECT {_LINES} FROM line_dispute WHERE {where} ORDER BY id {lock}"
    return [_line(row) for row in connection.exec_driver_sql(statement, (_ids(ids),))]


def _run_rows(
    connection: Connection, where: str, ids: Iterable[UUID], lock: str = ""
) -> list[TimeRun]:
    statement = f"SELECT {_RUNS} FROM time_run WHERE {where} ORDER BY id {lock}"
    return [_run(row) for row in connection.exec_driver_sql(statement, (_ids(ids),))]


def _line(row: Sequence[Any]) -> LineDispute:
    cells = list(row)
    cells[11] = LineState(row[11])
    return LineDispute(*cells)


def _run(row: Sequence[Any]) -> TimeRun:
    cells = list(row)
    cells[7] = RunState(row[7])
    return TimeRun(*cells)


def _ids(ids: Iterable[UUID]) -> str:
    return "{" + ",".join(map(str, ids)) + "}"
