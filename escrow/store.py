"""What escrow reads and locks, in id order; what it writes is in `escrow.store_writes`.

Rows become the dataclasses of `escrow.model` at once.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Table

from escrow.model import (
    NO_PINS,
    Amendment,
    AmendmentState,
    Contract,
    ContractState,
    ConvertAt,
    Funding,
    FundingState,
    Lot,
    Method,
    Pins,
    Purpose,
    Refund,
    RefundState,
    Release,
    ReleaseRule,
    ReleaseState,
    Role,
    Slot,
    SlotState,
    Terms,
)
from escrow.tables import AMENDMENT, CONTRACT, FUNDING, LOT, REFUND, RELEASE, SLOT
from kernel.database import driver

Row = TypeVar("Row")


def _select(table: Table, key: str, lock: str = "", order: str = "id") -> str:
    names = ", ".join(column.name for column in table.columns)
    return (
        f"SELECT {names} FROM {table.name} WHERE {key} = ANY (%s::uuid[]) ORDER BY {order} {lock}"
    )


_FIND_PARENTS: Final = """
SELECT slot.id, contract.id, contract.client_id, contract.payee_id
FROM slot JOIN contract ON contract.id = slot.contract_id
WHERE slot.id = ANY (%s::uuid[])
"""

_LIST_OPEN_FUNDINGS: Final = """
SELECT DISTINCT slot_id FROM funding
WHERE slot_id = ANY (%s::uuid[])
    AND state IN ('created', 'requires_action', 'processing', 'unknown')
"""

_LIST_UNSETTLED: Final = """
SELECT id FROM contract WHERE id = ANY (%s::uuid[]) AND (
    EXISTS (SELECT FROM slot WHERE slot.contract_id = contract.id
        AND (held_minor > 0 OR recalled_minor > 0 OR slot.state = 'funding'))
    OR EXISTS (SELECT FROM funding WHERE funding.contract_id = contract.id
        AND funding.state IN ('created', 'requires_action', 'processing', 'unknown', 'mismatch'))
    OR EXISTS (SELECT FROM refund JOIN slot ON slot.id = refund.slot_id
        WHERE slot.contract_id = contract.id
        AND refund.state IN ('approved', 'submitted', 'unknown'))
    OR EXISTS (SELECT FROM funding WHERE funding.contract_id = contract.id AND funding.in_dispute)
    OR EXISTS (SELECT FROM dispute WHERE dispute.contract_id = contract.id
        AND dispute.state NOT IN ('executed', 'withdrawn'))
    OR EXISTS (SELECT FROM work_week WHERE work_week.contract_id = contract.id
        AND work_week.state NOT IN ('closed', 'released', 'refunded', 'unpaid', 'written_off'))
    OR EXISTS (SELECT FROM retainer WHERE retainer.contract_id = contract.id
        AND retainer.state IN ('running', 'ending'))
    OR EXISTS (SELECT FROM retainer_period WHERE retainer_period.contract_id = contract.id
        AND retainer_period.state NOT IN ('settled', 'lapsed', 'cancelled'))
    OR EXISTS (SELECT FROM drawdown JOIN retainer_period ON retainer_period.id = drawdown.period_id
        WHERE retainer_period.contract_id = contract.id AND drawdown.exceeds
        AND drawdown.state IN ('submitted', 'charging'))
)
"""

_LIST_DISPUTED: Final = """
SELECT DISTINCT contract_id FROM dispute
WHERE contract_id = ANY (%s::uuid[]) AND state NOT IN ('executed', 'withdrawn')
"""

_LIST_PENDING: Final = """
SELECT id FROM release WHERE slot_id = %s AND state = 'pending' ORDER BY available_at, id
"""

_LIST_HELD: Final = """
SELECT id::text, currency, held_minor FROM slot WHERE held_minor > 0 ORDER BY id
"""


_LOCK: Final = "FOR NO KEY UPDATE"


_LIST_CLOCK_SUBJECTS: Final = """
WITH concerned AS (
    SELECT id FROM contract
    WHERE id = ANY (%(contract)s::uuid[]) OR client_id = ANY (%(party)s::uuid[])
        OR payee_id = ANY (%(party)s::uuid[])
)
SELECT 'slot:' || slot.id FROM slot
WHERE slot.id = ANY (%(slot)s::uuid[]) OR slot.contract_id IN (SELECT id FROM concerned)
UNION
SELECT 'release:' || release.id FROM release
WHERE release.state = 'pending' AND (
    release.slot_id = ANY (%(slot)s::uuid[])
    OR release.contract_id IN (SELECT id FROM concerned)
)
ORDER BY 1
"""

_LIST_HELD_SUBJECTS: Final = """
WITH concerned AS (
    SELECT 'slot:' || id AS subject, id AS slot_id, contract_id
    FROM slot WHERE id = ANY (%(slot)s::uuid[])
    UNION ALL
    SELECT 'release:' || id, slot_id, contract_id
    FROM release WHERE id = ANY (%(release)s::uuid[])
)
SELECT DISTINCT concerned.subject
FROM concerned JOIN contract ON contract.id = concerned.contract_id
JOIN hold ON hold.lifted_at IS NULL AND hold.subject IN ('slot:' || concerned.slot_id,
    'contract:' || contract.id, 'party:' || contract.client_id, 'party:' || contract.payee_id)
    AND NOT (hold.kind = 'dispute' AND hold.subject LIKE 'slot:%%'
        AND concerned.subject LIKE 'release:%%')
