"""The contract of a dispute: told of its first one, and sent on to its end after the last."""

from datetime import datetime

from sqlalchemy import Connection

from escrow import rules_dispute_contract as contracts
from escrow import store
from escrow.commands import ContractCommand
from escrow.model_dispute import Dispute
from escrow.service_batch import run
from kernel.principals import SYSTEM


def tell_contract(connection: Connection, dispute: Dispute, at: datetime) -> None:
    """A contract that was over, or about to be, is not while this dispute runs."""
    (contract,) = store.find_contracts(connection, [dispute.contract_id])
    if contracts.is_over_already(contract):
        command = ContractCommand(actor=SYSTEM, contract_id=contract.id)
        run(connection, [command], lambda c: contracts.disputed(contract, c, at), at=at)


def follow_contract(connection: Connection, dispute: Dispute, at: datetime) -> None:
    """A contract that was ended while this dispute ran goes on to its end."""
    (contract,) = store.find_contracts(connection, [dispute.contract_id])
    if not contracts.waits_for_disputes(contract):
        return
    (contract,) = store.lock_contracts(connection, [contract.id])
    if store.list_disputed(connection, [contract.id]):
        return
    (slot,) = store.find_slots(connection, [dispute.slot_id])
    is_unsettled = contract.id in store.list_unsettled(connection, [contract.id])
    command = ContractCommand(actor=SYSTEM, contract_id=contract.id)
    run(
        connection,
        [command],
        lambda c: contracts.disputes_over(contract, slot, c, at, is_unsettled=is_unsettled),
        at=at,
    )
