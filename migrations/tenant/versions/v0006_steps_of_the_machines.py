"""The database knows the machines of a deal: a state moves only as the transition tables say.

The steps are those of `escrow.machine` and `escrow.machine_slot` when this was written; a machine
that gains a row brings a migration that adds the step. A test compares the two.

Revision ID: 0006
"""

from collections.abc import Mapping
from typing import Final

from alembic import op
from sqlalchemy import text

from escrow.machine import CONTRACTS, FUNDINGS, REFUNDS, RELEASES, Machine
from escrow.machine_slot import SLOTS
from migrations.statements import run

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MACHINES: Final[Mapping[str, Machine]] = {
    "contract": CONTRACTS,
    "slot": SLOTS,
    "funding": FUNDINGS,
    "refund": REFUNDS,
    "release": RELEASES,
}

AT_ONCE: Final = {("contract", "active", "ended"), ("contract", "paused", "ended")}
"""Two rows taken in one save: a contract that is ended with nothing left closes in the same act."""

TABLE = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE machine_step (
    machine text NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    PRIMARY KEY (machine, from_state, to_state)
);
CREATE TRIGGER machine_step_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON machine_step
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

GUARD = """
CREATE FUNCTION check_steps() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    whose uuid;
    step text;
BEGIN
    SELECT n.id, o.state || ' to ' || n.state INTO whose, step
    FROM new_row n
    JOIN old_row o ON o.id = n.id
    WHERE n.state <> o.state AND NOT EXISTS (
        SELECT FROM machine_step s
        WHERE s.machine = tg_table_name AND s.from_state = o.state AND s.to_state = n.state)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% % may not move from %', tg_table_name, whose, step
            USING ERRCODE = 'HF011';
    END IF;
    RETURN NULL;
END $$;
"""

TRIGGER = """
CREATE TRIGGER {table}_moves_by_its_machine AFTER UPDATE ON {table}
    REFERENCING OLD TABLE AS old_row NEW TABLE AS new_row
    FOR EACH STATEMENT EXECUTE FUNCTION check_steps();
"""

RIGHTS = """
DO $$
BEGIN
    EXECUTE format('GRANT SELECT ON machine_step TO %I', current_setting('holdfast.tenant_role'));
END $$;
"""


def upgrade() -> None:
    """Write the steps down and let the five tables move by them alone."""
    run(TABLE + GUARD + RIGHTS)
    steps = AT_ONCE | {
        (machine, str(start), str(row.to))
        for machine, table in MACHINES.items()
        for (start, _), row in table.items()
        if start is not None and row.to != start
    }
    op.get_bind().execute(
        text("INSERT INTO machine_step (machine, from_state, to_state) VALUES (:m, :f, :t)"),
        [{"m": machine, "f": start, "t": end} for machine, start, end in sorted(steps)],
    )
    for machine in MACHINES:
        run(TRIGGER.format(table=machine))