"""

_LIST_REVIEW_LENGTHS: Final = """
SELECT 'slot:' || slot.id, contract.auto_release_after
FROM slot JOIN contract ON contract.id = slot.contract_id
WHERE slot.id = ANY (%(slot)s::uuid[]) AND slot.state = 'submitted'
"""

_ROLES: Final = MappingProxyType({role.value: role for role in Role})
_SLOT_STATES: Final = MappingProxyType({state.value: state for state in SlotState})


def _contract(row: Sequence[Any]) -> Contract:
    terms = Terms(
        commission_bps=row[7],
        client_fee_bps=row[8],
        security_hold_days=row[9],
        auto_release_after=row[10],
        release_rule=ReleaseRule(row[11]),
        refund_reply_after=row[12],
        dormant_after=row[13],
        dormant_limit_minor=row[14],
        free_change_rounds=row[15],
        origin=row[18],
        category=row[19],
        payee_currency=row[20],
        convert_at=ConvertAt(row[21]),
    )
    pins = NO_PINS
    if any(row[22:26]) or row[26]:
        pins = Pins(
            payee_schedule_id=row[22],
            client_schedule_id=row[23],
            promotion_schedule_id=row[24],
            promotion_until=row[25],
            fx_margin_bps=row[26],
        )
    state, proposed_by = ContractState(row[4]), Role(row[6])
    return Contract(*[*row[:4], state, row[5], proposed_by, terms, row[16], row[17], pins])


def _slot(row: Sequence[Any]) -> Slot:
    cells = list(row)
    cells[5], cells[6] = _ROLES[cells[5]], _SLOT_STATES[cells[6]]
    cells[24] = _ROLES.get(cells[24])
    return Slot(*cells)


def _funding(row: Sequence[Any]) -> Funding:
    cells = list(row)
    cells[3], cells[4], cells[9] = Purpose(row[3]), Method(row[4]), FundingState(row[9])
    return Funding(*cells)


def _refund(row: Sequence[Any]) -> Refund:
    cells = list(row)
    cells[3], cells[9] = Method(row[3]), RefundState(row[9])
    return Refund(*cells)


def _release(row: Sequence[Any]) -> Release:
    return Release(*[*row[:8], ReleaseState(row[8]), *row[9:]])


def _amendment(row: Sequence[Any]) -> Amendment:
    cells = list(row)
    cells[5], cells[7] = Role(row[5]), AmendmentState(row[7])
    return Amendment(*cells)


def _lot(row: Sequence[Any]) -> Lot:
    return Lot(*row)


def _read(
    connection: Connection, statement: str, ids: Sequence[UUID], make: Callable[[Any], Row]
) -> list[Row]:
    if not ids:
        return []
    # by the driver itself: what SQLAlchemy knows of columns costs more than a small read
    return [make(row) for row in driver(connection).execute(statement.encode(), (_ids(ids),))]


def _ids(ids: Iterable[UUID]) -> str:
    """An array of ids as PostgreSQL writes it; much faster than the driver's own dumper."""
    return "{" + ",".join(map(str, ids)) + "}"


