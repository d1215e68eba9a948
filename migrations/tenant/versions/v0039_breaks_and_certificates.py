"""Breaks, who looks at them, and the daily certificates.

A write-off is decided by another person than proposed it; a certificate adds up, and its digest is
that of its body; one with breaks is signed by another than its maker. All of it is held here.

Revision ID: 0039
"""

from pathlib import Path

from migrations.guards import append_only, not_deleted
from migrations.statements import run

SQL = Path(__file__).parents[1] / "sql"

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

TIMEOUTS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""

RIGHTS = """
DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON reconciliation_break, break_note, break_write_off,'
                   ' certificate, certificate_signature, safeguarding_hour, safeguarding_run'
                   ' TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (kind, told, due_on, owner_id, state, closed_at)'
                   ' ON reconciliation_break TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (decided_by, decided_at, is_approved, event_id, match_id)'
                   ' ON break_write_off TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Create the tables of breaks and certificates, their guards and the tenant's rights."""
    run(TIMEOUTS)
    run((SQL / "certificates_tables.sql").read_text(encoding="utf-8"))
    run(RIGHTS)
    append_only(
        "break_note",
        "certificate",
        "certificate_signature",
        "safeguarding_hour",
        "safeguarding_run",
    )
    not_deleted("reconciliation_break", "break_write_off")
