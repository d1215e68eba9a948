"""The state of all tables of the tenant: kept after a story, shown after two acts, put back.

Putting back is the superuser's, with triggers asleep: nothing of the product can undo its books.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

# What follows from the other columns of a row is not put back: it follows again.
_TABLES: Final = """
SELECT relname, (
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
)
FROM pg_class
WHERE relnamespace = %s::regnamespace AND relkind = 'r'
    AND has_any_column_privilege(%s, oid, 'INSERT, UPDATE')
ORDER BY relname
"""

EMPTY: Final = "kept_empty"
STORY: Final = "kept_story"

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_EVENT: Final = re.compile(r"""(event_id["']?[=:] ?["']?)\d+""")
"""The number of an event in an answer or in a row: it follows the order of the transactions."""

_OF_NO_INTEREST: Final = frozenset(
    {"event_id", "batch_id", "leaf_hash", "recorded_at", "newest_recorded_at", "opened_at"}
    | {"opened_in", "intent_no", "added_at", "run_at"}
)
"""Numbers that stand for a row, and what follows real time or the order of the transactions."""


@dataclass
class Stillness:
    """The tenant's tables as a superuser sees them."""

    admin: psycopg.Connection[Any]
    schema: str
    role: str
    known: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        """Find the tables that the tenant's role may write, and keep them as they are now."""
        found = self.admin.execute(_TABLES, (self.schema, self.role))
        self.tables = dict(found.fetchall())
        for where in (EMPTY, STORY):
            self.admin.execute(f"CREATE SCHEMA {where}")
            for name in self.tables:
                self.admin.execute(f"CREATE TABLE {where}.{name} AS TABLE {self.schema}.{name}")
        self._all = " UNION ALL ".join(
            f"SELECT '{name}', to_jsonb(t) FROM {self.schema}.{name} t" for name in self.tables
        )

    def keep(self) -> None:
        """Remember everything as it is now, the end of a story."""
        kept = (
            f"TRUNCATE {STORY}.{name}; INSERT INTO {STORY}.{name} TABLE {self.schema}.{name};"
            for name in self.tables
        )
        self.admin.execute("".join(kept))
        self.known = frozenset()
        self.known = frozenset(each for line in self.show() for each in _UUID.findall(line))

    def put_back(self, what: str = STORY) -> None:
        """Make everything what it was when the story ended, or before any story."""
        again = (
            f"DELETE FROM {self.schema}.{name};"
            f" INSERT INTO {self.schema}.{name} ({columns}) OVERRIDING SYSTEM VALUE"
            f" SELECT {columns} FROM {what}.{name};"
            for name, columns in self.tables.items()
        )
        self.admin.execute(
            f"BEGIN; SET LOCAL session_replication_role = replica; {''.join(again)} COMMIT"
        )

    def show(self) -> Counter[str]:
        """Every row as a line; ids that were not there when all was kept are told as `new`."""
        rows = self.admin.execute(self._all).fetchall()
        codes = {row["id"]: row["code"] for table, row in rows if table == "account"}
        return Counter(
            self.told(f"{table} {_line(row, codes)}")
            for table, row in rows
            if not _says_nothing(table, row)
        )

    def told(self, text: str) -> str:
        """A text without the ids that each run draws anew."""
        named = _UUID.sub(lambda each: each[0] if self._is_known(each[0]) else "new", text)
        return _EVENT.sub(r"\1new", named)

    def _is_known(self, name: str) -> bool:
        return not self.known or name in self.known


def _says_nothing(table: str, row: dict[str, Any]) -> bool:
    """The row of a pair that billed nothing is there to be locked: without it all is the same."""
    return table == "pair_billing" and row["month"] == "-infinity"


def _line(row: dict[str, Any], codes: dict[int, str]) -> str:
    cells = []
    for name, cell in row.items():
        if name in _OF_NO_INTEREST or (name == "id" and isinstance(cell, int)):
            continue
        shown = codes.get(cell, cell) if name == "account_id" else cell
        cells.append(f"{name}={shown}")
    return " ".join(cells)
