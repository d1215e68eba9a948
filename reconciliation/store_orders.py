"""The SQL of what reconciliation reads of others: bank orders, and rails' own statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.database import driver

_ORDERS: Final = """
SELECT id, source, target, amount_minor FROM bank_order WHERE id = ANY (%s::uuid[]) ORDER BY id
"""

_TRANSACTIONS: Final = """
SELECT seen_no, account, currency::text, transaction_ref, kind, amount_minor - fee_minor, fee_minor,
    source_ref, operation_id, (occurred_at AT TIME ZONE 'UTC')::date,
    (available_at AT TIME ZONE 'UTC')::date, occurred_at
FROM rail_transaction
WHERE rail = %(rail)s AND seen_no > %(after)s
ORDER BY seen_no LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Order:
    """A bank order: out of which bank of ours, into which (empty: to a payee), and how much."""

    id: UUID
    source: str
    target: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of a rail's own statement; `net_minor` is what it added to the balance."""

    seen_no: int
    account: str
    currency: str
    ref: str
    kind: str
    net_minor: int
    fee_minor: int
    source_ref: str
    operation_id: UUID | None
    booked_on: date
    value_on: date
    occurred_at: datetime


def list_orders(connection: Connection, ids: Sequence[UUID]) -> list[Order]:
    """Bank orders by id; unknown ones are missing."""
    return [Order(*row) for row in driver(connection).execute(_ORDERS, (list(ids),))]


def list_transactions(connection: Connection, rail: str, *, after: int, limit: int) -> list[Listed]:
    """A rail's own statement behind a number, in the order in which it was seen."""
    rows = driver(connection).execute(_TRANSACTIONS, {"rail": rail, "after": after, "limit": limit})
    return [Listed(*row) for row in rows]
