"""What a replay reads to count exchange, fees and documents a second time."""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from engine.replay.recount import Exchanged

FX: Final = ("custody.fx", "platform.revenue.fx_margin")

_LIST_CONVERSIONS: Final = """
SELECT c.id::text, c.sold, c.sold_minor, c.bought, c.bought_minor, c.as_of, c.mid, c.rate,
    c.margin_bps, c.margin_minor, coalesce(q.fixed = 'buy', false), c.filled_minor,
    (c.filled_at AT TIME ZONE 'UTC')::date, c.gap_minor, c.loss_minor
FROM fx_conversion c LEFT JOIN fx_quote q ON q.id = c.quote_id
ORDER BY c.converted_at, c.id
"""

_SUM_BALANCES: Final = """
SELECT kind, currency, sum(balance_minor)::bigint FROM account WHERE kind = ANY (%s)
GROUP BY kind, currency ORDER BY kind, currency
"""

# Other things than fills may be a gain or a loss of exchange.
_SUM_LOSSES: Final = """
SELECT a.currency, sum(l.amount_minor)::bigint
FROM event e JOIN line l ON l.event_id = e.id JOIN account a ON a.id = l.account_id
WHERE e.kind = 'conversion.filled' AND a.kind = 'platform.expense.fx'
GROUP BY a.currency
"""

_SUM_BOOKS: Final = """
SELECT book, currency, sum(balance_minor)::bigint FROM account
GROUP BY book, currency ORDER BY book, currency
"""

_SUM_FEES: Final = """
SELECT 'platform.revenue.' || kind, currency, sum(fee_minor)::bigint FROM fee_line
WHERE kind IN ('commission', 'client_fee') GROUP BY kind, currency
UNION ALL
SELECT 'platform.vat_payable ' || tax_country, currency, sum(tax_minor)::bigint FROM fee_line
WHERE tax_minor <> 0 GROUP BY tax_country, currency
"""

_SUM_CREDITS: Final = """
SELECT CASE kind WHEN 'platform.vat_payable' THEN kind || ' ' || subject ELSE kind END, currency,
    -sum(balance_minor)::bigint
FROM account
WHERE kind IN ('platform.revenue.commission', 'platform.revenue.client_fee',
    'platform.vat_payable')
GROUP BY 1, currency
"""

_LIST_NUMBERS: Final = "SELECT series, seq FROM invoice ORDER BY series, seq"

_SUM_DOCUMENTS: Final = """
SELECT fee_kind, currency, sum(net_minor)::bigint, sum(tax_minor)::bigint, count(*)
FROM invoice GROUP BY fee_kind, currency ORDER BY fee_kind, currency
"""

_SUM_DOCUMENTED: Final = """
SELECT f.kind, f.currency, sum(f.fee_minor)::bigint, sum(f.tax_minor)::bigint
FROM fee_line f JOIN invoice_line l ON l.fee_line_id = f.id GROUP BY f.kind, f.currency
"""

_COUNT_WAITING: Final = """
SELECT count(*) FROM fee_line f
WHERE (f.fee_minor <> 0 OR f.tax_minor <> 0) AND f.treatment IS NOT NULL
    AND NOT EXISTS (SELECT FROM invoice_line l WHERE l.fee_line_id = f.id)
"""


def list_conversions(connection: Connection) -> Iterator[Exchanged]:
    """All conversions, with what their providers brought."""
    return (Exchanged(*row) for row in connection.exec_driver_sql(_LIST_CONVERSIONS))


def sum_exchange(connection: Connection) -> dict[tuple[str, str], int]:
    """(kind, currency) -> bridge and margin, and of gain and loss what fills have posted."""
    rows = connection.exec_driver_sql(_SUM_BALANCES, (list(FX),))
    found = {(row[0], row[1]): row[2] for row in rows}
    losses = connection.exec_driver_sql(_SUM_LOSSES)
    return found | {("platform.expense.fx", row[0]): row[1] for row in losses}


def sum_books(connection: Connection) -> dict[tuple[str, str], int]:
    """(book, currency) -> all its balances together, which is nothing."""
    return _places(connection, _SUM_BOOKS)


def sum_fees(connection: Connection) -> dict[tuple[str, str], int]:
    """(account, currency) -> what the fee lines say was earned, and is owed to each country."""
    return _places(connection, _SUM_FEES)


def sum_credits(connection: Connection) -> dict[tuple[str, str], int]:
    """(account, currency) -> the same by the books."""
    return _places(connection, _SUM_CREDITS)


def list_numbers(connection: Connection) -> dict[str, list[int]]:
    """The numbers of all documents by series."""
    found: dict[str, list[int]] = {}
    for series, seq in connection.exec_driver_sql(_LIST_NUMBERS):
        found.setdefault(series, []).append(seq)
    return found


def sum_documents(connection: Connection) -> dict[tuple[str, str], tuple[int, int]]:
    """(kind of fee, currency) -> net and tax of all documents."""
    rows = connection.exec_driver_sql(_SUM_DOCUMENTS)
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


def sum_documented(connection: Connection) -> dict[tuple[str, str], tuple[int, int]]:
    """(kind of fee, currency) -> the same by the fee lines that have a document."""
    rows = connection.exec_driver_sql(_SUM_DOCUMENTED)
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


def count_waiting(connection: Connection) -> int:
    """Fees that should have a document and have none."""
    waiting: int = connection.exec_driver_sql(_COUNT_WAITING).scalar_one()
    return waiting


def _places(connection: Connection, statement: str) -> dict[tuple[str, str], int]:
    rows = connection.exec_driver_sql(statement)
    return {(row[0], row[1]): row[2] for row in rows if row[2]}
