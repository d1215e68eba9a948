"""All SQL of payout runs: whom there is to pay, the list, and how far a run is."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.database import driver
from kernel.errors import Broken
from payouts.model_runs import Item, ItemState, Progress, Run, RunKind, RunState

# A payee's money, and whether another open run of the currency has planned it.
_LIST_MONEY: Final = """
SELECT account.subject::uuid, -account.balance_minor, EXISTS (
    SELECT FROM payout_run_item AS item JOIN payout_run AS run ON run.id = item.run_id
    WHERE item.payee_id = account.subject::uuid AND item.state = 'planned'
      AND run.currency = account.currency AND run.state NOT IN ('done', 'withdrawn'))
FROM account
WHERE account.kind = 'custody.earned_available' AND account.currency = %(currency)s
  AND account.balance_minor < 0 AND strpos(account.subject, ':') = 0
  AND (%(party)s::text IS NULL OR account.subject = %(party)s)
ORDER BY account.subject
"""

_RUN: Final = """id, currency, kind, due_from_on, cut_off_on, state, version, item_count,
    planned_count, planned_minor, fee_minor, limit_minor, content_sha256, prepared_by, prepared_at,
    approved_by, approved_at, started_at, ended_at, reason"""

_ADD_RUN: Final = f"""
INSERT INTO payout_run ({_RUN})
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_ADD_ITEMS: Final = """
INSERT INTO payout_run_item (run_id, payee_id, method_id, amount_minor, fee_minor, reason, state)
SELECT %s, given.* FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::bigint[], %s::text[],
                               %s::text[]) AS given
"""

_FIND_RUNS: Final = f"SELECT {_RUN} FROM payout_run WHERE id = ANY (%s::uuid[])"

_LOCK_RUNS: Final = f"{_FIND_RUNS} ORDER BY id FOR UPDATE"

_SHARE_RUN: Final = f"SELECT {_RUN} FROM payout_run WHERE id = %s FOR SHARE"

_FIND_OPEN: Final = """
SELECT id FROM payout_run
WHERE currency = %s AND cut_off_on = %s AND state NOT IN ('done', 'withdrawn')
"""

_LIST_RUNS: Final = f"""
SELECT {_RUN} FROM payout_run
WHERE (%(after)s::uuid IS NULL OR id < %(after)s)
  AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY id DESC LIMIT %(limit)s
"""

_LIST_EXECUTING: Final = "SELECT id FROM payout_run WHERE state = 'executing' ORDER BY id"

_SAVE_RUN: Final = """
UPDATE payout_run SET state = %s, version = %s, approved_by = %s, approved_at = %s,
    started_at = %s, ended_at = %s, reason = %s
WHERE id = %s AND version = %s
"""

_CONTENT: Final = "SELECT payout_run_content(payout_run) FROM payout_run WHERE id = %s"

_ITEM: Final = "payee_id, method_id, amount_minor, fee_minor, reason, state, code, payout_id"

_TAKE_ITEMS: Final = f"""
SELECT {_ITEM} FROM payout_run_item WHERE run_id = %s AND state = 'planned'
ORDER BY payee_id LIMIT %s FOR UPDATE SKIP LOCKED
"""

_LIST_ITEMS: Final = f"""
SELECT {_ITEM} FROM payout_run_item
WHERE run_id = %(run)s AND (%(after)s::uuid IS NULL OR payee_id > %(after)s)
  AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY payee_id LIMIT %(limit)s
"""

_SAVE_ITEMS: Final = """
UPDATE payout_run_item AS stored
SET state = moved.state, code = moved.code, payout_id = moved.payout_id
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::uuid[])
    AS moved (payee_id, state, code, payout_id)
WHERE stored.run_id = %s AND stored.payee_id = moved.payee_id AND stored.state = 'planned'
"""

_HAS_PLANNED: Final = """
SELECT EXISTS (SELECT FROM payout_run_item WHERE run_id = %s AND state = 'planned')
"""

_COUNT: Final = """
SELECT state, coalesce(nullif(reason, ''), code) AS why, count(*), sum(amount_minor)::bigint
FROM payout_run_item WHERE run_id = %s GROUP BY state, why
"""

