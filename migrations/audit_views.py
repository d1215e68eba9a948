"""The views that auditors read, made with the words that stand in their files as comments.

The comment above a view and the one behind each of its columns in `migrations/tenant/sql/audit_*`
become the comments of the database, so that psql describes a view as its file does.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from migrations.statements import run

SQL: Final = Path(__file__).parent / "tenant" / "sql"

TIMEOUTS: Final = """
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '15min';
"""

_VIEW: Final = re.compile(
    r"((?:^-- [^\n]*\n)+)CREATE VIEW (audit_\w+)(.*?);$", re.MULTILINE | re.DOTALL
)
_COLUMN: Final = re.compile(r"(\w+),? -- (.+)$", re.MULTILINE)


def make_views(*names: str) -> None:
    """Create the views of these files with their comments; the tenant's auditors may read them."""
    run(TIMEOUTS)
    for name in names:
        sql = (SQL / f"{name}.sql").read_text(encoding="utf-8")
        run(sql + "\n".join(comments(sql)))
    run((SQL / "audit_rights.sql").read_text(encoding="utf-8"))


def comments(sql: str) -> Iterator[str]:
    """COMMENT statements for the views of a file and for their columns, from its own comments."""
    for words, view, columns in _VIEW.findall(sql):
        said = " ".join(line.removeprefix("-- ") for line in words.splitlines())
        yield f"COMMENT ON VIEW {view} IS {_quoted(said)};"
        for column, told in _COLUMN.findall(columns):
            yield f"COMMENT ON COLUMN {view}.{column} IS {_quoted(told)};"


def _quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"
