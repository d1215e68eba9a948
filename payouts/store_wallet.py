"""All SQL of clients' wallets."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.database import driver
from payouts.model_wallet import TopUp, TopUpState, Way, Withdrawal

_TOP_UP: Final = """id, client_id, currency::text, asked_minor, captured_minor, rail_account,
    method, state, refunded_minor, taken_minor, claimed_minor, asked_at, paid_at, code"""
_TOP_UP_FIELDS: Final = tuple(name.strip().removesuffix("::text") for name in _TOP_UP.split(","))
_WITHDRAWAL: Final = """id, asked_as, party_id, currency::text, amount_minor, way, top_up_id, state,
    rail_account, code, asked_at, ended_at"""
_WITHDRAWAL_FIELDS: Final = tuple(
    name.strip().removesuffix("::text") for name in _WITHDRAWAL.split(",")
)

_ADD_TOP_UP: Final = """
INSERT INTO wallet_top_up (id, client_id, currency, asked_minor, rail_account, method, state,
    asked_at)
VALUES (%s, %s, %s, %s, %s, %s, 'submitted', %s) ON CONFLICT DO NOTHING
"""

_SAVE_TOP_UP: Final = """
UPDATE wallet_top_up SET captured_minor = %s, state = %s, refunded_minor = %s, taken_minor = %s,
    claimed_minor = %s, paid_at = %s, code = %s
WHERE id = %s
"""

_LOCK_REFUNDABLE: Final = f"""
SELECT {_TOP_UP} FROM wallet_top_up
WHERE client_id = %s AND currency = %s AND state = 'succeeded' ORDER BY id FOR NO KEY UPDATE
"""

_ADD_WITHDRAWAL: Final = """
INSERT INTO wallet_withdrawal (id, asked_as, party_id, currency, amount_minor, way, top_up_id,
    state, rail_account, asked_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, 'submitted', %s, %s)
"""

_LIST_WITHDRAWALS: Final = f"""
SELECT {_WITHDRAWAL} FROM wallet_withdrawal
WHERE party_id = %(party_id)s AND (%(after)s::uuid IS NULL OR id > %(after)s)
ORDER BY id LIMIT %(limit)s
"""

# Payouts of wallet money that have ended, or have come back after they had.
_LIST_ENDED: Final = f"""
SELECT {", ".join(f"w.{name.strip()}" for name in _WITHDRAWAL.split(","))}, p.state
FROM wallet_withdrawal w JOIN payout p ON p.id = w.id
WHERE (w.state = 'submitted' AND p.state = 'paid')
    OR (w.state IN ('submitted', 'paid') AND p.ended_at IS NOT NULL AND p.state <> 'paid')
ORDER BY w.id LIMIT %s
"""

_LIST_MINIMUMS: Final = """
SELECT DISTINCT ON (currency) currency::text, top_up_minor, withdrawal_minor
FROM wallet_minimum WHERE valid_from <= %s ORDER BY currency, valid_from DESC
"""

_ADD_MINIMUM: Final = """
INSERT INTO wallet_minimum (currency, top_up_minor, withdrawal_minor, valid_from, set_by)
VALUES (%s, %s, %s, %s, %s) ON CONFLICT ON CONSTRAINT wallet_minimum_is_dated DO NOTHING
"""

_LIST_BALANCES: Final = """
SELECT currency::text, -balance_minor FROM account
WHERE kind = 'custody.wallet' AND subject = %s AND balance_minor < 0 ORDER BY currency
"""

# Money that is a party's, wherever it lies; while there is any, nobody is forgotten.
_HAS_MONEY: Final = """
SELECT EXISTS (
    SELECT FROM account WHERE subject = %(party)s AND balance_minor <> 0 AND kind IN (
        'custody.wallet', 'custody.earned_pending', 'custody.earned_available',
        'custody.earned_reserved', 'custody.blocked', 'platform.claim_on_client',
        'platform.claim_on_payee')
) OR EXISTS (
    SELECT FROM unclaimed WHERE party_id::text = %(party)s AND state IN ('held', 'remitting')
) OR EXISTS (
    SELECT FROM wallet_withdrawal WHERE party_id::text = %(party)s AND state = 'submitted'
)
"""


def add_top_up(connection: Connection, each: TopUp) -> bool:
    """Write a top-up that was asked for; False if its id is taken."""
    given = (
        *(each.id, each.client_id, each.currency, each.asked_minor),
        *(each.rail_account, each.method, each.asked_at),
    )
    return driver(connection).execute(_ADD_TOP_UP, given).rowcount == 1


def lock_top_ups(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, TopUp]:
    """Top-ups by id, locked in order."""
    statement = (
        f"SELECT {_TOP_UP} FROM wallet_top_up WHERE id = ANY (%s) ORDER BY id FOR NO KEY UPDATE"
    )
    rows = driver(connection).execute(statement.encode(), (sorted(set(ids)),))
    return {row[0]: _top_up(row) for row in rows}


def find_top_up_owners(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Whose top-ups these are; an id of something else is missing."""
    rows = driver(connection).execute(
        "SELECT id, client_id FROM wallet_top_up WHERE id = ANY (%s)", (list(ids),)
    )
    return dict(rows.fetchall())


