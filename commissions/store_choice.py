"""All SQL of what contracts pinned: choices with their traces, promotions named and forgone."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from commissions.choosing import Forgone, Picked
from commissions.model import Side
from kernel.database import driver

# What each promotion forwent in a currency: of one payee, and, without a payee, of all.
_FORGONE: Final = """
SELECT promotion_id, currency, payee_id, sum(foregone_minor)::bigint
FROM fee_line
WHERE promotion_id = ANY (%(promotions)s)
GROUP BY GROUPING SETS ((promotion_id, currency), (promotion_id, currency, payee_id))
HAVING payee_id IS NULL OR payee_id = ANY (%(payees)s)
"""

# Later choices of one contract and side count on from those before.
_ADD: Final = """
INSERT INTO fee_choice (contract_id, side, is_promotion, seq, schedule_id, promotion_until, why,
    move_id, chosen_at, trace)
SELECT %(contract_id)s, %(side)s, %(is_promotion)s, coalesce(max(seq), 0) + 1, %(schedule_id)s,
    %(promotion_until)s, %(why)s, %(move_id)s, %(chosen_at)s, %(trace)s
FROM fee_choice
WHERE contract_id = %(contract_id)s AND side = %(side)s AND is_promotion = %(is_promotion)s
"""

_LIST: Final = """
SELECT contract_id, side, is_promotion, schedule_id, promotion_until, why, chosen_at, trace,
    move_id
FROM fee_choice WHERE contract_id = ANY (%s)
ORDER BY contract_id, side DESC, is_promotion, seq
"""


def sum_forgone(
    connection: Connection, *, promotions: Collection[UUID], payees: Collection[UUID]
) -> Forgone:
    """What promotions forwent until now: in all, and of these payees."""
    given = {"promotions": sorted(promotions), "payees": sorted(payees)}
    in_all, by_payee = {}, {}
    for schedule_id, currency, payee_id, minor in driver(connection).execute(_FORGONE, given):
        if payee_id is None:
            in_all[schedule_id, currency] = minor
        else:
            by_payee[schedule_id, currency, payee_id] = minor
    return Forgone(in_all, by_payee)


def add_choices(connection: Connection, choices: Sequence[Picked]) -> None:
    """Keep what contracts got, and why; their rows are locked."""
    driver(connection).cursor().executemany(
        _ADD,
        [
            {
                "contract_id": each.contract_id,
                "side": each.side,
                "is_promotion": each.is_promotion,
                "schedule_id": each.schedule_id,
                "promotion_until": each.promotion_until,
                "why": each.why,
                "move_id": each.move_id,
                "chosen_at": each.chosen_at,
                "trace": Jsonb(each.trace),
            }
            for each in choices
        ],
    )


def list_choices(connection: Connection, contract_ids: Collection[UUID]) -> list[Picked]:
    """What contracts got, oldest first in each part; the newest holds."""
    rows = driver(connection).execute(_LIST, (sorted(contract_ids),))
    return [
        Picked(
            contract_id=row[0],
            side=Side(row[1]),
            is_promotion=row[2],
            schedule_id=row[3],
            promotion_until=row[4],
            why=row[5],
            chosen_at=row[6],
            trace=row[7],
            move_id=row[8],
        )
        for row in rows
    ]


def find_named(connection: Connection, contract_ids: Collection[UUID]) -> dict[UUID, str]:
    """The promotions that deals name."""
    rows = driver(connection).execute(
        "SELECT contract_id, promotion FROM contract_promotion WHERE contract_id = ANY (%s)",
        (sorted(contract_ids),),
    )
    return dict(rows.fetchall())


def add_named(
    connection: Connection, contract_id: UUID, promotion: str, *, named_by: UUID, at: datetime
) -> None:
    """Let a deal name a promotion, the first and only one; its row is locked."""
    driver(connection).execute(
        "INSERT INTO contract_promotion (contract_id, promotion, named_by, named_at)"
        " VALUES (%s, %s, %s, %s)",
        (contract_id, promotion, named_by, at),
    )
