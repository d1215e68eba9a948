"""The guards that many tables share: rows that stand, and states that move by a machine alone.

Each trigger is named after its table, so that a refusal names what was tried on it.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from alembic import op
from sqlalchemy import text

from escrow.machine import Machine
from migrations.statements import run

_STEP: Final = """
INSERT INTO machine_step (machine, from_state, to_state) VALUES (:machine, :start, :end)
ON CONFLICT DO NOTHING
"""


def append_only(*tables: str) -> None:
    """Rows of these tables may be added, and never changed or taken away."""
    for table in tables:
        run(f"""
            CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""")


def not_deleted(*tables: str) -> None:
    """Rows of these tables may change, and never go."""
    for table in tables:
        run(f"""
            CREATE TRIGGER {table}_not_deleted BEFORE DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""")


def moves_by_its_machine(*tables: str) -> None:
    """The column `state` of these tables moves only as `machine_step` says (error HF011)."""
    for table in tables:
        run(f"""
            CREATE TRIGGER {table}_moves_by_its_machine AFTER UPDATE ON {table}
            REFERENCING OLD TABLE AS old_row NEW TABLE AS new_row
            FOR EACH STATEMENT EXECUTE FUNCTION check_steps()""")


def learn_steps(
    machines: Mapping[str, Machine], *, more: AbstractSet[tuple[str, str, str]] = frozenset()
) -> None:
    """Write down the steps of machines, by the table whose state they move.

    `more` are steps (table, from, to) that two rows of a machine make in one save. A machine that
    gains a row brings a migration that learns its steps again; those known stay as they are.
    """
    steps = more | {
        (table, str(start), str(row.to))
        for table, machine in machines.items()
        for (start, _), row in machine.items()
        if start is not None and row.to != start
    }
    op.get_bind().execute(
        text(_STEP),
        [{"machine": table, "start": start, "end": end} for table, start, end in sorted(steps)],
    )