def lock_refundable(connection: Connection, client_id: UUID, currency: str) -> list[TopUp]:
    """What a client paid into his wallet, locked; newest last."""
    rows = driver(connection).execute(_LOCK_REFUNDABLE.encode(), (client_id, currency))
    return [_top_up(row) for row in rows]


def list_top_ups(
    connection: Connection, client_id: UUID, *, after: UUID | None, limit: int
) -> list[TopUp]:
    """A client's top-ups in the order of their ids."""
    rows = driver(connection).execute(
        f"SELECT {_TOP_UP} FROM wallet_top_up WHERE client_id = %(client_id)s"
        " AND (%(after)s::uuid IS NULL OR id > %(after)s) ORDER BY id LIMIT %(limit)s".encode(),
        {"client_id": client_id, "after": after, "limit": limit},
    )
    return [_top_up(row) for row in rows]


def save_top_up(connection: Connection, each: TopUp) -> None:
    """Write where a top-up is now."""
    given = (
        *(each.captured_minor, each.state.value, each.refunded_minor, each.taken_minor),
        *(each.claimed_minor, each.paid_at, each.code, each.id),
    )
    driver(connection).execute(_SAVE_TOP_UP, given)


def add_withdrawals(connection: Connection, parts: Sequence[Withdrawal]) -> None:
    """Write the parts of a withdrawal."""
    driver(connection).cursor().executemany(
        _ADD_WITHDRAWAL,
        [
            (
                *(each.id, each.asked_as, each.party_id, each.currency, each.amount_minor),
                *(each.way.value, each.top_up_id, each.rail_account, each.asked_at),
            )
            for each in parts
        ],
    )


def is_asked(connection: Connection, withdrawal_id: UUID) -> bool:
    """Whether a withdrawal of this id was asked for before."""
    row = driver(connection).execute(
        "SELECT EXISTS (SELECT FROM wallet_withdrawal WHERE asked_as = %s)", (withdrawal_id,)
    )
    found = row.fetchone()
    return bool(found and found[0])


def lock_withdrawals(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Withdrawal]:
    """Parts of withdrawals by id, locked in order."""
    statement = (
        f"SELECT {_WITHDRAWAL} FROM wallet_withdrawal WHERE id = ANY (%s)"
        " ORDER BY id FOR NO KEY UPDATE"
    )
    rows = driver(connection).execute(statement.encode(), (sorted(set(ids)),))
    return {row[0]: _withdrawal(row) for row in rows}


def list_withdrawals(
    connection: Connection, party_id: UUID, *, after: UUID | None, limit: int
) -> list[Withdrawal]:
    """Parts of a party's withdrawals in the order of their ids."""
    given = {"party_id": party_id, "after": after, "limit": limit}
    rows = driver(connection).execute(_LIST_WITHDRAWALS.encode(), given)
    return [_withdrawal(row) for row in rows]


def list_ended(connection: Connection, *, limit: int) -> list[tuple[Withdrawal, str]]:
    """Parts whose payouts have ended since, and how."""
    rows = driver(connection).execute(_LIST_ENDED.encode(), (limit,)).fetchall()
    return [(_withdrawal(row[:-1]), row[-1]) for row in rows]


def save_withdrawal(
    connection: Connection, part_id: UUID, state: str, *, code: str, ended_at: datetime
) -> None:
    """Write where a part is now."""
    driver(connection).execute(
        "UPDATE wallet_withdrawal SET state = %s, code = %s, ended_at = %s WHERE id = %s",
        (state, code, ended_at, part_id),
    )


def list_minimums(connection: Connection, at: datetime) -> dict[str, tuple[int, int]]:
    """The least top-up and withdrawal at a time, by currency."""
    rows = driver(connection).execute(_LIST_MINIMUMS, (at,))
    return {row[0]: (row[1], row[2]) for row in rows}


def add_minimum(
    connection: Connection,
    currency: str,
    least: tuple[int, int],
    *,
    valid_from: datetime,
    set_by: UUID,
) -> bool:
    """Write minimums; False if others count from this time."""
    given = (currency, *least, valid_from, set_by)
    return driver(connection).execute(_ADD_MINIMUM, given).rowcount == 1


def list_balances(connection: Connection, party_id: UUID) -> dict[str, int]:
    """What lies in a party's wallet, by currency."""
    rows = driver(connection).execute(_LIST_BALANCES, (str(party_id),))
    return dict(rows.fetchall())


def has_money(connection: Connection, party_id: UUID) -> bool:
    """Whether any money is a party's still, or on its way to it."""
    row = driver(connection).execute(_HAS_MONEY, {"party": str(party_id)}).fetchone()
    return bool(row and row[0])


def _top_up(row: Sequence[Any]) -> TopUp:
    cells = dict(zip(_TOP_UP_FIELDS, row, strict=True))
    return TopUp(**{**cells, "state": TopUpState(cells["state"])})


def _withdrawal(row: Sequence[Any]) -> Withdrawal:
    cells = dict(zip(_WITHDRAWAL_FIELDS, row, strict=True))
    return Withdrawal(**{**cells, "way": Way(cells["way"])})