def find_parents(
    connection: Connection, slot_ids: Sequence[UUID]
) -> list[tuple[UUID, UUID, UUID, UUID]]:
    """(slot, contract, client, payee) of the slots that there are; none of them ever changes."""
    rows = connection.exec_driver_sql(_FIND_PARENTS, (_ids(slot_ids),))
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def find_contract_slots(connection: Connection, contract_ids: Sequence[UUID]) -> list[UUID]:
    """The slots of these contracts; read under the contracts' locks, so none is missing."""
    statement = "SELECT id FROM slot WHERE contract_id = ANY (%s::uuid[])"
    return list(connection.exec_driver_sql(statement, (_ids(contract_ids),)).scalars())


def find_contracts(connection: Connection, contract_ids: Sequence[UUID]) -> list[Contract]:
    """Contracts without a lock, for parties and terms, which never change."""
    return _read(connection, _select(CONTRACT, "id"), contract_ids, _contract)


def find_slots(connection: Connection, slot_ids: Sequence[UUID]) -> list[Slot]:
    """Slots without a lock, to be shown."""
    return _read(connection, _select(SLOT, "id"), slot_ids, _slot)


def find_fundings(connection: Connection, funding_ids: Sequence[UUID]) -> list[Funding]:
    """Fundings without a lock, for the slot and contract that each names."""
    return _read(connection, _select(FUNDING, "id"), funding_ids, _funding)


def find_refunds(connection: Connection, refund_ids: Sequence[UUID]) -> list[Refund]:
    """Refunds without a lock, for the slot that each names."""
    return _read(connection, _select(REFUND, "id"), refund_ids, _refund)


def find_releases(connection: Connection, release_ids: Sequence[UUID]) -> list[Release]:
    """Releases without a lock, for the contract and slot that each names."""
    return _read(connection, _select(RELEASE, "id"), release_ids, _release)


def find_amendments(connection: Connection, amendment_ids: Sequence[UUID]) -> list[Amendment]:
    """Amendments without a lock, for the slots that each names."""
    return _read(connection, _select(AMENDMENT, "id"), amendment_ids, _amendment)


def share_contracts(connection: Connection, contract_ids: Sequence[UUID]) -> list[Contract]:
    """Lock contracts FOR SHARE: their state and holds stay as they are."""
    return _read(connection, _select(CONTRACT, "id", "FOR SHARE"), contract_ids, _contract)


def lock_contracts(
    connection: Connection, contract_ids: Sequence[UUID], *, skip_locked: bool = False
) -> list[Contract]:
    """Lock contracts that shall change; others' are left out where asked."""
    lock = f"{_LOCK} SKIP LOCKED" if skip_locked else _LOCK
    return _read(connection, _select(CONTRACT, "id", lock), contract_ids, _contract)


def lock_slots(
    connection: Connection, slot_ids: Sequence[UUID], *, skip_locked: bool = False
) -> list[Slot]:
    """Lock slots; those that another transaction holds are left out where asked."""
    lock = f"{_LOCK} SKIP LOCKED" if skip_locked else _LOCK
    return _read(connection, _select(SLOT, "id", lock), slot_ids, _slot)


def lock_fundings(connection: Connection, funding_ids: Sequence[UUID]) -> list[Funding]:
    """Lock fundings."""
    return _read(connection, _select(FUNDING, "id", _LOCK), funding_ids, _funding)


def lock_refunds(connection: Connection, refund_ids: Sequence[UUID]) -> list[Refund]:
    """Lock refunds."""
    return _read(connection, _select(REFUND, "id", _LOCK), refund_ids, _refund)


