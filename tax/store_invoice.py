"""All SQL of documents: fees that wait for one, the series' rows, and what was issued."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from importlib import resources
from typing import Any, Final
from uuid import UUID

from psycopg.rows import namedtuple_row
from sqlalchemy import Connection

from kernel.database import driver
from tax.model_invoice import DocumentKind, Fee, Invoice, Standing

_SQL: Final = resources.files("tax").joinpath("sql")
_DUE: Final = _SQL.joinpath("fees_to_invoice.sql").read_text("utf-8").encode()
_STANDING: Final = _SQL.joinpath("standing_invoices.sql").read_text("utf-8").encode()
_VAT: Final = _SQL.joinpath("vat_payable.sql").read_text("utf-8").encode()
_COLUMNS: Final = ", ".join(field.name for field in fields(Invoice))
_LOCK: Final = """
SELECT code, next_seq, last_at FROM invoice_series WHERE code = ANY (%s) ORDER BY code FOR UPDATE
"""
_ADD_LINES: Final = """
INSERT INTO invoice_line (invoice_id, line_no, fee_line_id, net_minor, tax_minor, tax_country,
    tax_rate_bps, treatment)
SELECT * FROM unnest(%s::uuid[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[],
    %s::int[], %s::text[])
"""
_ADD: Final = f"""
INSERT INTO invoice ({_COLUMNS})
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::uuid[],
    %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::int[], %s::uuid[], %s::int[], %s::timestamptz[], %s::timestamptz[], %s::jsonb[],
    %s::bytea[])
"""
_LIST: Final = f"""
SELECT {_COLUMNS} FROM invoice
WHERE (%(after)s::uuid IS NULL OR id > %(after)s)
    AND (%(party_id)s::uuid IS NULL OR party_id = %(party_id)s)
    AND (%(series)s::text IS NULL OR series = %(series)s)
    AND (%(kind)s::text IS NULL OR kind = %(kind)s)
    AND (%(since)s::timestamptz IS NULL OR issued_at >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR issued_at < %(until)s)
ORDER BY id LIMIT %(limit)s
"""


def list_due(connection: Connection, *, limit: int, everything: bool) -> list[Fee]:
    """Fees that no document has yet, in their order.

    Those far behind the last that has one are looked at only where `everything` is asked for: a
    fee is never committed so late.
    """
    rows = driver(connection).execute(_DUE, {"limit": limit, "everything": everything})
    return [Fee(*row) for row in rows]


def lock_series(
    connection: Connection, codes: Sequence[tuple[str, DocumentKind]]
) -> dict[str, tuple[int, datetime]]:
    """The series' rows, made where missing, locked in their order: next number, newest time."""
    driver(connection).cursor().executemany(
        "INSERT INTO invoice_series (code, kind) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        sorted(codes),
    )
    rows = driver(connection).execute(_LOCK.encode(), ([code for code, _ in codes],))
    return {code: (next_seq, last_at) for code, next_seq, last_at in rows}


def save_series(connection: Connection, counted: Iterable[tuple[str, int, datetime]]) -> None:
    """Write where the locked series stand now: code, next number, newest time."""
    driver(connection).cursor().executemany(
        "UPDATE invoice_series SET next_seq = %s, last_at = %s WHERE code = %s",
        [(next_seq, last_at, code) for code, next_seq, last_at in counted],
    )


def list_standing(
    connection: Connection, fees: Sequence[Fee]
) -> list[tuple[tuple[object, ...], list[str], Standing]]:
    """The documents of these fees' families, oldest first, with the numbers they refer to."""
    rows = driver(connection).execute(
        _STANDING,
        {
            "party_ids": [fee.party_id for fee in fees],
            "release_ids": [fee.release_id for fee in fees],
            "kinds": [fee.kind for fee in fees],
            "currencies": [fee.currency for fee in fees],
        },
    )
    return [(tuple(row[:5]), row[5], Standing(*row[6:])) for row in rows]


def add_invoices(connection: Connection, made: Sequence[tuple[Invoice, Sequence[Fee]]]) -> None:
    """Write documents with their lines, the lines first."""
    lines = [
        (invoice.id, no, f.id, f.fee_minor, f.tax_minor, f.tax_country, f.tax_rate_bps, f.treatment)
        for invoice, fees in made
        for no, f in enumerate(fees, start=1)
    ]
    cursor = driver(connection).cursor()
    cursor.execute(_ADD_LINES.encode(), [list(column) for column in zip(*lines, strict=True)])
    cursor.execute(
        _ADD.encode(),
        [
            [_written(getattr(invoice, field.name)) for invoice, _ in made]
            for field in fields(Invoice)
        ],
    )


def find_invoice(connection: Connection, number: str) -> Invoice | None:
    """The document of a number."""
    row = (
        driver(connection)
        .execute(f"SELECT {_COLUMNS} FROM invoice WHERE number = %s", (number,))
        .fetchone()
    )
    return None if row is None else _invoice(row)


def list_invoices(
    connection: Connection,
    *,
    after: UUID | None,
    limit: int,
    party_id: UUID | None = None,
    series: str | None = None,
    kind: DocumentKind | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Invoice]:
    """Documents in the order they were issued in; `until` is the first instant not asked for."""
    asked = {
        "after": after,
        "limit": limit,
        "party_id": party_id,
        "series": series,
        "kind": kind,
        "since": since,
        "until": until,
    }
    return list(_invoices(driver(connection).execute(_LIST.encode(), asked)))


def list_vat(connection: Connection, *, since: datetime, until: datetime) -> list[Any]:
    """Tax per country and currency: of fees, of documents, and in the ledger."""
    cursor = driver(connection).cursor(row_factory=namedtuple_row)
    return cursor.execute(_VAT, {"since": since, "until": until}).fetchall()


def _invoices(rows: Iterable[tuple[Any, ...]]) -> Iterator[Invoice]:
    return map(_invoice, rows)


def _invoice(row: tuple[Any, ...]) -> Invoice:
    named = dict(zip((field.name for field in fields(Invoice)), row, strict=True))
    named["kind"] = DocumentKind(named["kind"])
    return Invoice(**named)


def _written(value: object) -> object:
    return json.dumps(value) if isinstance(value, dict) else value
