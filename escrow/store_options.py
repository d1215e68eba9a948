"""The SQL behind what one can do now: open offers and payments of a slot, and its neighbours."""

from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from escrow.model import Role
from kernel.database import driver

_FIND_OFFER: Final = """
SELECT amendment.id
FROM amendment JOIN slot ON slot.id = amendment.slot_id AND slot.version = amendment.slot_version
WHERE amendment.slot_id = %s AND amendment.state = 'proposed' AND amendment.proposed_by <> %s
  AND CASE
    WHEN amendment.to_slot_id IS NOT NULL THEN 'roll'
    WHEN amendment.new_amount_minor > slot.amount_minor THEN 'up'
    ELSE 'down'
  END = %s
ORDER BY amendment.id DESC
LIMIT 1
"""

_FIND_ROLL_IN: Final = """
SELECT amendment.id
FROM amendment JOIN slot ON slot.id = amendment.slot_id AND slot.version = amendment.slot_version
WHERE amendment.to_slot_id = %s AND amendment.state = 'proposed' AND amendment.proposed_by <> %s
ORDER BY amendment.id DESC
LIMIT 1
"""

_FIND_NEIGHBOUR: Final = """
SELECT other.id
FROM slot JOIN slot AS other ON other.contract_id = slot.contract_id AND other.id <> slot.id
WHERE slot.id = %s
ORDER BY other.state IN ('funded', 'submitted', 'changes_requested') DESC, other.seq
LIMIT 1
"""

_FIND_PAYMENT: Final = """
SELECT id FROM funding
WHERE slot_id = %s AND state IN ('created', 'requires_action', 'processing', 'unknown')
ORDER BY id DESC
LIMIT 1
"""

_FIND_PENDING: Final = """
SELECT id FROM release WHERE slot_id = %s AND state = 'pending' ORDER BY id DESC LIMIT 1
"""

_FIND_DISPUTE: Final = """
SELECT id FROM dispute WHERE contract_id = %s AND ended_at IS NULL ORDER BY id LIMIT 1
"""


def find_pending_release(connection: Connection, slot_id: UUID) -> UUID | None:
    """The slot's newest release in its security hold."""
    return _one(connection, _FIND_PENDING, slot_id)


def find_open_dispute(connection: Connection, contract_id: UUID) -> UUID | None:
    """A dispute of the contract that is not over."""
    return _one(connection, _FIND_DISPUTE, contract_id)


def find_offer(connection: Connection, slot_id: UUID, role: Role, kind: str) -> UUID | None:
    """The other side's offer that this side may sign: of kind `up`, `down` or `roll`."""
    return _one(connection, _FIND_OFFER, slot_id, role.value, kind)


def find_roll_in(connection: Connection, slot_id: UUID, role: Role) -> UUID | None:
    """The other side's offer to roll another slot's rest into this one."""
    return _one(connection, _FIND_ROLL_IN, slot_id, role.value)


def find_neighbour(connection: Connection, slot_id: UUID) -> UUID | None:
    """Another slot of the same contract, one that holds money first."""
    return _one(connection, _FIND_NEIGHBOUR, slot_id)


def find_payment(connection: Connection, slot_id: UUID) -> UUID | None:
    """The payment for a slot that is under way."""
    return _one(connection, _FIND_PAYMENT, slot_id)


def side_of(connection: Connection, contract_id: UUID, party_id: UUID | None) -> Role:
    """CLIENT or PAYEE, as the contract names this party."""
    found = _one(connection, "SELECT client_id FROM contract WHERE id = %s", contract_id)
    return Role.CLIENT if found == party_id else Role.PAYEE


def _one(connection: Connection, statement: str, *given: object) -> UUID | None:
    row = driver(connection).execute(statement.encode(), given).fetchone()
    return row[0] if row else None
