"""Auditors read prices: pins, fees with their tax, schedules, documents, exchange, what is sold.

What a release left to its payee is told less the tax that he bore.

Revision ID: 0031
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from migrations.statements import run

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

SQL: Final = Path(__file__).parent.parent / "sql"

TIMEOUTS: Final = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""

_VIEW: Final = re.compile(
    r"((?:^-- [^\n]*\n)+)CREATE VIEW (audit_\w+)(.*?);$", re.MULTILINE | re.DOTALL
)
_COLUMN: Final = re.compile(r"(\w+),? -- (.+)$", re.MULTILINE)


def comments(sql: str) -> Iterator[str]:
    """COMMENT statements for the views of a file and for their columns, from its own comments."""
    for words, view, columns in _VIEW.findall(sql):
        said = " ".join(line.removeprefix("-- ") for line in words.splitlines())
        yield f"COMMENT ON VIEW {view} IS {_quoted(said)};"
        for column, told in _COLUMN.findall(columns):
            yield f"COMMENT ON COLUMN {view}.{column} IS {_quoted(told)};"


def upgrade() -> None:
    """Make the views with their comments, and let the tenant's auditors read them."""
    run(TIMEOUTS)
    sql = (SQL / "audit_prices.sql").read_text(encoding="utf-8")
    run(sql + "\n".join(comments(sql)))
    run((SQL / "audit_rights.sql").read_text(encoding="utf-8"))


def _quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"
