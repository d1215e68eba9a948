"""All SQL of the simulated rail's chargebacks: cases, words and what they move."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from rails.model import Notice
from rails.simulated.store import lock_platform, read_notice

__all__ = ["lock_platform"]

_FIND_PAYMENT: Final = """
SELECT operation.amount_minor, operation.currency FROM simulated_rail.operation
WHERE platform = %(platform)s AND operation_id = %(id)s AND kind = 'fund' AND EXISTS (
    SELECT FROM simulated_rail.fact WHERE fact.platform = operation.platform
        AND fact.operation_id = operation.operation_id AND fact.outcome = 'done'
        AND fact.effective_at <= %(at)s)
"""
_FIND_CHARGEBACK: Final = """
SELECT operation_id FROM simulated_rail.chargeback WHERE platform = %s AND ref = %s
"""
_ADD_CHARGEBACK: Final = """
INSERT INTO simulated_rail.chargeback
    (platform, ref, operation_id, currency, amount_minor, opened_at)
VALUES (%s, %s, %s, %s, %s, %s)
"""
_ADD_NOTICE: Final = """
INSERT INTO simulated_rail.notice
    (platform, notice_id, copy_no, kind, operation_id, outcome, amount_minor, currency, fee_minor,
     code, cleared, rail_ref, occurred_at, due_at, ordinal, facts)
VALUES (%(platform)s, %(notice_id)s, %(copy_no)s, %(kind)s, %(operation_id)s, %(outcome)s,
    %(amount_minor)s, %(currency)s, %(fee_minor)s, %(code)s, true, '', %(occurred_at)s,
    %(due_at)s, 2000, %(facts)s::jsonb)
ON CONFLICT DO NOTHING
"""
_ADD_MOVEMENT: Final = """
INSERT INTO simulated_rail.movement
    (platform, account, currency, amount_minor, kind, operation_id, effective_at)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
_ADD_RETURN: Final = """
INSERT INTO simulated_rail.fact
    (platform, operation_id, fact_no, effective_at, outcome, fee_minor, code, cleared)
SELECT platform, operation_id, max(fact_no) + 1, %(at)s, 'refused', %(fee)s, 'debit.returned',
    false
FROM simulated_rail.fact WHERE platform = %(platform)s AND operation_id = %(id)s
GROUP BY platform, operation_id
"""
_LIST_WORDS: Final = """
SELECT DISTINCT ON (occurred_at, ordinal, notice_id) * FROM simulated_rail.notice
WHERE platform = %(platform)s AND operation_id = ANY (%(ids)s::uuid[])
    AND kind IN ('chargeback_changed', 'chargeback_funds') AND occurred_at <= %(at)s
ORDER BY occurred_at, ordinal, notice_id, copy_no
"""


class Payment(NamedTuple):
    """A payment that was made."""

    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A notice to be sent, in `copies`."""

    notice_id: str
    kind: str
    operation_id: UUID
    outcome: str | None
    amount_minor: int
    currency: str
    fee_minor: int
    code: str
    occurred_at: datetime
    due_at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)
    copies: int = 1


def find_payment(
    connection: Connection, platform: str, operation_id: UUID, at: datetime
) -> Payment | None:
    """A payment that is done by now; None where there is none."""
    given = {"platform": platform, "id": operation_id, "at": at}
    row = connection.exec_driver_sql(_FIND_PAYMENT, given).one_or_none()
    return Payment(row.amount_minor, row.currency) if row else None


def find_chargeback(connection: Connection, platform: str, *, ref: str) -> UUID | None:
    """The payment of a chargeback; None if the rail does not know it."""
    found: UUID | None = connection.exec_driver_sql(
        _FIND_CHARGEBACK, (platform, ref)
    ).scalar_one_or_none()
    return found


def add_chargeback(
    connection: Connection,
    platform: str,
    *,
    ref: str,
    operation_id: UUID,
    currency: str,
    amount_minor: int,
    at: datetime,
) -> None:
    """Open a case."""
    connection.exec_driver_sql(
        _ADD_CHARGEBACK, (platform, ref, operation_id, currency, amount_minor, at)
    )


def add_notice(connection: Connection, platform: str, told: Told) -> bool:
    """Write a notice in its copies; False if it was written before."""
    added = 0
    for copy_no in range(told.copies):
        given = {
            "platform": platform,
            "copy_no": copy_no,
            **{name: getattr(told, name) for name in Told.__dataclass_fields__},
            "facts": json.dumps(dict(told.facts)),
        }
        given.pop("copies")
        added += connection.exec_driver_sql(_ADD_NOTICE, given).rowcount
    return added > 0


def add_movement(
    connection: Connection,
    platform: str,
    *,
    operation_id: UUID,
    currency: str,
    account: str,
    amount_minor: int,
    kind: str,
    at: datetime,
) -> None:
    """Write a movement of the rail's own log."""
    connection.exec_driver_sql(
        _ADD_MOVEMENT, (platform, account, currency, amount_minor, kind, operation_id, at)
    )


def add_return(
    connection: Connection, platform: str, operation_id: UUID, *, fee_minor: int, at: datetime
) -> None:
    """From now on the payment is refused, whatever it was."""
    given = {"platform": platform, "id": operation_id, "fee": fee_minor, "at": at}
    connection.exec_driver_sql(_ADD_RETURN, given)


def list_words(
    connection: Connection,
    platform: str,
    operation_ids: Sequence[UUID],
    *,
    rail: str,
    at: datetime,
) -> list[Notice]:
    """What was said of the chargebacks of payments by now, oldest first, each once."""
    given = {"platform": platform, "ids": list(operation_ids), "at": at}
    rows = connection.exec_driver_sql(_LIST_WORDS, given).mappings()
    return [read_notice(rail, row) for row in rows]
