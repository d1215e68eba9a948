"""All SQL of dormancy, unclaimed money and remittances."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.database import driver
from kernel.errors import Broken
from payouts.model_dormant import (
    OWNER_OF,
    DormancyRule,
    Owner,
    Purse,
    Remittance,
    Unclaimed,
    UnclaimedState,
)

_RULE: Final = "jurisdiction, owner, valid_from, years, notice_days, source"
_UNCLAIMED: Final = """id, party_id, kind, currency::text, amount_minor, jurisdiction,
    last_contact_at, noticed_at, moved_at, state, remittance_id, ended_at"""
_REMITTANCE: Final = """id, jurisdiction, currency::text, amount_minor, state, method, reason,
    prepared_by, prepared_at, approved_by, approved_at, ended_at"""

_KINDS: Final = list(OWNER_OF)

# Money of parties of which we know where they live; theirs is the newest place by a day.
_PURSES: Final = """
SELECT party.id, account.kind, account.currency::text, -account.balance_minor,
    coalesce(home.jurisdiction, party.country)
FROM account
JOIN party ON party.id::text = account.subject
LEFT JOIN LATERAL (
    SELECT jurisdiction FROM party_residence
    WHERE party_id = party.id AND since <= %(on)s ORDER BY since DESC LIMIT 1
) AS home ON true
WHERE account.kind = ANY (%(kinds)s) AND account.balance_minor < 0
    AND coalesce(home.jurisdiction, party.country) IS NOT NULL
"""

_LIST_PURSES: Final = f"{_PURSES} AND party.id = ANY (%(ids)s) ORDER BY 1, 2, 3"

_LIST_UNWATCHED: Final = f"""
{_PURSES} AND NOT EXISTS (
        SELECT FROM timer WHERE subject = 'party:' || party.id AND timer.kind = %(timer)s)
    AND EXISTS (
        SELECT FROM dormancy_rule WHERE valid_from <= %(on)s AND jurisdiction IN (
            coalesce(home.jurisdiction, party.country),
            left(coalesce(home.jurisdiction, party.country), 2))
            AND owner = CASE account.kind WHEN 'custody.wallet' THEN 'client' ELSE 'payee' END)
ORDER BY 1, 2, 3 LIMIT %(limit)s
"""

# Any command of a party is a word of its own. The log has no index by party: this reads all of it
# once for a whole batch, when clocks of silence are set or ring, which is rare.
_LIST_CONTACTS: Final = """
SELECT id, greatest(created_at,
    (SELECT max(contact_at) FROM party_contact WHERE party_id = party.id), said.newest_at)
FROM party LEFT JOIN (
    SELECT party_id, max(effective_at) AS newest_at FROM event
    WHERE party_id = ANY (%(ids)s) GROUP BY party_id
) said ON said.party_id = party.id
WHERE party.id = ANY (%(ids)s)
"""

_ADD_RULE: Final = """
INSERT INTO dormancy_rule (jurisdiction, owner, valid_from, years, notice_days, source, set_by)
VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT ON CONSTRAINT dormancy_rule_is_dated DO NOTHING
"""

_ADD_RESIDENCE: Final = """
INSERT INTO party_residence (party_id, since, jurisdiction, set_by) VALUES (%s, %s, %s, %s)
ON CONFLICT ON CONSTRAINT party_residence_is_dated DO NOTHING
"""

_ADD_CONTACT: Final = """
INSERT INTO party_contact (party_id, contact_at, how, noted_by) VALUES (%s, %s, %s, %s)
ON CONFLICT ON CONSTRAINT party_contact_once DO NOTHING
"""

_ADD_NOTICE: Final = """
INSERT INTO dormancy_notice (party_id, noticed_at, last_contact_at, jurisdiction)
VALUES (%s, %s, %s, %s)
"""

_ADD_UNCLAIMED: Final = """
INSERT INTO unclaimed (id, party_id, kind, currency, amount_minor, jurisdiction, last_contact_at,
    noticed_at, moved_at, state)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'held')
"""

_LIST_UNCLAIMED: Final = f"""
SELECT {_UNCLAIMED} FROM unclaimed
WHERE (%(party_id)s::uuid IS NULL OR party_id = %(party_id)s)
    AND (%(remittance_id)s::uuid IS NULL OR remittance_id = %(remittance_id)s)
    AND (%(jurisdiction)s::text IS NULL OR jurisdiction = %(jurisdiction)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(after)s::uuid IS NULL OR id > %(after)s)
