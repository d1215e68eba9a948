"""Sealing: one gapless order of events, the Merkle log over it, its checkpoints and their copies.

Batches that are in the books already wait for the sealer from now on, as new ones do.

Revision ID: 0008
"""

from pathlib import Path

from migrations.statements import run

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"

TIMEOUTS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""

# No posting slips in between: the trigger on the table has locked it against writers.
TAKE_IN = """
INSERT INTO unsealed (batch_id) SELECT id FROM batch ORDER BY id;
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON unsealed TO %I', tenant_role);
    EXECUTE format('GRANT SELECT, INSERT ON block, seal, tree_node, checkpoint, anchored TO %I',
                   tenant_role);
END $$;
"""


def upgrade() -> None:
    """Create the log and its guards, and give the tenant's role its rights."""
    run(TIMEOUTS)
    for name in ("sealing_tables", "sealing_guards", "sealing_work"):
        run((SQL / f"{name}.sql").read_text(encoding="utf-8"))
    run(TAKE_IN + RIGHTS)
