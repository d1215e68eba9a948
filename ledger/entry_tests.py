"""Journal-entry tests: which entries an auditor looks at, and what can never be.

The tests stand in `ledger/sql/entry_tests.sql`, where an auditor can run them himself with psql;
their names, meanings and values are read from there. They read audit views alone. Run in one
snapshot. Source: domain/audit-and-reliability.md 3.3.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from psycopg import DataError
from sqlalchemy import Connection

from kernel.errors import Refusal
from ledger.store_entry_tests import Found, check_values, list_found

_SQL: Final = Path(__file__).parent / "sql" / "entry_tests.sql"
_DEFAULT: Final = re.compile(r"\\set (\w+) '([^']*)'")
_TEST: Final = re.compile(
    r"\\C '(\w+)'\n-- kind: (impossible|look)\n-- means: ([^\n]+)\n(.+)", re.DOTALL
)


class UnknownValue(Refusal):
    """The tests have no value of this name."""

    code = "audit.unknown_value"


class BadValue(Refusal):
    """A value of the tests cannot be read as what it stands for: a time, a zone, a number."""

    code = "audit.bad_value"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryTest:
    """One test: `is_impossible` finds what the books forbid, the others what a person looks at."""

    name: str
    is_impossible: bool
    means: str
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one test found: how many rows, and the first of them."""

    test: EntryTest
    count: int
    examples: tuple[Found, ...]

    @property
    def is_broken(self) -> bool:
        """Whether something was found that can never be."""
        return self.test.is_impossible and self.count > 0

    def as_json(self) -> dict[str, Any]:
        """The result with stable keys; numbers of events as texts, since they pass 2^53."""
        return {
            "test": self.test.name,
            "kind": "impossible" if self.test.is_impossible else "look",
            "means": self.test.means,
            "count": self.count,
            "examples": [
                {
                    "finding": each.finding,
                    "journal_no": each.journal_no,
                    "event_id": None if each.event_id is None else str(each.event_id),
                }
                for each in self.examples
            ],
        }


def list_tests() -> list[EntryTest]:
    """All tests, in the order of their file."""
    found = []
    for block in as_sql().split("\n\n"):
        if not block.startswith("\\C "):
            continue
        parts = _TEST.fullmatch(block.strip())
        assert parts is not None, block[:60]
        name, kind, means, query = parts.groups()
        found.append(
            EntryTest(name=name, is_impossible=kind == "impossible", means=means, query=query)
        )
    return found


def as_sql() -> str:
    """All tests as an auditor runs them himself with psql."""
    return _SQL.read_text(encoding="utf-8")


def default_values() -> dict[str, str]:
    """The values that the tests take, with what they are if nobody says otherwise."""
    return dict(_DEFAULT.findall(as_sql()))


def run(
    connection: Connection,
    given: Mapping[str, str],
    *,
    examples: int = 5,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> list[Result]:
    """All tests with these values, the others as by default.

    Refuses `audit.unknown_value`, `audit.bad_value`.

    Args:
        connection: a snapshot of the tenant, or of an auditor's login.
        given: values by name, as texts.
        examples: how many rows of each test are kept.
        progress: told what is under way, how many tests are done, and how many there are.
    """
    values = _values(connection, given)
    tests = list_tests()
    results = []
    for done, test in enumerate(tests):
        progress("entry tests", done, len(tests))
        count, rows = list_found(connection, test.query, values, limit=examples)
        results.append(Result(test=test, count=count, examples=tuple(rows)))
    progress("entry tests", len(tests), len(tests))
    return results


def _values(connection: Connection, given: Mapping[str, str]) -> dict[str, str]:
    values = default_values()
    for name in given:
        if name not in values:
            raise UnknownValue(name=name[:40])
    values.update(given)
    if values["whose"] not in {"staff", "all"}:
        raise BadValue(why="whose is staff or all")
    try:
        check_values(connection, values)
    except DataError as trouble:
        raise BadValue(why=trouble.diag.message_primary) from trouble
    return values
