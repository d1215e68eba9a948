"""All SQL of blocks and of their releases."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.database import driver
from kernel.errors import Broken
from payouts.model_blocked import Rescreen, SanctionBlock, SanctionRelease

_BLOCK: Final = """id, party_id, kind, currency::text, amount_minor, list_name, blocked_at,
    report_due_on, reported_on, report_ref, release_id, licence_ref, released_at"""
_FIELDS: Final = tuple(name.strip().removesuffix("::text") for name in _BLOCK.split(","))

_RELEASE: Final = """id, party_id, licence_ref, reason, prepared_by, prepared_at, approved_by,
    approved_at"""
_RELEASE_FIELDS: Final = tuple(name.strip() for name in _RELEASE.split(","))

# Currencies in which a party has had money where it may be blocked.
_LIST_PLACES: Final = """
SELECT subject::uuid, kind, currency::text FROM account
WHERE kind = ANY (%s) AND subject = ANY (%s)
ORDER BY subject, kind, currency
"""

# Kept of a payee's releases for a while, and given by a clock that is stopped now. What disputes
# and chargebacks have reserved is not his yet.
_SUM_KEPT: Final = """
SELECT payee_id, currency::text, sum(kept_minor)::bigint
FROM (
    SELECT payee_id, currency, amount_minor AS kept_minor FROM reserve
    WHERE state = 'kept' AND payee_id = ANY (%(ids)s)
    UNION ALL
    SELECT party_id, currency, -amount_minor FROM sanction_block
    WHERE kind = 'custody.earned_reserved' AND released_at IS NULL AND party_id = ANY (%(ids)s)
) each_one
GROUP BY payee_id, currency
"""

_ADD: Final = """
INSERT INTO sanction_block (id, party_id, kind, currency, amount_minor, list_name, blocked_at,
    report_due_on)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""

_LOCK_STANDING: Final = f"""
SELECT {_BLOCK} FROM sanction_block
WHERE party_id = ANY (%s) AND released_at IS NULL ORDER BY id FOR UPDATE
"""

_LIST: Final = f"""
SELECT {_BLOCK} FROM sanction_block
WHERE (%(party_id)s::uuid IS NULL OR party_id = %(party_id)s)
    AND (%(after)s::uuid IS NULL OR id > %(after)s)
    AND (NOT %(standing)s OR released_at IS NULL)
ORDER BY id LIMIT %(limit)s
"""

_LIST_HELD: Final = f"""
SELECT {_BLOCK} FROM sanction_block
WHERE blocked_at <= %(at)s AND (released_at IS NULL OR released_at > %(at)s)
ORDER BY blocked_at, id
"""

_FREE: Final = """
UPDATE sanction_block SET release_id = r.id, licence_ref = r.licence_ref,
    released_by = r.prepared_by, seconded_by = r.approved_by, released_at = r.approved_at
FROM sanction_release r
WHERE r.id = %s AND sanction_block.party_id = r.party_id AND sanction_block.released_at IS NULL
"""

_REPORT: Final = """
UPDATE sanction_block SET reported_on = %s, report_ref = %s
WHERE id = %s AND reported_on IS NULL AND released_at IS NULL
"""

# Parties that a list names and that have money all the same: it came after they were blocked.
_LIST_OWED: Final = """
SELECT DISTINCT party.id FROM party
JOIN account ON account.subject = party.id::text
WHERE party.sanction_state <> 'clear' AND account.kind = ANY (%s) AND account.balance_minor < 0
ORDER BY party.id LIMIT %s
"""


def list_places(
    connection: Connection, kinds: Sequence[str], party_ids: Iterable[UUID]
) -> list[tuple[UUID, str, str]]:
    """(party, kind, currency) of the accounts that these parties have."""
    given = (list(kinds), [str(each) for each in party_ids])
    return list(driver(connection).execute(_LIST_PLACES, given))


def sum_kept(connection: Connection, party_ids: Iterable[UUID]) -> dict[tuple[UUID, str], int]:
    """What clocks give of payees' reserves later, less what of it is blocked already."""
    rows = driver(connection).execute(_SUM_KEPT, {"ids": list(party_ids)})
    return {(party_id, currency): minor for party_id, currency, minor in rows}


