"""Reading a dispute without a lock: its lists, and what happens by itself."""

from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from escrow import store, store_dispute
from escrow.machine import Guard, Timer, Transition
from escrow.machine_dispute import DISPUTES
from escrow.model import Role
from escrow.model_dispute import DisputeCommand
from escrow.rules_dispute import GUARDS, Case
from escrow.service_batch import TIMER_ROOM, list_holds, look_at_slot
from escrow.service_dispute_case import look_at_case
from escrow.service_dispute_clocks import fires
from kernel import timers
from kernel.errors import Refusal
from kernel.principals import SYSTEM

_ASKS_THE_ACTOR: Final = frozenset(
    {Guard.IN_PERSON, Guard.NOT_INVOLVED, Guard.SECOND_PERSON, Guard.SHARES_ADD_UP}
)
"""Guards that look at who acts, or at what he brings along: they are named, not tried."""


@dataclass(frozen=True, slots=True)
class DisputeClock:
    """A running clock: what it does when it rings, and what would stop it."""

    kind: str
    due_at: datetime
    step: str
    leads_to: str
    blocked_by: tuple[str, ...]


def look_dispute(connection: Connection, dispute_id: UUID) -> Case | None:
    """A dispute with its slot and lists; None where there is none."""
    found = store_dispute.find_disputes(connection, [dispute_id])
    if not found:
        return None
    (slot,) = store.find_slots(connection, [found[0].slot_id])
    (contract,) = store.find_contracts(connection, [slot.contract_id])
    open_holds = list_holds(connection, [contract], [f"slot:{slot.id}"])
    deal = look_at_slot(slot, contract, open_holds, set())
    return look_at_case(connection, deal, found[0], MappingProxyType({}))


def list_clocks(connection: Connection, case: Case) -> list[DisputeClock]:
    """What happens by itself, soonest first."""
    clocks = []
    for timer in timers.list_of(connection, [case.dispute.subject]):
        kind = Timer(timer.kind.removeprefix(TIMER_ROOM))
        trigger = fires(case.dispute, kind)
        row = DISPUTES.get((case.dispute.state, trigger)) if trigger else None
        if trigger is None or row is None:
            continue
        blocked = tuple(_obstacles(case, row, Role.SYSTEM, timer.due_at))
        clocks.append(DisputeClock(timer.kind, timer.due_at, trigger.value, row.to.value, blocked))
    return clocks


def _obstacles(case: Case, row: Transition, role: Role, at: datetime) -> list[str]:
    """The codes of the guards that would refuse."""
    command = DisputeCommand(actor=SYSTEM, dispute_id=case.dispute.id)
    found = []
    for guard in row.guards:
        if guard in _ASKS_THE_ACTOR:
            continue
        try:
            GUARDS[guard](case, command, role, at)
        except Refusal as refusal:
            found.append(refusal.code)
    return found