def lock_releases(
    connection: Connection, release_ids: Sequence[UUID], *, skip_locked: bool = False
) -> list[Release]:
    """Lock releases; those that another transaction holds are left out where asked."""
    lock = f"{_LOCK} SKIP LOCKED" if skip_locked else _LOCK
    return _read(connection, _select(RELEASE, "id", lock), release_ids, _release)


def lock_amendments(connection: Connection, amendment_ids: Sequence[UUID]) -> list[Amendment]:
    """Lock amendments."""
    return _read(connection, _select(AMENDMENT, "id", _LOCK), amendment_ids, _amendment)


def list_lots(connection: Connection, slot_ids: Sequence[UUID]) -> dict[UUID, list[Lot]]:
    """The lots of these slots, by slot, oldest first; the slot's lock covers them."""
    found: dict[UUID, list[Lot]] = {}
    for lot in _read(connection, _select(LOT, "slot_id", "", "slot_id, seq"), slot_ids, _lot):
        found.setdefault(lot.slot_id, []).append(lot)
    return found


def list_open_fundings(connection: Connection, slot_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the slots for which a payment is under way."""
    rows = connection.exec_driver_sql(_LIST_OPEN_FUNDINGS, (_ids(slot_ids),))
    return set(rows.scalars())


def list_unsettled(connection: Connection, contract_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the contracts that hold money or have money on its way."""
    return set(connection.exec_driver_sql(_LIST_UNSETTLED, (_ids(contract_ids),)).scalars())


def list_disputed(connection: Connection, contract_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the contracts of which a dispute runs."""
    return set(connection.exec_driver_sql(_LIST_DISPUTED, (_ids(contract_ids),)).scalars())


def list_pending_releases(connection: Connection, slot_id: UUID) -> list[Release]:
    """Lock what was released out of a slot and is in its security hold still, newest last."""
    ids = connection.exec_driver_sql(_LIST_PENDING, (slot_id,)).scalars().all()
    locked = {each.id: each for each in lock_releases(connection, ids)}
    return [locked[each] for each in ids]


def list_taken(connection: Connection, table: Table, ids: Sequence[UUID]) -> set[UUID]:
    """Those of the ids that a row has already."""
    statement = f"SELECT id FROM {table.name} WHERE id = ANY (%s::uuid[])"
    return set(connection.exec_driver_sql(statement, (_ids(ids),)).scalars())


def list_held(connection: Connection) -> list[tuple[str, str, int]]:
    """(slot, currency, held minor units) of every slot that holds money, for the proof."""
    return [(row[0], row[1], row[2]) for row in connection.exec_driver_sql(_LIST_HELD)]


def list_clock_subjects(connection: Connection, subjects: Sequence[str]) -> list[str]:
    """The slots and pending releases of these slots, contracts and parties, as timers name them."""
    rows = connection.exec_driver_sql(_LIST_CLOCK_SUBJECTS, _by_kind(subjects))
    return list(rows.scalars())


def list_held_subjects(connection: Connection, subjects: Sequence[str]) -> set[str]:
    """Those of the slots and releases that an open hold still blocks."""
    rows = connection.exec_driver_sql(_LIST_HELD_SUBJECTS, _by_kind(subjects))
    return set(rows.scalars())


def list_review_lengths(connection: Connection, subjects: Sequence[str]) -> dict[str, timedelta]:
    """The full length of the review of those of the slots that are under review."""
    rows = connection.exec_driver_sql(_LIST_REVIEW_LENGTHS, _by_kind(subjects))
    return {row[0]: row[1] for row in rows}


def _by_kind(subjects: Sequence[str]) -> dict[str, list[UUID]]:
    """The ids of subjects such as `slot:0190...`, by kind."""
    found: dict[str, list[UUID]] = {"slot": [], "release": [], "contract": [], "party": []}
    for subject in subjects:
        kind, _, number = subject.partition(":")
        found[kind].append(UUID(number))
    return found
