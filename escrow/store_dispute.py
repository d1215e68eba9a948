"""All SQL of disputes: the rows, their lists, and the rules a tenant set for them."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from escrow.model import Role, SlotState
from escrow.model_dispute import Decision, Dispute, DisputeState, Evidence, Offer, Served
from escrow.rules_dispute import DisputeRules, Moves
from kernel.database import driver
from kernel.errors import Broken

Row = Dispute | Offer | Evidence | Served | Decision

_TABLES: Final[dict[type[Row], str]] = {
    Dispute: "dispute",
    Offer: "dispute_offer",
    Evidence: "dispute_evidence",
    Served: "dispute_notice",
    Decision: "dispute_decision",
}
_COLUMNS: Final = {kind: tuple(field.name for field in fields(kind)) for kind in _TABLES}
_PINNED: Final = frozenset(
    {
        *("id", "slot_id", "contract_id", "currency", "opened_by", "opener_id", "claimant"),
        *("claim_minor", "state_before", "hold_id", "is_small", "fee_minor", "opened_at"),
        *("release_id", "reserved_minor", "appeal_of"),
    }
)
_CHANGES: Final = tuple(name for name in _COLUMNS[Dispute] if name not in _PINNED)

_SAVE: Final = (
    f"UPDATE dispute SET {', '.join(f'{name} = %s' for name in _CHANGES)}"
    " WHERE id = %s AND version = %s AND state = %s"
)

_APPROVE: Final = """
UPDATE dispute_decision SET approver_id = %s, approved_at = %s
WHERE dispute_id = %s AND decision_no = %s AND approver_id IS NULL
"""

_FIND_OPEN: Final = """
SELECT id FROM dispute WHERE slot_id = %s AND state NOT IN ('executed', 'withdrawn')
"""

_FIND_BALANCE: Final = """
SELECT -balance_minor FROM account WHERE kind = %s AND subject = %s AND currency = %s
"""

_LIST_OF_SLOT: Final = """
SELECT id FROM dispute
WHERE slot_id = %s AND (%s::uuid IS NULL OR id > %s::uuid)
ORDER BY id LIMIT %s
"""

_LIST: Final = """
SELECT dispute.id FROM dispute JOIN contract ON contract.id = dispute.contract_id
WHERE (%(after)s::uuid IS NULL OR dispute.id > %(after)s)
    AND (%(party_id)s::uuid IS NULL OR %(party_id)s IN (client_id, payee_id))
    AND (%(state)s::text IS NULL OR dispute.state = %(state)s)
ORDER BY dispute.id LIMIT %(limit)s
"""

_SAVE_RULES: Final = """
INSERT INTO dispute_rule (currency, small_claim_minor, fee_bps, small_fee_bps, version)
VALUES (%s, %s, %s, %s, 1)
ON CONFLICT (currency) DO UPDATE SET small_claim_minor = excluded.small_claim_minor,
    fee_bps = excluded.fee_bps, small_fee_bps = excluded.small_fee_bps,
    version = dispute_rule.version + 1
"""


def find_disputes(connection: Connection, ids: Sequence[UUID]) -> list[Dispute]:
    """Disputes without a lock, for the slot that each names, or to be shown."""
    return [_dispute(row) for row in _select(connection, Dispute, "id", ids, "id")]


def lock_disputes(connection: Connection, ids: Sequence[UUID]) -> list[Dispute]:
    """Lock disputes, after their slots."""
    rows = _select(connection, Dispute, "id", ids, "id", lock="FOR NO KEY UPDATE")
    return [_dispute(row) for row in rows]


def list_of_slot(
    connection: Connection, slot_id: UUID, *, after: UUID | None, limit: int
) -> list[Dispute]:
    """The disputes of a slot in the order of their ids."""
    rows = driver(connection).execute(_LIST_OF_SLOT, (slot_id, after, after, limit))
    return find_disputes(connection, [row[0] for row in rows])


def list_disputes(
    connection: Connection,
    *,
    after: UUID | None,
    limit: int,
    party_id: UUID | None = None,
    state: DisputeState | None = None,
) -> list[Dispute]:
    """Disputes in the order of their ids, from the one behind `after` on; a party's own."""
    given = {"after": after, "limit": limit, "party_id": party_id, "state": state}
    rows = driver(connection).execute(_LIST, given)
    return find_disputes(connection, [row[0] for row in rows])


def find_open(connection: Connection, slot_id: UUID) -> UUID | None:
    """The dispute of a slot that runs; there is one at most."""
    row = driver(connection).execute(_FIND_OPEN, (slot_id,)).fetchone()
    return row[0] if row else None


def has_appeal(connection: Connection, dispute_id: UUID) -> bool:
    """Whether a dispute was appealed."""
    statement = "SELECT EXISTS (SELECT FROM dispute WHERE appeal_of = %s)"
    row = driver(connection).execute(statement, (dispute_id,)).fetchone()
    return bool(row and row[0])


