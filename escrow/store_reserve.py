"""All SQL of reserves and of the limits of rails."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from escrow.model_clocks import Reserve, ReserveRule, ReserveState
from kernel.database import driver
from kernel.errors import Broken

_COLUMNS: Final = (
    "reserve.id, reserve.release_id, reserve.contract_id, reserve.payee_id, reserve.currency,"
    " reserve.amount_minor, reserve.state, reserve.kept_at, reserve.due_at"
)

_ADD: Final = """
INSERT INTO reserve (id, release_id, contract_id, payee_id, currency, amount_minor, state,
    kept_at, due_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_LOCK: Final = f"""
SELECT {_COLUMNS}, release.slot_id
FROM reserve JOIN release ON release.id = reserve.release_id
WHERE reserve.id = ANY (%s) ORDER BY reserve.id FOR NO KEY UPDATE OF reserve SKIP LOCKED
"""

_LIST: Final = f"""
SELECT {_COLUMNS} FROM reserve
WHERE payee_id = %(payee_id)s AND (%(after)s::uuid IS NULL OR id > %(after)s)
ORDER BY id LIMIT %(limit)s
"""

_SAVE_RULE: Final = """
INSERT INTO reserve_rule (payee_id, reserve_bps, reserve_days, reason, version)
VALUES (%s, %s, %s, %s, 1)
ON CONFLICT (payee_id) DO UPDATE SET reserve_bps = excluded.reserve_bps,
    reserve_days = excluded.reserve_days, reason = excluded.reason,
    version = reserve_rule.version + 1
"""

_SAVE_LIMIT: Final = """
INSERT INTO hold_limit (rail_account, most_days, version) VALUES (%s, %s, 1)
ON CONFLICT (rail_account) DO UPDATE SET most_days = excluded.most_days,
    version = hold_limit.version + 1
"""

# Money that has just come in by a rail and has no clock yet, with the limit that somebody set.
_LIST_ARRIVED: Final = """
SELECT funding.id, funding.rail_account, hold_limit.most_days
FROM funding LEFT JOIN hold_limit USING (rail_account)
WHERE funding.id = ANY (%s) AND funding.method <> 'wallet'
    AND funding.state IN ('succeeded', 'succeeded_uncleared', 'mismatch', 'credited')
    AND NOT EXISTS (
        SELECT FROM timer WHERE subject = 'funding:' || funding.id AND kind = 'escrow.max_hold'
    )
ORDER BY funding.id
"""


def add_reserves(connection: Connection, reserves: Sequence[Reserve]) -> None:
    """Write what was kept back."""
    if reserves:
        driver(connection).cursor().executemany(_ADD, [astuple(each) for each in reserves])


def lock_reserves(connection: Connection, ids: Iterable[UUID]) -> list[tuple[Reserve, UUID | None]]:
    """Lock reserves, each with the slot it came of; those that others hold are left out."""
    rows = driver(connection).execute(_LOCK.encode(), (sorted(set(ids)),))
    return [(_reserve(row[:9]), row[9]) for row in rows]


def find_contract_ids(connection: Connection, ids: Iterable[UUID]) -> list[UUID]:
    """The contracts of reserves; none of them ever changes."""
    rows = driver(connection).execute(
        "SELECT DISTINCT contract_id FROM reserve WHERE id = ANY (%s)", (sorted(set(ids)),)
    )
    return [row[0] for row in rows]


def list_reserves(
    connection: Connection, payee_id: UUID, *, after: UUID | None, limit: int
) -> list[Reserve]:
    """A payee's reserves, oldest first."""
    given = {"payee_id": payee_id, "after": after, "limit": limit}
    return [_reserve(row) for row in driver(connection).execute(_LIST.encode(), given)]


def save_given(connection: Connection, ids: Sequence[UUID]) -> None:
    """Write that reserves were given; Broken if one was not kept any more."""
    if not ids:
        return
    statement = "UPDATE reserve SET state = 'given' WHERE id = ANY (%s) AND state = 'kept'"
    if driver(connection).execute(statement, (list(ids),)).rowcount != len(ids):
        raise Broken("a reserve moved under its lock", ids=[str(each) for each in ids])


def find_rules(connection: Connection, payee_ids: Iterable[UUID]) -> dict[UUID, ReserveRule]:
    """What is kept back of these payees' releases; nothing where there is no rule."""
    rows = driver(connection).execute(
        "SELECT payee_id, reserve_bps, reserve_days FROM reserve_rule"
        " WHERE payee_id = ANY (%s) AND reserve_bps > 0",
        (sorted(set(payee_ids)),),
    )
    return {row[0]: ReserveRule(*row) for row in rows}


def save_rule(connection: Connection, rule: ReserveRule, *, reason: str) -> None:
    """Set what is kept back of a payee's releases."""
    given = (rule.payee_id, rule.reserve_bps, rule.reserve_days, reason)
    driver(connection).execute(_SAVE_RULE, given)


def save_limit(connection: Connection, rail_account: str, *, most_days: int) -> None:
    """Set how long a rail account may keep client money."""
    driver(connection).execute(_SAVE_LIMIT, (rail_account, most_days))


def list_arrived(
    connection: Connection, funding_ids: Sequence[UUID]
) -> list[tuple[UUID, str, int | None]]:
    """(funding, rail account, days) of payments that lie with a rail; the limit that was set."""
    rows = driver(connection).execute(_LIST_ARRIVED, (list(funding_ids),))
    return [(row[0], row[1], row[2]) for row in rows]


def _reserve(row: Sequence[Any]) -> Reserve:
    cells = list(row)
    cells[6] = ReserveState(row[6])
    return Reserve(*cells)
