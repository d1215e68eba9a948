"""A period's life and manual journals: states move by acts alone, a second person approves.

Every act on a period is a row of its own beside its event: the state follows from the rows. A
closing is a stored trial balance; a reopening names the other person who asked for it.

Revision ID: 0010
"""

from pathlib import Path

from alembic import op
from sqlalchemy import text

from migrations.statements import run

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"

STEPS = (
    ("open", "soft_close", "soft_closed", "period.soft_closed"),
    ("soft_closed", "close", "closed", "period.closed"),
    ("closed", "ask_reopening", "closed", "period.reopening_asked"),
    ("closed", "reopen", "reopened", "period.reopened"),
    ("reopened", "close", "closed", "period.closed"),
)
"""State, act, next state, kind of the event: `ledger.rules_periods`, when this was written."""

TIMEOUTS = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""


def upgrade() -> None:
    """Give periods their life and manual journals their table, with the guards of both."""
    run(TIMEOUTS)
    for name in ("periods", "journals"):
        run((SQL / f"{name}.sql").read_text(encoding="utf-8"))
    op.get_bind().execute(
        text(
            "INSERT INTO period_step (from_state, act, to_state, event_kind)"
            " VALUES (:from_state, :act, :to_state, :event_kind)"
        ),
        [
            dict(zip(("from_state", "act", "to_state", "event_kind"), step, strict=True))
            for step in STEPS
        ],
    )
