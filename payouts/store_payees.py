"""All SQL of payees' accounts at rails."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from kernel.errors import Broken
from payouts.model_payees import AccountState, PayeeAccount

_COLUMNS: Final = """id, party_id, rail, coalesce(account_ref, '') AS account_ref, state,
    may_receive, may_be_paid_out, requirements, deadline, disabled_reason, as_of, is_live, hold_id,
    code, opened_at"""

_FIND: Final = f"SELECT {_COLUMNS} FROM payee_account WHERE id = ANY (%(ids)s::uuid[])"

_LOCK: Final = f"""
SELECT {_COLUMNS} FROM payee_account
WHERE id = ANY (%(ids)s::uuid[])
   OR (party_id = ANY (%(parties)s::uuid[]) AND state IN ('opening', 'open'))
ORDER BY id FOR NO KEY UPDATE
"""

_LIST_BY_REF: Final = f"""
SELECT {_COLUMNS} FROM payee_account
WHERE rail = %(rail)s AND account_ref = ANY (%(refs)s::text[]) ORDER BY id
"""

_LIST_OF_PARTIES: Final = f"""
SELECT {_COLUMNS} FROM payee_account WHERE party_id = ANY (%(parties)s::uuid[])
ORDER BY opened_at, id
"""

_LIST_UNREAD: Final = f"""
SELECT {_COLUMNS} FROM payee_account
WHERE rail = %(rail)s AND state = 'open' AND as_of IS NULL ORDER BY id LIMIT %(limit)s
"""

_ADD: Final = """
INSERT INTO payee_account (id, party_id, rail, state, opened_at)
SELECT opened.*, 'opening', %(at)s
FROM unnest(%(ids)s::uuid[], %(parties)s::uuid[], %(rails)s::text[]) AS opened
"""

_SAVE: Final = """
UPDATE payee_account AS stored
SET account_ref = nullif(moved.account_ref, ''), state = moved.state,
    may_receive = moved.may_receive, may_be_paid_out = moved.may_be_paid_out,
    requirements = moved.requirements::jsonb, deadline = moved.deadline,
    disabled_reason = moved.disabled_reason, as_of = moved.as_of, is_live = moved.is_live,
    hold_id = moved.hold_id, code = moved.code,
    linked_at = CASE WHEN moved.account_ref <> '' THEN coalesce(stored.linked_at, %(at)s) END
FROM unnest(%(ids)s::uuid[], %(refs)s::text[], %(states)s::text[], %(receive)s::boolean[],
            %(paid_out)s::boolean[], %(requirements)s::text[], %(deadlines)s::timestamptz[],
            %(reasons)s::text[], %(as_of)s::timestamptz[], %(live)s::boolean[],
            %(holds)s::uuid[], %(codes)s::text[])
    AS moved (id, account_ref, state, may_receive, may_be_paid_out, requirements, deadline,
              disabled_reason, as_of, is_live, hold_id, code)
WHERE stored.id = moved.id
"""


def find_accounts(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, PayeeAccount]:
    """Accounts by id; an unknown id is missing."""
    rows = connection.exec_driver_sql(_FIND, {"ids": list(ids)}).mappings()
    return {row["id"]: _account(row) for row in rows}


def lock_accounts(
    connection: Connection, ids: Iterable[UUID] = (), *, parties: Iterable[UUID] = ()
) -> dict[UUID, PayeeAccount]:
    """Accounts by id, and those of parties that are open or coming, locked in id order."""
    arguments = {"ids": sorted(set(ids)), "parties": sorted(set(parties))}
    rows = connection.exec_driver_sql(_LOCK, arguments).mappings()
    return {row["id"]: _account(row) for row in rows}


def list_by_ref(connection: Connection, rail: str, refs: Iterable[str]) -> list[PayeeAccount]:
    """Accounts by the rail's names of them."""
    arguments = {"rail": rail, "refs": list(refs)}
    rows = connection.exec_driver_sql(_LIST_BY_REF, arguments).mappings()
    return [_account(row) for row in rows]


def list_of_parties(connection: Connection, parties: Iterable[UUID]) -> list[PayeeAccount]:
    """All accounts of parties, oldest first, the replaced ones too."""
    rows = connection.exec_driver_sql(_LIST_OF_PARTIES, {"parties": list(parties)}).mappings()
    return [_account(row) for row in rows]


def list_unread(connection: Connection, rail: str, *, limit: int) -> list[PayeeAccount]:
    """Open accounts of which the rail has said nothing yet."""
    rows = connection.exec_driver_sql(_LIST_UNREAD, {"rail": rail, "limit": limit}).mappings()
    return [_account(row) for row in rows]


def add_accounts(connection: Connection, accounts: Sequence[PayeeAccount], at: datetime) -> None:
    """Write accounts that the rail is asked to open."""
    connection.exec_driver_sql(
        _ADD,
        {
            "ids": [account.id for account in accounts],
            "parties": [account.party_id for account in accounts],
            "rails": [account.rail for account in accounts],
            "at": at,
        },
    )


def save_accounts(connection: Connection, accounts: Sequence[PayeeAccount], at: datetime) -> None:
    """Write what is known of accounts by now, those that give way before those that come."""
    for states in ({AccountState.REPLACED, AccountState.REFUSED}, {AccountState.OPEN}):
        batch = [account for account in accounts if account.state in states]
        if not batch:
            continue
        saved = connection.exec_driver_sql(_SAVE, {**_arrays(batch), "at": at})
        if saved.rowcount != len(batch):
            raise Broken("a payee's account was lost under its lock", accounts=len(batch))


def _arrays(accounts: Sequence[PayeeAccount]) -> dict[str, list[object]]:
    return {
        "ids": [account.id for account in accounts],
        "refs": [account.account_ref for account in accounts],
        "states": [account.state.value for account in accounts],
        "receive": [account.may_receive for account in accounts],
        "paid_out": [account.may_be_paid_out for account in accounts],
        "requirements": [json.dumps(account.requirements) for account in accounts],
        "deadlines": [account.deadline for account in accounts],
        "reasons": [account.disabled_reason for account in accounts],
        "as_of": [account.as_of for account in accounts],
        "live": [account.is_live for account in accounts],
        "holds": [account.hold_id for account in accounts],
        "codes": [account.code for account in accounts],
    }


def _account(row: RowMapping) -> PayeeAccount:
    values = {**row, "state": AccountState(row["state"])}
    return PayeeAccount(**{**values, "requirements": tuple(row["requirements"])})
