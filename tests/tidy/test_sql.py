"""Where SQL may stand, and what every function and column in the database must carry."""

import ast
import re
from pathlib import PurePosixPath
from typing import Final

from tests.fixtures.sources import PRODUCT, ROOT, Source, all_files, sources

# A sentence may begin with such a verb; a statement goes on in capitals or with a name and SET.
_STATEMENT: Final = re.compile(
    r"\s*(?:--[^\n]*\n\s*)*"
    r"(?:SELECT\s|INSERT\s+INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s|MERGE\s+INTO\s"
    r"|WITH\s+(?:RECURSIVE\s+)?\w+\s+AS\s|COPY\s+\S+\s|TRUNCATE\s|LOCK\s+TABLE\s|LISTEN\s|NOTIFY\s"
    r"|(?:CREATE|ALTER|DROP)\s+(?:OR\s+REPLACE\s+)?"
    r"(?:TABLE|INDEX|VIEW|SCHEMA|ROLE|FUNCTION|TRIGGER|DATABASE)\s)"
)

# The kernel's own tables and its connections, the operator's migrations, what measures, and the
# verifier, which is one file.
MAY_SPEAK_SQL: Final = ("kernel/", "migrations/", "tests/", "loadtests/", "ledger/verify.py")

_CREATES: Final = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\s", re.IGNORECASE
)
_PINNED: Final = re.compile(r"SET\s+search_path\s+FROM\s+CURRENT", re.IGNORECASE)
_INEXACT: Final = re.compile(r"\b(?:double\s+precision|float[48]?|smallmoney)\b", re.IGNORECASE)


def test_sql_stands_only_where_it_is_looked_for() -> None:
    """Statements live in store modules, `sql/` and migrations, and in the kernel's own tables."""
    strays = [
        source.at(node)
        for source in sources(*PRODUCT)
        if not _may_speak_sql(source)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _STATEMENT.match(node.value)
    ]

    assert not strays, "\n".join(["", *strays])


def test_every_database_function_pins_its_search_path() -> None:
    """Each CREATE FUNCTION carries SET search_path FROM CURRENT: else a shard misses its tables."""
    loose = [
        f"{path}: {text[start.start() : start.start() + 60]!r}"
        for path, text in _sql_texts()
        for start, end in _function_spans(text)
        if not _PINNED.search(text[start.start() : end])
    ]

    assert not loose, "\n".join(["", *loose])


def test_no_column_is_a_float() -> None:
    """Amounts are bigint or numeric; the database has no inexact column."""
    inexact = [
        f"{path}: {match[0]}" for path, text in _sql_texts() for match in _INEXACT.finditer(text)
    ]

    assert not inexact, "\n".join(["", *inexact])


def test_a_statement_of_a_file_says_what_it_answers() -> None:
    """Each `.sql` file begins with a comment: the question that it answers."""
    silent = [
        file.relative_to(ROOT).as_posix()
        for file in all_files()
        if file.suffix == ".sql" and not file.read_text(encoding="utf-8").startswith("--")
    ]

    assert not silent, "\n".join(["", *silent])


def _may_speak_sql(source: Source) -> bool:
    path = PurePosixPath(source.path)
    is_store = any(part.startswith("store") for part in path.parts)
    return is_store or "sql" in path.parts or source.path.startswith(MAY_SPEAK_SQL)


def _sql_texts() -> list[tuple[str, str]]:
    """Migrations and the kernel's tables as text, and every `.sql` file."""
    python = [(source.path, source.text) for source in sources("migrations", "kernel")]
    files = [
        (file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8"))
        for file in all_files()
        if file.suffix == ".sql"
    ]
    return [item for item in python if item[0].startswith("migrations/")] + files


def _function_spans(text: str) -> list[tuple[re.Match[str], int]]:
    """Each CREATE FUNCTION with the place where the next one begins."""
    starts = list(_CREATES.finditer(text))
    ends = [match.start() for match in starts[1:]] + [len(text)]
    return list(zip(starts, ends, strict=False))
