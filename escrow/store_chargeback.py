"""All SQL of claims on payees: the rows, what was recovered, write-offs, and the rules."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from escrow.model_claim import Claim, ClaimCause, ClaimRules, ClaimState, Recovery, WriteOff
from kernel.database import driver
from kernel.errors import Broken

_CLAIM: Final = ", ".join(field.name for field in fields(Claim))
_WRITE_OFF: Final = ", ".join(field.name for field in fields(WriteOff))

_ADD_CLAIM: Final = f"INSERT INTO claim ({_CLAIM}) VALUES ({', '.join(['%s'] * 11)})"
_SAVE_CLAIM: Final = """
UPDATE claim SET remaining_minor = %s, state = %s, version = %s, relieved_minor = %s
WHERE id = %s AND version = %s
"""
_ADD_RECOVERY: Final = """
INSERT INTO claim_recovery (claim_id, release_id, amount_minor, recovered_at)
VALUES (%s, %s, %s, %s)
"""
_LIST_OPEN: Final = f"""
SELECT {_CLAIM} FROM claim
WHERE payee_id = ANY (%s) AND state = 'open' ORDER BY id FOR NO KEY UPDATE
"""
_LIST: Final = f"""
SELECT {_CLAIM} FROM claim
WHERE (%(after)s::uuid IS NULL OR id > %(after)s)
    AND (%(payee_id)s::uuid IS NULL OR payee_id = %(payee_id)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY id LIMIT %(limit)s
"""
_FIND_BALANCE: Final = """
SELECT -balance_minor FROM account
WHERE kind = 'custody.earned_available' AND subject = %s AND currency = %s
"""
_APPROVE: Final = """
UPDATE claim_write_off SET approver_id = %s, approved_at = %s, amount_minor = %s
WHERE id = %s AND approver_id IS NULL
"""
_SAVE_RULES: Final = """
INSERT INTO claim_rule (currency, fronts_refunds, recovery_bps, version) VALUES (%s, %s, %s, 1)
ON CONFLICT (currency) DO UPDATE SET fronts_refunds = excluded.fronts_refunds,
    recovery_bps = excluded.recovery_bps, version = claim_rule.version + 1
"""


def add_claims(connection: Connection, claims: Sequence[Claim]) -> None:
    """Write new claims."""
    if claims:
        driver(connection).cursor().executemany(_ADD_CLAIM.encode(), list(map(astuple, claims)))


def save_claims(connection: Connection, moves: Sequence[tuple[Claim, Claim]]) -> None:
    """Move claims on, step by step in the order given; Broken if one moved under its lock."""
    for old, new in moves:
        moved = (new.remaining_minor, new.state, new.version, new.relieved_minor)
        given = (*moved, old.id, old.version)
        _one(driver(connection).execute(_SAVE_CLAIM, given).rowcount, old.id)


def add_recoveries(connection: Connection, recoveries: Sequence[Recovery]) -> None:
    """Write what releases gave to claims."""
    if recoveries:
        rows = list(map(astuple, recoveries))
        driver(connection).cursor().executemany(_ADD_RECOVERY, rows)


def lock_open_claims(connection: Connection, payee_ids: Iterable[UUID]) -> list[Claim]:
    """Lock the open claims on these payees, oldest first."""
    rows = driver(connection).execute(_LIST_OPEN.encode(), (sorted(set(payee_ids)),))
    return [_claim(row) for row in rows]


def lock_claims(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Claim]:
    """Lock claims by id; unknown ids are missing."""
    statement = f"SELECT {_CLAIM} FROM claim WHERE id = ANY (%s) ORDER BY id FOR NO KEY UPDATE"
    rows = driver(connection).execute(statement.encode(), (sorted(set(ids)),))
    return {claim.id: claim for claim in map(_claim, rows)}


def find_claim(connection: Connection, claim_id: UUID) -> Claim | None:
    """A claim without a lock, to be shown."""
    statement = f"SELECT {_CLAIM} FROM claim WHERE id = %s"
    row = driver(connection).execute(statement.encode(), (claim_id,)).fetchone()
    return _claim(row) if row else None


def list_claims(
    connection: Connection,
    *,
    after: UUID | None,
    limit: int,
    payee_id: UUID | None = None,
    state: ClaimState | None = None,
) -> list[Claim]:
    """Claims in the order of their ids, from the one behind `after` on."""
    given = {"after": after, "limit": limit, "payee_id": payee_id, "state": state}
    return [_claim(row) for row in driver(connection).execute(_LIST.encode(), given)]


def find_proposed(connection: Connection, claim_ids: Iterable[UUID]) -> dict[UUID, WriteOff]:
    """The proposals that wait for their second person, by claim; the claim's lock covers them."""
    statement = (
        f"SELECT {_WRITE_OFF} FROM claim_write_off"
        " WHERE claim_id = ANY (%s) AND approver_id IS NULL"
    )
    rows = driver(connection).execute(statement.encode(), (sorted(set(claim_ids)),))
    return {row[1]: WriteOff(*row) for row in rows}


def add_write_off(connection: Connection, proposal: WriteOff) -> None:
    """Write a proposal."""
    statement = f"INSERT INTO claim_write_off ({_WRITE_OFF}) VALUES ({', '.join(['%s'] * 8)})"
    driver(connection).execute(statement.encode(), astuple(proposal))


def save_approved(connection: Connection, approved: WriteOff) -> None:
    """Write who approved; Broken if somebody had."""
    given = (approved.approver_id, approved.approved_at, approved.amount_minor, approved.id)
    _one(driver(connection).execute(_APPROVE, given).rowcount, approved.id)


def find_rules(connection: Connection, currencies: Iterable[str]) -> dict[str, ClaimRules]:
    """How the platform acts in these currencies; the standard where nothing was set."""
    wanted = sorted(set(currencies))
    rows = driver(connection).execute(
        "SELECT currency, fronts_refunds, recovery_bps, version FROM claim_rule"
        " WHERE currency = ANY (%s)",
        (wanted,),
    )
    return {each: ClaimRules(each) for each in wanted} | {row[0]: ClaimRules(*row) for row in rows}


def save_rules(connection: Connection, rules: ClaimRules) -> None:
    """Set how the platform acts in a currency."""
    driver(connection).execute(
        _SAVE_RULES, (rules.currency, rules.fronts_refunds, rules.recovery_bps)
    )


def find_available_minor(connection: Connection, payee_id: UUID, currency: str) -> int:
    """What a payee may withdraw, less what he has set aside; his row is locked by the caller."""
    found = driver(connection).execute(_FIND_BALANCE, (str(payee_id), currency)).fetchone()
    return found[0] if found else 0


def _one(count: int, row_id: UUID) -> None:
    if count != 1:
        raise Broken("a claim moved under its lock", id=str(row_id))


def _claim(row: Sequence[Any]) -> Claim:
    cells = list(row)
    cells[3], cells[7] = ClaimCause(row[3]), ClaimState(row[7])
    return Claim(*cells)
