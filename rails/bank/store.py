"""All SQL of bank accounts, orders and files, in the tenant's own schema."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.database import driver
from kernel.errors import Broken
from rails.bank.model import (
    BankAccount,
    BankFile,
    BankOrder,
    FileFormat,
    FileState,
    OrderState,
)

_ACCOUNT: Final = "id, party_id, sealed, country, last4, serves, currency, added_at, ended_at"
_ORDER: Final = """id, source, target, account_id, currency, amount_minor, state, file_id, code,
    kept_minor, statement_ref, ordered_at, heard_at"""
_FILE: Final = """id, message_id, format, account_id, currency, execute_on, order_count,
    control_minor, content_sha256, state, made_by, made_at, decided_by, decided_at"""

_ADD_ACCOUNTS: Final = f"""
INSERT INTO bank_account ({_ACCOUNT}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_FIND_ACCOUNTS: Final = f"SELECT {_ACCOUNT} FROM bank_account WHERE id = ANY (%s::uuid[])"

_FIND_SERVING: Final = f"""
SELECT {_ACCOUNT} FROM bank_account
WHERE serves = ANY (%s::text[]) AND currency = %s AND ended_at IS NULL
"""

_LIST_ACCOUNTS: Final = f"""
SELECT {_ACCOUNT} FROM bank_account
WHERE (%(party)s::uuid IS NULL OR party_id = %(party)s)
  AND (%(after)s::uuid IS NULL OR id > %(after)s)
ORDER BY id LIMIT %(limit)s
"""

_END_ACCOUNT: Final = """
UPDATE bank_account SET ended_at = %s WHERE id = %s AND ended_at IS NULL
"""

_ADD_ORDERS: Final = """
INSERT INTO bank_order (id, source, target, account_id, currency, amount_minor, state, ordered_at)
SELECT given.*, 'ordered', %s
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::uuid[], %s::text[], %s::bigint[]) AS given
ON CONFLICT ON CONSTRAINT bank_order_is_given_once DO NOTHING
"""

_FIND_ORDERS: Final = f"SELECT {_ORDER} FROM bank_order WHERE id = ANY (%s::uuid[])"

_LOCK_ORDERS: Final = f"{_FIND_ORDERS} ORDER BY id FOR UPDATE"

_LOCK_WAITING: Final = f"""
SELECT {_ORDER} FROM bank_order
WHERE state = 'ordered' AND source = %s AND currency = %s
ORDER BY order_no LIMIT %s FOR UPDATE SKIP LOCKED
"""

_LIST_OF_FILE: Final = f"SELECT {_ORDER} FROM bank_order WHERE file_id = %s ORDER BY order_no"

_LIST_HEARD: Final = f"""
SELECT {_ORDER} FROM bank_order WHERE heard_at IS NOT NULL ORDER BY order_no
"""

_SUM_WAITING: Final = """
SELECT source, currency, count(*), sum(amount_minor)::bigint FROM bank_order
WHERE state = 'ordered' GROUP BY source, currency ORDER BY source, currency
"""

_FILE_ORDERS: Final = """
UPDATE bank_order SET state = %s, file_id = %s WHERE id = ANY (%s::uuid[])
"""

_SAVE_HEARD: Final = """
UPDATE bank_order AS stored
SET state = said.state, code = said.code, kept_minor = said.kept, statement_ref = said.ref,
    heard_at = said.at
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::timestamptz[])
    AS said (id, state, code, kept, ref, at)
WHERE stored.id = said.id
"""

_ADD_FILE: Final = f"""
INSERT INTO bank_file ({_FILE})
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_FIND_FILE: Final = f"SELECT {_FILE} FROM bank_file WHERE id = %s"

_LOCK_FILE: Final = f"{_FIND_FILE} FOR UPDATE"

_LIST_FILES: Final = f"""
SELECT {_FILE} FROM bank_file WHERE %(after)s::uuid IS NULL OR id < %(after)s
ORDER BY id DESC LIMIT %(limit)s
"""

_DECIDE_FILE: Final = """
UPDATE bank_file SET state = %s, decided_by = %s, decided_at = %s WHERE id = %s
"""


def add_accounts(connection: Connection, accounts: Sequence[BankAccount]) -> None:
    """Write accounts, their details sealed."""
    driver(connection).cursor().executemany(
        _ADD_ACCOUNTS,
        [
            (
                *(each.id, each.party_id, each.sealed, each.country, each.last4, each.serves),
                *(each.currency, each.added_at, each.ended_at),
            )
            for each in accounts
        ],
    )


def find_accounts(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, BankAccount]:
    """Accounts by id, ended ones too; an unknown id is missing."""
    rows = driver(connection).execute(_FIND_ACCOUNTS.encode(), (list(ids),))
    return {row[0]: _account(row) for row in rows}


def find_serving(
    connection: Connection, banks: Iterable[str], *, currency: str
) -> dict[str, BankAccount]:
    """Our own accounts in a currency, by the bank that they serve as."""
    rows = driver(connection).execute(_FIND_SERVING.encode(), (list(banks), currency))
    return {row[5]: _account(row) for row in rows}


def list_accounts(
    connection: Connection, *, party_id: UUID | None, after: UUID | None, limit: int
) -> list[BankAccount]:
    """Accounts in the order of their ids, of a party or of all."""
    given = {"party": party_id, "after": after, "limit": limit}
    return [_account(row) for row in driver(connection).execute(_LIST_ACCOUNTS.encode(), given)]


def end_account(connection: Connection, account_id: UUID, at: datetime) -> bool:
    """Let nothing more be ordered to an account; False if there is no such open one."""
    return driver(connection).execute(_END_ACCOUNT, (at, account_id)).rowcount == 1


def add_orders(connection: Connection, orders: Sequence[BankOrder], at: datetime) -> None:
    """Write orders; one that was given before stays as it is."""
    columns = (
        [order.id for order in orders],
        [order.source for order in orders],
        [order.target for order in orders],
        [order.account_id for order in orders],
        [order.currency for order in orders],
        [order.amount_minor for order in orders],
    )
    driver(connection).execute(_ADD_ORDERS, (at, *columns))


def find_orders(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, BankOrder]:
    """Orders by id; an unknown id is missing."""
    rows = driver(connection).execute(_FIND_ORDERS.encode(), (list(ids),))
    return {row[0]: _order(row) for row in rows}


def lock_orders(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, BankOrder]:
    """Orders by id, locked in the order of their ids."""
    rows = driver(connection).execute(_LOCK_ORDERS.encode(), (sorted(set(ids)),))
    return {row[0]: _order(row) for row in rows}


def lock_waiting(
    connection: Connection, *, source: str, currency: str, limit: int
) -> list[BankOrder]:
    """Orders that no file has, oldest first, locked."""
    rows = driver(connection).execute(_LOCK_WAITING.encode(), (source, currency, limit))
    return [_order(row) for row in rows]


def list_of_file(connection: Connection, file_id: UUID) -> list[BankOrder]:
    """The orders of a file, in their order in it."""
    rows = driver(connection).execute(_LIST_OF_FILE.encode(), (file_id,))
    return [_order(row) for row in rows]


def list_heard(connection: Connection) -> list[BankOrder]:
    """Orders that a statement told of, oldest first."""
    return [_order(row) for row in driver(connection).execute(_LIST_HEARD.encode())]


def sum_waiting(connection: Connection) -> list[tuple[str, str, int, int]]:
    """What waits for a file: bank of ours, currency, how many, how much."""
    return [tuple(row) for row in driver(connection).execute(_SUM_WAITING)]


def move_orders(
    connection: Connection, ids: Sequence[UUID], state: OrderState, *, file_id: UUID | None
) -> None:
    """Put orders into a file, with the bank, or back to wait."""
    moved = driver(connection).execute(_FILE_ORDERS, (state.value, file_id, list(ids)))
    if moved.rowcount != len(ids):
        raise Broken("a bank order was lost under its lock", orders=len(ids))


def save_heard(connection: Connection, orders: Sequence[BankOrder]) -> None:
    """Write what became of orders."""
    columns = (
        [order.id for order in orders],
        [order.state.value for order in orders],
        [order.code for order in orders],
        [order.kept_minor for order in orders],
        [order.statement_ref for order in orders],
        [order.heard_at for order in orders],
    )
    saved = driver(connection).execute(_SAVE_HEARD, columns)
    if saved.rowcount != len(orders):
        raise Broken("a bank order was lost under its lock", orders=len(orders))


def add_file(connection: Connection, file: BankFile) -> None:
    """Write that a file was made."""
    driver(connection).execute(
        _ADD_FILE.encode(),
        (
            *(file.id, file.message_id, file.format.value, file.account_id, file.currency),
            *(file.execute_on, file.order_count, file.control_minor, file.content_sha256),
            *(file.state.value, file.made_by, file.made_at, file.decided_by, file.decided_at),
        ),
    )


def find_file(connection: Connection, file_id: UUID) -> BankFile | None:
    """A file by id."""
    row = driver(connection).execute(_FIND_FILE.encode(), (file_id,)).fetchone()
    return _file(row) if row else None


def lock_file(connection: Connection, file_id: UUID) -> BankFile | None:
    """The same, locked."""
    row = driver(connection).execute(_LOCK_FILE.encode(), (file_id,)).fetchone()
    return _file(row) if row else None


def list_files(connection: Connection, *, after: UUID | None, limit: int) -> list[BankFile]:
    """Files, newest first."""
    given = {"after": after, "limit": limit}
    return [_file(row) for row in driver(connection).execute(_LIST_FILES.encode(), given)]


def decide_file(
    connection: Connection, file_id: UUID, state: FileState, *, by: UUID, at: datetime
) -> None:
    """Release a file, or withdraw it."""
    driver(connection).execute(_DECIDE_FILE, (state.value, by, at, file_id))


def _account(row: Sequence[Any]) -> BankAccount:
    return BankAccount(
        id=row[0],
        party_id=row[1],
        sealed=bytes(row[2]),
        country=row[3],
        last4=row[4],
        serves=row[5],
        currency=row[6],
        added_at=row[7],
        ended_at=row[8],
    )


def _order(row: Sequence[Any]) -> BankOrder:
    return BankOrder(
        id=row[0],
        source=row[1],
        target=row[2],
        account_id=row[3],
        currency=row[4],
        amount_minor=row[5],
        state=OrderState(row[6]),
        file_id=row[7],
        code=row[8],
        kept_minor=row[9],
        statement_ref=row[10],
        ordered_at=row[11],
        heard_at=row[12],
    )


def _file(row: Sequence[Any]) -> BankFile:
    return BankFile(
        id=row[0],
        message_id=row[1],
        format=FileFormat(row[2]),
        account_id=row[3],
        currency=row[4],
        execute_on=row[5],
        order_count=row[6],
        control_minor=row[7],
        content_sha256=bytes(row[8]),
        state=FileState(row[9]),
        made_by=row[10],
        made_at=row[11],
        decided_by=row[12],
        decided_at=row[13],
    )
