"""The books: chart, accounts, periods, the event log with its entries and lines, and their guards.

Also what every command needs beside them: parties, principals' idempotency keys and holds.
The SQL of each part stands in `migrations/tenant/sql`.

Revision ID: 0001
"""

from pathlib import Path

from alembic import op
from sqlalchemy import text

from kernel.money import EXPONENTS
from ledger.chart import CHART, MIRRORS
from migrations.statements import run

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Create the books, fill chart and currencies, and give the tenant's role its rights."""
    for name in ("books_tables", "books_guards", "books_beside", "books_rights"):
        run((SQL / f"{name}.sql").read_text(encoding="utf-8"))
    mirror = {kind: number for number, pair in enumerate(MIRRORS, start=1) for kind in pair}
    op.get_bind().execute(
        text("INSERT INTO currency (code, exponent) VALUES (:code, :exponent)"),
        [{"code": code, "exponent": exponent} for code, exponent in sorted(EXPONENTS.items())],
    )
    op.get_bind().execute(
        text(
            "INSERT INTO account_kind"
            " (kind, book, nature, subject, lowest_minor, highest_minor, mirror) VALUES"
            " (:kind, :book, :nature, :subject, :lowest, :highest, :mirror)"
        ),
        [
            {
                "kind": row.kind,
                "book": row.book.value,
                "nature": row.nature.value,
                "subject": row.subject,
                "lowest": row.lowest_minor,
                "highest": row.highest_minor,
                "mirror": mirror.get(row.kind, 0),
            }
            for row in CHART.values()
        ],
    )
