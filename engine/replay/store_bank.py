"""What a replay reads of card payments and of the chargebacks that came of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

# Named by term, number and amount: weeks and periods have ids of their own in every run.
_LIST_PAYMENTS: Final = """
SELECT f.id, s.term_id || '/' || s.seq || '/' || f.captured_minor, f.captured_minor, f.created_at
FROM funding f JOIN slot s ON s.id = f.slot_id
WHERE f.method = 'card' AND f.state = 'succeeded' AND f.captured_minor > 0
    AND f.created_at > %s AND f.created_at <= %s
ORDER BY s.term_id, s.seq, f.created_at, f.captured_minor
"""

_LIST_CASES: Final = """
SELECT c.id, c.rail_ref, k.payee_id
FROM chargeback c JOIN contract k ON k.id = c.contract_id
WHERE c.rail_ref = ANY (%s) ORDER BY c.rail_ref
"""

_COUNT_CHARGEBACKS: Final = "SELECT state, count(*) FROM chargeback GROUP BY state ORDER BY state"

_SUM_MOVEMENTS: Final = """
SELECT c.currency, sum(CASE m.direction WHEN 'withdrawn' THEN m.amount_minor ELSE 0 END)::bigint,
    sum(CASE m.direction WHEN 'reinstated' THEN m.amount_minor ELSE 0 END)::bigint
FROM chargeback_movement m JOIN chargeback c ON c.id = m.chargeback_id
GROUP BY c.currency ORDER BY c.currency
"""


class CardPayment(NamedTuple):
    """A card payment, what it brought in minor units, and its name in every run."""

    funding_id: UUID
    name: str
    amount_minor: int
    paid_at: datetime


class Known(NamedTuple):
    """A chargeback as the engine knows it."""

    id: UUID
    rail_ref: str
    payee_id: UUID


def list_payments(connection: Connection, *, since: datetime, until: datetime) -> list[CardPayment]:
    """Card payments that succeeded, asked for after one instant and up to another."""
    rows = connection.exec_driver_sql(_LIST_PAYMENTS, (since, until))
    return [CardPayment(*row) for row in rows]


def list_cases(connection: Connection, refs: Sequence[str]) -> list[Known]:
    """The chargebacks of these names that the engine has heard of."""
    return [Known(*row) for row in connection.exec_driver_sql(_LIST_CASES, (list(refs),))]


def count_chargebacks(connection: Connection) -> dict[str, int]:
    """Chargebacks by their last word."""
    return {row[0]: row[1] for row in connection.exec_driver_sql(_COUNT_CHARGEBACKS)}


def sum_movements(connection: Connection) -> tuple[dict[str, int], dict[str, int]]:
    """What banks took, and what they gave back; by currency, in minor units."""
    rows = connection.exec_driver_sql(_SUM_MOVEMENTS).all()
    return {row[0]: row[1] for row in rows}, {row[0]: row[2] for row in rows if row[2]}