def find_balance(connection: Connection, *, kind: str, party_id: UUID, currency: str) -> int:
    """What a party has on an account, in minor units; his row is locked by who decides on it."""
    found = driver(connection).execute(_FIND_BALANCE, (kind, str(party_id), currency)).fetchone()
    return found[0] if found else 0


def list_offers(connection: Connection, dispute_id: UUID) -> tuple[Offer, ...]:
    """All figures, oldest first."""
    rows = _select(connection, Offer, "dispute_id", [dispute_id], "offer_no")
    return tuple(Offer(row[0], row[1], Role(row[2]), *row[3:]) for row in rows)


def list_evidence(connection: Connection, dispute_id: UUID) -> tuple[Evidence, ...]:
    """All that was filed, oldest first."""
    rows = _select(connection, Evidence, "dispute_id", [dispute_id], "evidence_no")
    return tuple(Evidence(row[0], row[1], Role(row[2]), *row[3:]) for row in rows)


def list_notices(connection: Connection, dispute_id: UUID) -> tuple[Served, ...]:
    """The proofs that the other side was told."""
    rows = _select(connection, Served, "dispute_id", [dispute_id], "notice_no")
    return tuple(Served(*row) for row in rows)


def list_decisions(connection: Connection, dispute_id: UUID) -> tuple[Decision, ...]:
    """All proposals, oldest first."""
    rows = _select(connection, Decision, "dispute_id", [dispute_id], "decision_no")
    return tuple(Decision(*row) for row in rows)


def find_rules(connection: Connection, currency: str) -> DisputeRules | None:
    """What the tenant set for a currency; None where the standard holds."""
    row = (
        driver(connection)
        .execute(
            "SELECT currency, small_claim_minor, fee_bps, small_fee_bps, version FROM dispute_rule"
            " WHERE currency = %s",
            (currency,),
        )
        .fetchone()
    )
    return DisputeRules(*row) if row else None


def save_rules(connection: Connection, rules: DisputeRules) -> None:
    """Set the rules of a currency for disputes that are opened from now on."""
    driver(connection).execute(
        _SAVE_RULES,
        (rules.currency, rules.small_claim_minor, rules.fee_bps, rules.small_fee_bps),
    )


def add_dispute(connection: Connection, dispute: Dispute) -> None:
    """Write a new dispute."""
    _add(connection, [dispute])


def save_moves(connection: Connection, moves: Moves) -> None:
    """Write what a step of a dispute changed; Broken if it moved under its lock."""
    for decision in moves.approved:
        given = (decision.approver_id, decision.approved_at)
        key = (decision.dispute_id, decision.decision_no)
        _one(driver(connection).execute(_APPROVE, (*given, *key)).rowcount, moves.after.id)
    for rows in (moves.offers, moves.evidence, moves.notices, moves.decisions):
        _add(connection, rows)
    before, after = moves.before, moves.after
    assert before is not None
    changed = tuple(getattr(after, name) for name in _CHANGES)
    saved = driver(connection).execute(
        _SAVE.encode(), (*changed, before.id, before.version, before.state)
    )
    _one(saved.rowcount, before.id)


def _one(count: int, dispute_id: UUID) -> None:
    if count != 1:
        raise Broken("a dispute moved under its lock", dispute_id=str(dispute_id))


def _add(connection: Connection, rows: Sequence[Row]) -> None:
    for row in rows:
        names = _COLUMNS[type(row)]
        marks = ", ".join(["%s"] * len(names))
        statement = f"INSERT INTO {_TABLES[type(row)]} ({', '.join(names)}) VALUES ({marks})"
        given = tuple(getattr(row, name) for name in names)
        driver(connection).execute(statement.encode(), given)


def _select(
    connection: Connection,
    kind: type[Row],
    key: str,
    ids: Sequence[UUID],
    order: str,
    *,
    lock: str = "",
) -> list[tuple[Any, ...]]:
    statement = (
        f"SELECT {', '.join(_COLUMNS[kind])} FROM {_TABLES[kind]}"
        f" WHERE {key} = ANY (%s) ORDER BY {order} {lock}"
    )
    return driver(connection).execute(statement.encode(), (list(ids),)).fetchall()


def _dispute(row: tuple[Any, ...]) -> Dispute:
    cells: dict[str, Any] = dict(zip(_COLUMNS[Dispute], row, strict=True))
    for name in ("opened_by", "claimant"):
        cells[name] = Role(cells[name])
    cells["state_before"] = SlotState(cells["state_before"])
    for name in ("state", "extended_in", "resolution"):
        cells[name] = DisputeState(cells[name]) if cells[name] else None
    return Dispute(**cells)
