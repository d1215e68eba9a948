"""The SQL of statements: accounts, files, statements, and each line once."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from kernel.database import driver
from rails.statements.model import Currency, Statement, StatementLine

_LOCK: Final = """
SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.statements', 0))
"""

_ACCOUNT_COLUMNS: Final = "id, label, currency, place, rail_account, opened_at"

_FIND_ACCOUNTS: Final = f"""
SELECT {_ACCOUNT_COLUMNS} FROM reconciliation_account
WHERE reference_hash = %s AND currency = %s
"""

_LIST_ACCOUNTS: Final = f"""
SELECT {_ACCOUNT_COLUMNS} FROM reconciliation_account
WHERE id > %(after)s ORDER BY id LIMIT %(limit)s
"""

_ADD_ACCOUNT: Final = """
INSERT INTO reconciliation_account
    (id, reference_hash, label, currency, place, rail_account, opened_by, opened_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""

_FIND_FILE: Final = """
SELECT name, format, statement_count, taken_at FROM statement_file WHERE hash = %s
"""

_ADD_FILE: Final = """
INSERT INTO statement_file (hash, name, format, byte_count, statement_count, taken_by, taken_at)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""

_ADD_STATEMENT: Final = """
INSERT INTO statement (id, account_id, source, file_hash, statement_no, reference, from_on, to_on,
    opening_minor, closing_minor, line_count, overlap_count, left_out_count, controls, taken_by,
    taken_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_FIND_LINES: Final = """
SELECT identity, id, amount_minor FROM statement_line
WHERE account_id = %(account)s AND identity = ANY (%(identities)s)
"""

_COUNT_LIKE: Final = """
SELECT split_part(identity, ':', 2), count(*)
FROM statement_line
WHERE account_id = %(account)s AND starts_with(identity, 'content:')
    AND split_part(identity, ':', 2) = ANY (%(contents)s)
    AND booked_on = ANY (%(days)s)
GROUP BY 1
"""

_GOES_ON: Final = """
SELECT EXISTS (
        SELECT FROM statement
        WHERE account_id = %(account)s AND closing_minor = %(opening)s AND to_on <= %(from_on)s)
    AND NOT EXISTS (
        SELECT FROM statement
        WHERE account_id = %(account)s AND opening_minor = %(opening)s
            AND from_on <= %(to_on)s AND to_on >= %(from_on)s)
"""

_COPY_LINES: Final = """
COPY statement_line (id, statement_id, line_no, account_id, identity, amount_minor, fee_minor,
    currency, booked_on, value_on, ref, end_to_end_id, group_ref, trace_ref, other_refs, kind,
    is_reversal, text) FROM STDIN
"""

_COPY_OVERLAP: Final = "COPY statement_overlap (statement_id, line_no, line_id) FROM STDIN"

_LIST_STATEMENTS: Final = """
SELECT s.id, s.account_id, a.label, a.place, a.rail_account, a.currency, s.source, s.reference,
    s.from_on, s.to_on, s.opening_minor, s.closing_minor, s.line_count, s.overlap_count,
    s.left_out_count, s.taken_at
FROM statement s JOIN reconciliation_account a ON a.id = s.account_id
WHERE s.id > %(after)s ORDER BY s.id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Account:
    """An account on statements, and the place of the books that it stands for."""

    id: UUID
    label: str
    currency: str
    place: str
    rail_account: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that was read before."""

    name: str
    format: str
    statement_count: int
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class KnownLine:
    """A line that is there already."""

    id: UUID
    amount_minor: int


@dataclass(frozen=True, slots=True)
class NewLine:
    """A line of a statement with its own id and identity; `line_no` is its place there."""

    id: UUID
    line_no: int
    identity: str
    line: StatementLine


def lock_statements(connection: Connection) -> None:
    """Let one import of this tenant run at a time, until the end of the transaction."""
    driver(connection).execute(_LOCK)


def find_account(connection: Connection, reference: str, currency: Currency) -> Account | None:
    """The account of a name on statements."""
    hashed = sha256(reference.encode()).digest()
    row = driver(connection).execute(_FIND_ACCOUNTS, (hashed, currency)).fetchone()
    return None if row is None else Account(*row)


def list_accounts(connection: Connection, *, after: UUID, limit: int) -> list[Account]:
    """All accounts, by id."""
    rows = driver(connection).execute(_LIST_ACCOUNTS, {"after": after, "limit": limit})
    return [Account(*row) for row in rows]


def add_account(connection: Connection, account: Account, *, reference: str, by: UUID) -> None:
    """Write down what an account stands for; of its name only a hash and its end are kept."""
    driver(connection).execute(
        _ADD_ACCOUNT,
        (
            account.id,
            sha256(reference.encode()).digest(),
            account.label,
            account.currency,
            account.place,
            account.rail_account,
            by,
            account.opened_at,
        ),
    )


def find_file(connection: Connection, hashed: bytes) -> KnownFile | None:
    """A file of these very bytes."""
    row = driver(connection).execute(_FIND_FILE, (hashed,)).fetchone()
    return None if row is None else KnownFile(*row)


def add_file(
    connection: Connection,
    hashed: bytes,
    known: KnownFile,
    *,
    byte_count: int,
    by: UUID,
) -> None:
    """Write a file down as read."""
    driver(connection).execute(
        _ADD_FILE,
        (
            hashed,
            known.name,
            known.format,
            byte_count,
            known.statement_count,
            by,
            known.taken_at,
        ),
    )


def find_lines(
    connection: Connection, account_id: UUID, identities: Sequence[str]
) -> dict[str, KnownLine]:
    """Lines of the account that are there already, by identity."""
    rows = driver(connection).execute(
        _FIND_LINES, {"account": account_id, "identities": list(identities)}
    )
    return {identity: KnownLine(line_id, amount) for identity, line_id, amount in rows}


def count_like(
    connection: Connection, account_id: UUID, lines: Iterable[tuple[str, StatementLine]]
) -> Counter[str]:
    """How many lines of each content the account has."""
    told = list(lines)
    rows = driver(connection).execute(
        _COUNT_LIKE,
        {
            "account": account_id,
            "contents": [content for content, _ in told],
            "days": sorted({line.booked_on for _, line in told}),
        },
    )
    return Counter(dict(rows.fetchall()))


def goes_on(connection: Connection, account_id: UUID, statement: Statement) -> bool:
    """Whether a statement begins where a known one ended, and none of its days began so."""
    if statement.opening_minor is None or statement.from_on is None:
        return False
    row = (
        driver(connection)
        .execute(
            _GOES_ON,
            {
                "account": account_id,
                "from_on": statement.from_on,
                "to_on": statement.to_on,
                "opening": statement.opening_minor,
            },
        )
        .fetchone()
    )
    return row is not None and bool(row[0])


def add_statement(
    connection: Connection,
    statement: Statement,
    *,
    statement_id: UUID,
    account_id: UUID,
    place: tuple[bytes | None, int],
    counts: tuple[int, int, int],
    by: UUID,
    at: datetime,
) -> None:
    """Write a statement down: `place` is its file and number there; `counts` new, known, left."""
    driver(connection).execute(
        _ADD_STATEMENT,
        (
            statement_id,
            account_id,
            statement.source,
            *place,
            statement.reference[:200],
            statement.from_on,
            statement.to_on,
            statement.opening_minor,
            statement.closing_minor,
            *counts,
            Jsonb(dict(statement.controls), dumps=orjson.dumps),
            by,
            at,
        ),
    )


def add_lines(
    connection: Connection, lines: Sequence[NewLine], *, statement_id: UUID, account_id: UUID
) -> None:
    """Write new lines down, in one COPY."""
    with driver(connection).cursor() as cursor, cursor.copy(_COPY_LINES) as copy:
        for new in lines:
            line = new.line
            copy.write_row(
                (
                    new.id,
                    statement_id,
                    new.line_no,
                    account_id,
                    new.identity,
                    line.amount_minor,
                    line.fee_minor,
                    line.currency,
                    line.booked_on,
                    line.value_on,
                    line.ref[:200],
                    line.end_to_end_id[:200],
                    line.group_ref[:200],
                    line.trace_ref[:200],
                    [other[:200] for other in line.other_refs],
                    line.kind[:100],
                    line.is_reversal,
                    line.text,
                )
            )


def add_overlap(
    connection: Connection, statement_id: UUID, known: Sequence[tuple[int, UUID]]
) -> None:
    """Write down which lines of a statement were there before."""
    with driver(connection).cursor() as cursor, cursor.copy(_COPY_OVERLAP) as copy:
        for line_no, line_id in known:
            copy.write_row((statement_id, line_no, line_id))


def list_statements(connection: Connection, *, after: UUID, limit: int) -> list[Mapping[str, Any]]:
    """Statements with their accounts, by id."""
    cursor = driver(connection).execute(_LIST_STATEMENTS, {"after": after, "limit": limit})
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]
