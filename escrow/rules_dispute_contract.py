"""What a dispute does to its contract: `closed_disputed`, and on to the end when it is over."""

from dataclasses import replace
from datetime import datetime, timedelta

from escrow.commands import ContractCommand
from escrow.machine import CONTRACTS, Trigger
from escrow.machine_slot import WORKING
from escrow.model import Alarm, Contract, ContractState, Plan, Slot
from escrow.rules_deal import CLOSE_CONTRACT, end_slot, move_contract


def is_over_already(contract: Contract) -> bool:
    """Whether a dispute that opens now finds its contract ended, or about to."""
    return (contract.state, Trigger.DISPUTE_OPENED) in CONTRACTS


def waits_for_disputes(contract: Contract) -> bool:
    """Whether the contract was ended while a dispute ran."""
    return contract.state is ContractState.CLOSED_DISPUTED


def disputed(contract: Contract, command: ContractCommand, at: datetime) -> Plan:
    """A dispute opens in a contract that was ended: it is not over yet."""
    plan = move_contract(contract, Trigger.DISPUTE_OPENED, "contract.closed_disputed", command, at)
    return replace(plan, cancelled=((f"contract:{contract.id}", CLOSE_CONTRACT),))


def disputes_over(
    contract: Contract, slot: Slot, command: ContractCommand, at: datetime, *, is_unsettled: bool
) -> Plan:
    """The last dispute is over: the contract is ended, or ends as soon as all is settled.

    What is left of the disputed milestone is asked back, as the end of a contract does.
    """
    if not is_unsettled:
        return move_contract(contract, Trigger.CLOSE, "contract.ended", command, at)
    plan = move_contract(contract, Trigger.DISPUTES_OVER, "contract.ending", command, at)
    due = at + contract.terms.refund_reply_after + timedelta(minutes=1)
    close = Alarm(f"contract:{contract.id}", CLOSE_CONTRACT, due, 0)
    if slot.state not in WORKING or slot.term_id != slot.id:
        return replace(plan, alarms=(close,))
    rest = end_slot(slot, contract, command, at)
    return replace(
        plan,
        drafts=(*plan.drafts, *rest.drafts),
        moved_slots=rest.moved_slots,
        alarms=(close, *rest.alarms),
        cancelled=rest.cancelled,
        paused=rest.paused,
    )