def add_blocks(connection: Connection, blocks: Sequence[SanctionBlock]) -> None:
    """Write blocks."""
    if blocks:
        driver(connection).cursor().executemany(
            _ADD,
            [
                (
                    *(each.id, each.party_id, each.kind, each.currency, each.amount_minor),
                    *(each.list_name, each.blocked_at, each.report_due_on),
                )
                for each in blocks
            ],
        )


def lock_standing(connection: Connection, party_ids: Iterable[UUID]) -> list[SanctionBlock]:
    """The blocks of parties that stand, locked in the order of their ids."""
    rows = driver(connection).execute(_LOCK_STANDING.encode(), (sorted(set(party_ids)),))
    return [_block(row) for row in rows]


def list_blocks(
    connection: Connection,
    *,
    party_id: UUID | None = None,
    standing: bool = False,
    after: UUID | None = None,
    limit: int,
) -> list[SanctionBlock]:
    """Blocks in the order of their ids; of one party, or those that stand, where it is asked."""
    given = {"party_id": party_id, "standing": standing, "after": after, "limit": limit}
    return [_block(row) for row in driver(connection).execute(_LIST.encode(), given)]


def list_held(connection: Connection, at: datetime) -> list[SanctionBlock]:
    """What was blocked at an instant, oldest first."""
    return [_block(row) for row in driver(connection).execute(_LIST_HELD.encode(), {"at": at})]


def free_blocks(connection: Connection, release_id: UUID, *, count: int) -> None:
    """Mark a party's standing blocks as released; Broken if they are not as many as were locked."""
    if driver(connection).execute(_FREE, (release_id,)).rowcount != count:
        raise Broken("a block moved under its lock", release_id=str(release_id))


def save_report(
    connection: Connection, block_id: UUID, *, reported_on: date, report_ref: str
) -> bool:
    """Note that a blocking was reported; False where it is reported or released already."""
    given = (reported_on, report_ref, block_id)
    return driver(connection).execute(_REPORT, given).rowcount == 1


def add_release(connection: Connection, release: SanctionRelease) -> bool:
    """Write a prepared release; False if another one of the party waits, or the id is taken."""
    statement = (
        "INSERT INTO sanction_release (id, party_id, licence_ref, reason, prepared_by,"
        " prepared_at) VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
    )
    given = (
        *(release.id, release.party_id, release.licence_ref, release.reason),
        *(release.prepared_by, release.prepared_at),
    )
    return driver(connection).execute(statement, given).rowcount == 1


def find_release(connection: Connection, release_id: UUID) -> SanctionRelease | None:
    """A release by its id."""
    row = (
        driver(connection)
        .execute(f"SELECT {_RELEASE} FROM sanction_release WHERE id = %s".encode(), (release_id,))
        .fetchone()
    )
    return SanctionRelease(**dict(zip(_RELEASE_FIELDS, row, strict=True))) if row else None


def approve_release(
    connection: Connection, release_id: UUID, *, approved_by: UUID, at: datetime
) -> None:
    """Write the second person's word."""
    statement = "UPDATE sanction_release SET approved_by = %s, approved_at = %s WHERE id = %s"
    driver(connection).execute(statement, (approved_by, at, release_id))


def add_run(
    connection: Connection, run_id: UUID, command: Rescreen, *, matches: int, at: datetime
) -> None:
    """Note that parties were screened against a list."""
    given = (
        *(run_id, command.list_name, command.list_date, matches),
        *(command.actor.principal_id, at),
    )
    driver(connection).execute(
        "INSERT INTO sanction_list_run (id, list_name, list_date, matches, run_by, run_at)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        given,
    )


def list_owed(connection: Connection, kinds: Sequence[str], *, limit: int) -> list[UUID]:
    """Parties that a list names and that have money which is not blocked."""
    return [row[0] for row in driver(connection).execute(_LIST_OWED, (list(kinds), limit))]


def list_unsent(connection: Connection, party_ids: Iterable[UUID]) -> list[UUID]:
    """Payouts of these payees that no rail was told of."""
    rows = driver(connection).execute(
        "SELECT id FROM payout WHERE payee_id = ANY (%s) AND submitted_at IS NULL"
        " AND ended_at IS NULL ORDER BY id",
        (list(party_ids),),
    )
    return [row[0] for row in rows]


def _block(row: Sequence[Any]) -> SanctionBlock:
    return SanctionBlock(**dict(zip(_FIELDS, row, strict=True)))