ORDER BY id LIMIT %(limit)s
"""

_LOCK_HELD_OF: Final = f"""
SELECT {_UNCLAIMED} FROM unclaimed
WHERE party_id = ANY (%s) AND state = 'held' ORDER BY id FOR NO KEY UPDATE
"""

# What a sanctions match stands against is not remitted.
_LOCK_HELD_FOR: Final = f"""
SELECT {_UNCLAIMED} FROM unclaimed
WHERE jurisdiction = %s AND currency = %s AND state = 'held' AND NOT EXISTS (
    SELECT FROM party WHERE party.id = unclaimed.party_id AND party.sanction_state <> 'clear')
ORDER BY id FOR NO KEY UPDATE
"""

_MOVE: Final = """
UPDATE unclaimed SET state = %s, remittance_id = %s, ended_at = %s WHERE id = ANY (%s)
"""

_ADD_REMITTANCE: Final = """
INSERT INTO remittance (id, jurisdiction, currency, amount_minor, state, method, reason,
    prepared_by, prepared_at)
VALUES (%s, %s, %s, %s, 'prepared', %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""

_SAVE_REMITTANCE: Final = """
UPDATE remittance SET state = %s, approved_by = %s, approved_at = %s, ended_at = %s WHERE id = %s
"""


def list_rules(connection: Connection) -> list[DormancyRule]:
    """All rules, by place, owner and day."""
    rows = driver(connection).execute(
        f"SELECT {_RULE} FROM dormancy_rule ORDER BY jurisdiction, owner, valid_from".encode()
    )
    return [
        DormancyRule(
            jurisdiction=row[0],
            owner=Owner(row[1]),
            valid_from=row[2],
            years=row[3],
            notice_days=row[4],
            source=row[5],
        )
        for row in rows
    ]


def add_rule(connection: Connection, rule: DormancyRule, *, set_by: UUID) -> bool:
    """Write a rule; False if another one counts from its day."""
    given = (
        *(rule.jurisdiction, rule.owner.value, rule.valid_from, rule.years),
        *(rule.notice_days, rule.source, set_by),
    )
    return driver(connection).execute(_ADD_RULE, given).rowcount == 1


def add_residence(
    connection: Connection, party_id: UUID, jurisdiction: str, *, since: date, set_by: UUID
) -> bool:
    """Write where a party lives; False if a place from that day is known."""
    given = (party_id, since, jurisdiction, set_by)
    return driver(connection).execute(_ADD_RESIDENCE, given).rowcount == 1


def add_contact(
    connection: Connection, party_id: UUID, how: str, *, at: datetime, noted_by: UUID
) -> None:
    """Write a word of an owner."""
    driver(connection).execute(_ADD_CONTACT, (party_id, at, how, noted_by))


def list_purses(connection: Connection, ids: Iterable[UUID], *, on: date) -> list[Purse]:
    """What these parties have that may become dormant, and where they live."""
    given = {"ids": list(ids), "kinds": _KINDS, "on": on}
    return [_purse(row) for row in driver(connection).execute(_LIST_PURSES.encode(), given)]


def list_unwatched(connection: Connection, *, timer: str, on: date, limit: int) -> list[Purse]:
    """Money for which there is a rule, and no clock yet."""
    given = {"kinds": _KINDS, "timer": timer, "on": on, "limit": limit}
    return [_purse(row) for row in driver(connection).execute(_LIST_UNWATCHED.encode(), given)]


def list_contacts(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, datetime]:
    """When each party last said a word by its commands or to an operator; else its beginning."""
    rows = driver(connection).execute(_LIST_CONTACTS, {"ids": list(ids)})
    return dict(rows.fetchall())


def list_notices(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, datetime]:
    """When each party was last written to."""
    rows = driver(connection).execute(
        "SELECT party_id, max(noticed_at) FROM dormancy_notice WHERE party_id = ANY (%s)"
        " GROUP BY party_id",
        (list(ids),),
    )
    return dict(rows.fetchall())


def add_notices(
    connection: Connection, notices: Sequence[tuple[UUID, datetime, datetime, str]]
) -> None:
    """Write (party, when, its last word, jurisdiction) of letters that are due."""
    if notices:
        driver(connection).cursor().executemany(_ADD_NOTICE, notices)


def add_unclaimed(connection: Connection, moved: Sequence[Unclaimed]) -> None:
    """Write what became unclaimed."""
    if moved:
        driver(connection).cursor().executemany(
            _ADD_UNCLAIMED,
            [
                (
                    *(each.id, each.party_id, each.kind, each.currency, each.amount_minor),
                    *(each.jurisdiction, each.last_contact_at, each.noticed_at, each.moved_at),
                )
                for each in moved
            ],
        )


def list_unclaimed(
    connection: Connection,
    *,
    party_id: UUID | None = None,
    remittance_id: UUID | None = None,
    jurisdiction: str | None = None,
    state: UnclaimedState | None = None,
    after: UUID | None = None,
    limit: int,
) -> list[Unclaimed]:
    """Unclaimed money in the order of its ids."""
    given = {
        "party_id": party_id,
        "remittance_id": remittance_id,
        "jurisdiction": jurisdiction,
        "state": state,
        "after": after,
        "limit": limit,
    }
    rows = driver(connection).execute(_LIST_UNCLAIMED.encode(), given)
    return [_unclaimed(row) for row in rows]


def lock_held_of(connection: Connection, party_ids: Iterable[UUID]) -> list[Unclaimed]:
    """What is held of these parties, locked."""
    rows = driver(connection).execute(_LOCK_HELD_OF.encode(), (sorted(set(party_ids)),))
    return [_unclaimed(row) for row in rows]


def lock_held_for(connection: Connection, jurisdiction: str, *, currency: str) -> list[Unclaimed]:
    """What is held for a state in a currency and may be sent there, locked."""
    rows = driver(connection).execute(_LOCK_HELD_FOR.encode(), (jurisdiction, currency))
    return [_unclaimed(row) for row in rows]


def move(
    connection: Connection,
    ids: Sequence[UUID],
    state: UnclaimedState,
    *,
    remittance_id: UUID | None = None,
    ended_at: datetime | None = None,
) -> None:
    """Move unclaimed money on; Broken if some of it is not there."""
    given = (state.value, remittance_id, ended_at, list(ids))
    if driver(connection).execute(_MOVE, given).rowcount != len(ids):
        raise Broken("unclaimed money moved under its lock", ids=[str(each) for each in ids])


def add_remittance(connection: Connection, remittance: Remittance) -> bool:
    """Write a prepared remittance; False if its id is taken."""
    given = (
        *(remittance.id, remittance.jurisdiction, remittance.currency, remittance.amount_minor),
        *(remittance.method, remittance.reason, remittance.prepared_by, remittance.prepared_at),
    )
    return driver(connection).execute(_ADD_REMITTANCE, given).rowcount == 1


def lock_remittances(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Remittance]:
    """Remittances by id, locked in order."""
    rows = driver(connection).execute(
        f"SELECT {_REMITTANCE} FROM remittance WHERE id = ANY (%s) ORDER BY id FOR UPDATE".encode(),
        (sorted(set(ids)),),
    )
    return {row[0]: _remittance(row) for row in rows}


def list_remittances(connection: Connection, *, after: UUID | None, limit: int) -> list[Remittance]:
    """Remittances in the order of their ids."""
    rows = driver(connection).execute(
        f"SELECT {_REMITTANCE} FROM remittance WHERE (%(after)s::uuid IS NULL OR id > %(after)s)"
        " ORDER BY id LIMIT %(limit)s".encode(),
        {"after": after, "limit": limit},
    )
    return [_remittance(row) for row in rows]


def save_remittance(connection: Connection, remittance: Remittance) -> None:
    """Write where a remittance is now."""
    given = (
        *(remittance.state, remittance.approved_by, remittance.approved_at),
        *(remittance.ended_at, remittance.id),
    )
    driver(connection).execute(_SAVE_REMITTANCE, given)


def sum_leaving(connection: Connection) -> dict[str, int]:
    """What is on its way to states and has not left the bank, by currency."""
    rows = driver(connection).execute(
        "SELECT currency::text, sum(amount_minor)::bigint FROM remittance"
        " WHERE state = 'submitted' GROUP BY currency"
    )
    return dict(rows.fetchall())


def _purse(row: Sequence[Any]) -> Purse:
    return Purse(
        party_id=row[0], kind=row[1], currency=row[2], amount_minor=row[3], jurisdiction=row[4]
    )


def _unclaimed(row: Sequence[Any]) -> Unclaimed:
    return Unclaimed(
        id=row[0],
        party_id=row[1],
        kind=row[2],
        currency=row[3],
        amount_minor=row[4],
        jurisdiction=row[5],
        last_contact_at=row[6],
        noticed_at=row[7],
        moved_at=row[8],
        state=UnclaimedState(row[9]),
        remittance_id=row[10],
        ended_at=row[11],
    )


def _remittance(row: Sequence[Any]) -> Remittance:
    return Remittance(
        id=row[0],
        jurisdiction=row[1],
        currency=row[2],
        amount_minor=row[3],
        state=row[4],
        method=row[5],
        reason=row[6],
        prepared_by=row[7],
        prepared_at=row[8],
        approved_by=row[9],
        approved_at=row[10],
        ended_at=row[11],
    )
