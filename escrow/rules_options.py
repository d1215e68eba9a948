"""What one can do with a slot now, and what happens if nobody does anything; from the table."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from escrow.commands import SlotCommand
from escrow.machine import Guard, Timer, Transition, Trigger
from escrow.machine_slot import SLOTS
from escrow.model import Role, SlotState
from escrow.rules import GUARDS, Deal, roles
from kernel.errors import Refusal
from kernel.principals import SYSTEM, Actor

NEEDS: Final = MappingProxyType(
    {
        Guard.SOMETHING_SHOWN: "message_ref or artefact_refs",
        Guard.REASON_GIVEN: "reason",
        Guard.PART_OF_BALANCE: "amount",
        Guard.BOTH_SIGNED: "both signatures",
    }
)
"""What the caller must bring along; such a guard cannot be asked before he does."""

_ASKED_LATER: Final = frozenset({*NEEDS, Guard.SAME_SUBMISSION})

_CONSEQUENCES: Final = MappingProxyType(
    {
        Timer.AUTO_RELEASE: Trigger.AUTO_RELEASE,
        Timer.REFUND_REPLY: Trigger.REFUND_UNANSWERED,
        Timer.DORMANT: Trigger.FALL_DORMANT,
    }
)


class Clock(NamedTuple):
    """A running timer of the slot: its kind without its room; None as time when it is paused."""

    kind: str
    due_at: datetime | None


def options(deal: Deal, actor: Actor, at: datetime) -> list[dict[str, Any]]:
    """Every step that the table gives this actor here, with what blocks it, if anything."""
    mine = roles(actor, deal.contract)
    found = []
    for (state, trigger), row in SLOTS.items():
        role = next((each for each in mine if each in row.who), None)
        if state is deal.slot.state and role is not None:
            found.append(
                {
                    "step": trigger.value,
                    "leads_to": row.to.value,
                    "postings": list(row.movement),
                    "needs": [NEEDS[guard] for guard in row.guards if guard in NEEDS],
                    "blocked_by": _obstacle(deal, row, role, actor, at),
                }
            )
    return found


def if_nothing(deal: Deal, clocks: Sequence[Clock], at: datetime) -> dict[str, Any] | None:
    """The soonest thing that happens by itself, and what stands in its way; None if nothing does.

    A dormancy clock that has notices to send first says when the next one is sent.
    """
    running = [clock for clock in clocks if clock.due_at is not None]
    if not running:
        return None
    soonest = min(running, key=lambda clock: clock.due_at or at)
    trigger = _CONSEQUENCES[Timer(soonest.kind)]
    if trigger is Trigger.FALL_DORMANT and deal.slot.notices < 3:
        trigger = Trigger.REMIND
    row = SLOTS.get((deal.slot.state, trigger))
    if row is None or soonest.due_at is None:
        return None
    then = replace(deal, review_ends_at=None)
    return {
        "step": trigger.value,
        "leads_to": SlotState(row.to).value,
        "at": soonest.due_at.isoformat(),
        "blocked_by": _obstacle(then, row, Role.SYSTEM, SYSTEM, soonest.due_at),
    }


def _obstacle(deal: Deal, row: Transition, role: Role, actor: Actor, at: datetime) -> str | None:
    """The code of the first guard that would refuse; None if nothing stands in the way."""
    command = SlotCommand(actor=actor, slot_id=deal.slot.id)
    for guard in row.guards:
        if guard in _ASKED_LATER:
            continue
        try:
            GUARDS[guard](deal, command, role, at)
        except Refusal as refusal:
            return refusal.code
    return None
