"""Statements of banks and rails, their lines, and what matches the books.

A statement's opening balance and its lines make its closing balance; a line is in one active match
at most, and so is an item of the books; a match is undone by a new row. All of it is held here,
whatever the program says.

Revision ID: 0038
"""

from pathlib import Path

from migrations.guards import append_only, not_deleted
from migrations.statements import run

SQL = Path(__file__).parents[1] / "sql"

revision = "0038"
down_revision = "0037"
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
    EXECUTE format('GRANT SELECT, INSERT ON reconciliation_account, statement_file, statement,'
                   ' statement_line, statement_overlap, match_run, match, match_line, match_undo,'
                   ' match_proposal, proposal_member, proposal_decision TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (undone_by) ON match_line TO %I', tenant_role);
END $$;
"""


def upgrade() -> None:
    """Create the tables of statements and matches, their guards and the tenant's rights."""
    run(TIMEOUTS)
    for name in ("statements_tables.sql", "matches_tables.sql", "matches_guards.sql"):
        run((SQL / name).read_text(encoding="utf-8"))
    run(RIGHTS)
    append_only(
        "reconciliation_account",
        "statement_file",
        "statement",
        "statement_line",
        "statement_overlap",
        "match_run",
        "match",
        "match_undo",
        "match_proposal",
        "proposal_member",
        "proposal_decision",
    )
    not_deleted("match_line")
