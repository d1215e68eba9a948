"""What retainers lock, and in which order: parties, contracts, slots, fundings, periods, timers.

A contract's lock (FOR NO KEY UPDATE) covers all that is its own: retainers, periods, drawdowns.
Whoever moves any slot of the contract has it FOR SHARE at least, so that nobody waits in a circle.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from escrow import store, store_retainer
from escrow.model import Contract
from escrow.service_batch import share_people
from kernel import timers
from kernel.rehearsal import is_rehearsal
from kernel.timers import DueTimer
from ledger import service as ledger
from ledger.chart import account

_HOUSE: Final = (
    "custody.due_to_platform",
    "custody.due_from_platform",
    "platform.due_from_custody",
    "platform.due_to_custody",
    "platform.deferred_fees",
    "platform.revenue.commission",
    "platform.revenue.client_fee",
)
"""The accounts without a subject that a period's end or a drawdown may touch."""


def lock_contracts(
    connection: Connection, contract_ids: Iterable[UUID], *, skip_locked: bool = False
) -> dict[UUID, Contract]:
    """Contracts in order, after their parties; those that another holds are left where asked."""
    known = store.find_contracts(connection, sorted(set(contract_ids)))
    share_people(connection, known)
    ids = [each.id for each in known]
    found = store.lock_contracts(connection, ids, skip_locked=skip_locked)
    return {each.id: each for each in found}


def lock_ahead(connection: Connection, contract_ids: Iterable[UUID]) -> list[Contract]:
    """All contracts of a list of commands, before the first is decided; and their accounts."""
    found = list(lock_contracts(connection, contract_ids).values())
    if len(found) > 1:
        lock_accounts(connection, found)
    return found


def next_seq(connection: Connection, contract_id: UUID) -> int:
    """The number of the contract's next slot; the contract is locked."""
    return store_retainer.count_slots(connection, [contract_id]).get(contract_id, 0) + 1


def lock_accounts(connection: Connection, contracts: Iterable[Contract]) -> None:
    """Lock what several acts of one transaction post to, before the first of them posts.

    The escrow accounts of slots need no more: nobody moves them without the contract's lock.
    """
    if is_rehearsal(connection):
        return
    some = list(contracts)
    keys = {account(kind, each.currency) for each in some for kind in _HOUSE}
    keys |= {account("custody.wallet", each.currency, each.client_id) for each in some}
    keys |= {account("custody.earned_pending", each.currency, each.payee_id) for each in some}
    ledger.lock(connection, keys)


def claim(
    connection: Connection, due: Sequence[DueTimer], contract_of: Mapping[UUID, UUID]
) -> list[DueTimer]:
    """Take the due timers of the contracts that nobody else holds just now, in due order.

    `contract_of` is by the subject's id; a subject that is not there any more has no contract,
    and its timer is taken as well.
    """
    contracts = lock_contracts(connection, contract_of.values(), skip_locked=True)
    named = {each: id_of(each) for each in due}
    ours = [t for t, each in named.items() if contract_of.get(each) in {None, *contracts}]
    store.lock_slots(connection, [named[each] for each in ours])
    claimed = sorted(timers.claim(connection, ours))
    if len(claimed) > 1:
        lock_accounts(connection, contracts.values())
    return claimed


def contracts_of_periods(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """By period the contract that it is of."""
    found = store_retainer.find_periods(connection, list(ids))
    return {each.id: each.contract_id for each in found}


def contracts_of_drawdowns(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """By drawdown the contract that it is of."""
    found = store_retainer.find_drawdowns(connection, list(ids))
    periods = contracts_of_periods(connection, [each.period_id for each in found])
    return {each.id: periods[each.period_id] for each in found}


def contracts_of_retainers(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """By retainer the contract that it is of."""
    found = store_retainer.find_retainers(connection, list(ids))
    return {each.id: each.contract_id for each in found}


def id_of(timer: DueTimer) -> UUID:
    """The id of the timer's subject."""
    return UUID(timer.subject.partition(":")[2])
