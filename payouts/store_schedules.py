"""All SQL of payout schedules."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.database import driver
from payouts.model_schedules import Cadence, Rhythm, Schedule

_COLUMNS: Final = """id, party_id, currency, valid_from_on, cadence, weekday, day, second_day,
    minimum_minor, method_id, set_by, set_at"""

_ADD: Final = f"""
INSERT INTO payout_schedule ({_COLUMNS})
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_LIST_OF: Final = f"""
SELECT {_COLUMNS} FROM payout_schedule
WHERE currency = %s AND (party_id = ANY (%s::uuid[]) OR party_id IS NULL)
ORDER BY set_no
"""

_LIST_ALL: Final = f"""
SELECT {_COLUMNS} FROM payout_schedule
WHERE (%(party)s::uuid IS NULL OR party_id = %(party)s)
  AND (%(after)s::uuid IS NULL OR id > %(after)s)
ORDER BY id LIMIT %(limit)s
"""

_FIND_CURRENCIES: Final = """
SELECT DISTINCT currency FROM payout_schedule
WHERE cadence <> 'manual' AND (party_id = %(party)s OR party_id IS NULL) ORDER BY currency
"""

_FIND_TAKEN: Final = "SELECT id FROM payout_schedule WHERE id = ANY (%s::uuid[])"


def add_schedules(connection: Connection, schedules: Sequence[Schedule]) -> None:
    """Write settings, in the order in which they were made."""
    driver(connection).cursor().executemany(
        _ADD,
        [
            (
                *(each.id, each.party_id, each.currency, each.valid_from_on),
                *(each.rhythm.cadence.value, each.rhythm.weekday, each.rhythm.day),
                *(each.rhythm.second_day, each.minimum_minor, each.method_id),
                *(each.set_by, each.set_at),
            )
            for each in schedules
        ],
    )


def list_for(
    connection: Connection, party_ids: Iterable[UUID], *, currency: str
) -> dict[UUID | None, list[Schedule]]:
    """The settings of these parties and the default (None), in the order they were set."""
    found: dict[UUID | None, list[Schedule]] = {}
    rhythms: dict[tuple[Any, ...], Rhythm] = {}
    for row in driver(connection).execute(_LIST_OF, (currency, list(party_ids))):
        schedule = _schedule(row)
        known = rhythms.setdefault(row[4:8], schedule.rhythm)
        found.setdefault(row[1], []).append(replace(schedule, rhythm=known))
    return found


def list_page(
    connection: Connection, *, party_id: UUID | None, after: UUID | None, limit: int
) -> list[Schedule]:
    """Settings in the order of their ids, of one party or of all."""
    given = {"party": party_id, "after": after, "limit": limit}
    return [_schedule(row) for row in driver(connection).execute(_LIST_ALL, given)]


def find_currencies(connection: Connection, party_id: UUID | None) -> list[str]:
    """Currencies in which a party, or the default, is paid by itself."""
    return [row[0] for row in driver(connection).execute(_FIND_CURRENCIES, {"party": party_id})]


def find_taken(connection: Connection, ids: Iterable[UUID]) -> set[UUID]:
    """Those of the ids that a setting has."""
    return {row[0] for row in driver(connection).execute(_FIND_TAKEN, (list(ids),))}


def _schedule(row: Sequence[Any]) -> Schedule:
    valid_from_on: date = row[3]
    return Schedule(
        id=row[0],
        party_id=row[1],
        currency=row[2],
        valid_from_on=valid_from_on,
        rhythm=Rhythm(cadence=Cadence(row[4]), weekday=row[5], day=row[6], second_day=row[7]),
        minimum_minor=row[8],
        method_id=row[9],
        set_by=row[10],
        set_at=row[11],
    )