_FIND_LIMIT: Final = """
SELECT limit_minor FROM payout_run_limit
WHERE currency = %s AND approved_at <= %s ORDER BY approved_at DESC LIMIT 1
"""

_ADD_LIMIT: Final = """
INSERT INTO payout_run_limit (id, currency, limit_minor, prepared_by, prepared_at)
VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""

_LOCK_LIMIT: Final = """
SELECT currency, limit_minor, prepared_by FROM payout_run_limit
WHERE id = %s AND approved_by IS NULL FOR UPDATE
"""

_APPROVE_LIMIT: Final = """
UPDATE payout_run_limit SET approved_by = %s, approved_at = %s WHERE id = %s
"""

_TAKE_TURNS: Final = """
SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.payout_run.' || %s, 0))
"""


def take_turns(connection: Connection, currency: str) -> None:
    """One run of a currency is prepared at a time, until the end of the transaction."""
    driver(connection).execute(_TAKE_TURNS, (currency,))


def list_money(
    connection: Connection, *, currency: str, party_id: UUID | None = None
) -> list[tuple[UUID, int, bool]]:
    """Payees with available money: how much, and whether another open run has planned it."""
    given = {"currency": currency, "party": str(party_id) if party_id else None}
    return [tuple(row) for row in driver(connection).execute(_LIST_MONEY, given)]


def add_run(connection: Connection, run: Run, items: Sequence[Item]) -> None:
    """Write a prepared run with its items."""
    raw = driver(connection)
    raw.execute(
        _ADD_RUN.encode(),
        (
            *(run.id, run.currency, run.kind.value, run.due_from_on, run.cut_off_on),
            *(run.state.value, run.version, run.item_count, run.planned_count),
            *(run.planned_minor, run.fee_minor, run.limit_minor, run.content_sha256),
            *(run.prepared_by, run.prepared_at, run.approved_by, run.approved_at),
            *(run.started_at, run.ended_at, run.reason),
        ),
    )
    raw.execute(
        _ADD_ITEMS,
        (
            run.id,
            [item.payee_id for item in items],
            [item.method_id for item in items],
            [item.amount_minor for item in items],
            [item.fee_minor for item in items],
            [item.reason for item in items],
            [item.state.value for item in items],
        ),
    )


def find_runs(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Run]:
    """Runs by id, unlocked; an unknown id is missing."""
    rows = driver(connection).execute(_FIND_RUNS.encode(), (list(ids),))
    return {row[0]: _run(row) for row in rows}


def lock_runs(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Run]:
    """Runs by id, locked in the order of their ids."""
    rows = driver(connection).execute(_LOCK_RUNS.encode(), (sorted(set(ids)),))
    return {row[0]: _run(row) for row in rows}


def share_run(connection: Connection, run_id: UUID) -> Run | None:
    """A run that nobody stops or ends meanwhile; several may work on it beside one another."""
    row = driver(connection).execute(_SHARE_RUN.encode(), (run_id,)).fetchone()
    return _run(row) if row else None


def find_open(connection: Connection, *, currency: str, cut_off_on: date) -> UUID | None:
    """The open run of a currency and cut-off."""
    row = driver(connection).execute(_FIND_OPEN, (currency, cut_off_on)).fetchone()
    return row[0] if row else None


def list_runs(
    connection: Connection, *, after: UUID | None, limit: int, state: str | None = None
) -> list[Run]:
    """Runs, newest first."""
    given = {"after": after, "limit": limit, "state": state}
    return [_run(row) for row in driver(connection).execute(_LIST_RUNS.encode(), given)]


def list_executing(connection: Connection) -> list[UUID]:
    """Runs that workers are to go on with, oldest first."""
    return [row[0] for row in driver(connection).execute(_LIST_EXECUTING)]


def save_run(connection: Connection, run: Run) -> None:
    """Move a run on; Broken if it was not as its lock showed."""
    saved = driver(connection).execute(
        _SAVE_RUN,
        (
            *(run.state.value, run.version, run.approved_by, run.approved_at, run.started_at),
            *(run.ended_at, run.reason, run.id, run.version - 1),
        ),
    )
    if saved.rowcount != 1:
        raise Broken("a payout run moved under its lock", run_id=str(run.id))


def find_content(connection: Connection, run_id: UUID) -> bytes:
    """The hash of the items as they are now."""
    row = driver(connection).execute(_CONTENT, (run_id,)).fetchone()
    if row is None:
        raise Broken("a payout run is gone", run_id=str(run_id))
    return bytes(row[0])


def take_items(connection: Connection, run_id: UUID, limit: int) -> list[Item]:
    """The next planned items that no other worker has, locked."""
    rows = driver(connection).execute(_TAKE_ITEMS.encode(), (run_id, limit))
    return [_item(row) for row in rows]


def list_items(
    connection: Connection,
    run_id: UUID,
    *,
    after: UUID | None = None,
    limit: int,
    state: str | None = None,
) -> list[Item]:
    """Items in the order of their payees."""
    given = {"run": run_id, "after": after, "limit": limit, "state": state}
    return [_item(row) for row in driver(connection).execute(_LIST_ITEMS.encode(), given)]


def save_items(connection: Connection, run_id: UUID, items: Sequence[Item]) -> None:
    """Write what became of planned items; Broken if one was not planned."""
    columns = (
        [item.payee_id for item in items],
        [item.state.value for item in items],
        [item.code for item in items],
        [item.payout_id for item in items],
    )
    saved = driver(connection).execute(_SAVE_ITEMS, (*columns, run_id))
    if saved.rowcount != len(items):
        raise Broken("an item of a payout run moved under its lock", run_id=str(run_id))


def has_planned(connection: Connection, run_id: UUID) -> bool:
    """Whether there are payees whom a run has not come to."""
    row = driver(connection).execute(_HAS_PLANNED, (run_id,)).fetchone()
    return bool(row and row[0])


def count_items(connection: Connection, run_id: UUID) -> Progress:
    """How far a run is."""
    counts: dict[ItemState, int] = {}
    sums: dict[ItemState, int] = {}
    reasons: dict[str, int] = {}
    for state, why, count, minor in driver(connection).execute(_COUNT, (run_id,)):
        counts[ItemState(state)] = counts.get(ItemState(state), 0) + count
        sums[ItemState(state)] = sums.get(ItemState(state), 0) + minor
        if why:
            reasons[why] = reasons.get(why, 0) + count
    return Progress(counts=counts, sums_minor=sums, reasons=reasons)


def find_limit(connection: Connection, currency: str, at: datetime) -> int:
    """Up to what sum a scheduled run needs no person; 0 where nobody said so."""
    row = driver(connection).execute(_FIND_LIMIT, (currency, at)).fetchone()
    return int(row[0]) if row else 0


def add_limit(
    connection: Connection, limit_id: UUID, *, currency: str, minor: int, by: UUID, at: datetime
) -> bool:
    """Write a limit that another person has yet to approve; False if the id is taken."""
    given = (limit_id, currency, minor, by, at)
    return driver(connection).execute(_ADD_LIMIT, given).rowcount == 1


def lock_limit(connection: Connection, limit_id: UUID) -> tuple[str, int, UUID] | None:
    """Currency, limit and who prepared it, of a limit that nobody has approved."""
    row = driver(connection).execute(_LOCK_LIMIT, (limit_id,)).fetchone()
    return (row[0], row[1], row[2]) if row else None


def save_limit(connection: Connection, limit_id: UUID, *, by: UUID, at: datetime) -> None:
    """Let a limit count from now on."""
    driver(connection).execute(_APPROVE_LIMIT, (by, at, limit_id))


def _run(row: Sequence[Any]) -> Run:
    return Run(
        id=row[0],
        currency=row[1],
        kind=RunKind(row[2]),
        due_from_on=row[3],
        cut_off_on=row[4],
        state=RunState(row[5]),
        version=row[6],
        item_count=row[7],
        planned_count=row[8],
        planned_minor=row[9],
        fee_minor=row[10],
        limit_minor=row[11],
        content_sha256=bytes(row[12]),
        prepared_by=row[13],
        prepared_at=row[14],
        approved_by=row[15],
        approved_at=row[16],
        started_at=row[17],
        ended_at=row[18],
        reason=row[19],
    )


def _item(row: Sequence[Any]) -> Item:
    return Item(
        payee_id=row[0],
        method_id=row[1],
        amount_minor=row[2],
        fee_minor=row[3],
        reason=row[4],
        state=ItemState(row[5]),
        code=row[6],
        payout_id=row[7],
    )
