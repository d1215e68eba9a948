"""All SQL of revaluations: what came and went per day, and what was written of it."""

from collections.abc import Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from commissions.store_fx import as_decimal
from kernel.database import driver
from payouts.rules_revaluation import Revaluation
from rails.rates.model import Rate

_TAKE_TURNS: Final = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || %s, 0))"

# What the platform owns and owes; revenue and expense keep the worth of their day.
_FLOWS: Final = """
SELECT a.currency, (l.effective_at AT TIME ZONE 'UTC')::date AS on_day,
    sum(l.amount_minor)::bigint
FROM account a
JOIN account_kind k USING (kind)
JOIN line l ON l.account_id = a.id
WHERE a.book = 'platform' AND k.nature IN ('asset', 'liability') AND a.currency <> %s
    AND l.effective_at < %s
GROUP BY a.currency, on_day
HAVING sum(l.amount_minor) <> 0
ORDER BY a.currency, on_day
"""

_GAINED: Final = """
SELECT currency, sum(gain_minor)::bigint
FROM fx_revaluation
WHERE reversed_at IS NULL AND reporting = %s AND on_day < %s
GROUP BY currency
"""

_LATER: Final = "SELECT max(on_day) FROM fx_revaluation WHERE reversed_at IS NULL AND on_day > %s"

_COLUMNS: Final = """
id, on_day, currency, reporting, balance_minor, source, as_of, rate, worth_minor, carried_minor
"""

_LIST: Final = f"""
SELECT {_COLUMNS}, event_id FROM fx_revaluation
WHERE on_day = %s AND reversed_at IS NULL ORDER BY currency
"""

_ADD: Final = f"""
INSERT INTO fx_revaluation ({_COLUMNS}, gain_minor, event_id, revalued_by, revalued_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_REVERSE: Final = """
UPDATE fx_revaluation SET reversed_by = %s, reversed_at = %s
WHERE id = ANY (%s) AND reversed_at IS NULL
"""


def take_turns(connection: Connection) -> None:
    """One revaluation of a tenant at a time, until the end of the transaction."""
    driver(connection).execute(_TAKE_TURNS, ("fx_revaluation",))


def list_flows(
    connection: Connection, *, reporting: str, before: datetime
) -> dict[str, dict[date, int]]:
    """By foreign currency and day (UTC), what changed of all that the platform owns and owes."""
    found: dict[str, dict[date, int]] = {}
    for currency, day, minor in driver(connection).execute(_FLOWS, (reporting, before)):
        found.setdefault(currency, {})[day] = minor
    return found


def sum_gained(connection: Connection, *, reporting: str, on: date) -> dict[str, int]:
    """By foreign currency, the gains of revaluations before a day that stand."""
    return dict(driver(connection).execute(_GAINED, (reporting, on)).fetchall())


def find_later(connection: Connection, on: date) -> date | None:
    """The last day after this one that was revalued."""
    row = driver(connection).execute(_LATER, (on,)).fetchone()
    return row[0] if row else None


def list_standing(connection: Connection, on: date) -> list[tuple[Revaluation, int]]:
    """The revaluations of a day that stand, each with its event, by currency."""
    return [
        (
            Revaluation(
                id=row[0],
                on=row[1],
                currency=row[2],
                reporting=row[3],
                balance_minor=row[4],
                rate=Rate(row[5], row[2], row[3], Fraction(row[7]), row[6]),
                worth_minor=row[8],
                carried_minor=row[9],
            ),
            row[10],
        )
        for row in driver(connection).execute(_LIST.encode(), (on,))
    ]


def add_revaluations(
    connection: Connection,
    rows: Sequence[tuple[Revaluation, int]],
    *,
    by: UUID,
    at: datetime,
) -> None:
    """Write revaluations, each with its event."""
    given = [
        (
            *(each.id, each.on, each.currency, each.reporting, each.balance_minor),
            *(each.rate.source, each.rate.as_of, as_decimal(each.rate.rate), each.worth_minor),
            *(each.carried_minor, each.gain_minor, event_id, by, at),
        )
        for each, event_id in rows
    ]
    if given:
        driver(connection).cursor().executemany(_ADD, given)


def save_reversed(connection: Connection, ids: Sequence[UUID], *, by: UUID, at: datetime) -> None:
    """Write that revaluations were taken back."""
    driver(connection).execute(_REVERSE, (by, at, list(ids)))
