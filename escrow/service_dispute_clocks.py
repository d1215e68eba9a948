"""What the clocks of a dispute set off: silence, the next stage, a recommendation that stands."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from escrow import store_dispute
from escrow.machine import Timer, Trigger
from escrow.model_dispute import Dispute, DisputeCommand, DisputeState
from escrow.refusals import Held, NotCleared
from escrow.rules_dispute import TRY_AGAIN
from escrow.service_dispute import case_of_timer
from escrow.service_dispute_case import lock_above, on_case
from escrow.service_refund import lock_with_lots
from kernel import timers
from kernel.principals import SYSTEM
from kernel.timers import Arm, DueTimer

_WAITS: Final = frozenset({Held.code, NotCleared.code})


def fires(dispute: Dispute, timer: Timer) -> Trigger | None:
    """What a clock does in the dispute's present state; None if its stage is over."""
    state = dispute.state
    if timer is Timer.ARBITRATION_ELECT and state is DisputeState.RECOMMENDATION:
        return Trigger.LET_STAND
    if timer is Timer.DISPUTE_NEGOTIATION and dispute.is_small:
        return Trigger.TAKE_SMALL if state is DisputeState.NEGOTIATION else None
    trigger, states = _FIRES[timer]
    return trigger if state in states else None


_FIRES: Final[Mapping[Timer, tuple[Trigger, frozenset[DisputeState]]]] = MappingProxyType(
    {
        Timer.DISPUTE_REPLY: (Trigger.DEFAULT, frozenset({DisputeState.AWAITING_REPLY})),
        Timer.DISPUTE_NEGOTIATION: (Trigger.MEDIATE, frozenset({DisputeState.NEGOTIATION})),
        Timer.MEDIATION_MAX: (Trigger.MEDIATION_OVER, frozenset({DisputeState.MEDIATION})),
        Timer.ARBITRATION_ELECT: (
            Trigger.ARBITRATE,
            frozenset({DisputeState.ARBITRATION_ELECT}),
        ),
        Timer.DISPUTE_EXECUTE: (
            Trigger.EXECUTE,
            frozenset(
                {
                    DisputeState.CONCEDED,
                    DisputeState.DEFAULTED,
                    DisputeState.SETTLED,
                    DisputeState.DECIDED,
                }
            ),
        ),
    }
)


def ring(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Clocks of disputes that are over; one stopped by a hold is looked at again in a day."""
    known = {
        each.id: each
        for each in store_dispute.find_disputes(connection, [_id(timer) for timer in due])
    }
    lock_above(connection, list(known.values()))
    slots = [each.slot_id for each in known.values()]
    locked, _ = lock_with_lots(connection, slots, skip_locked=True)
    ours = [t for t in due if _id(t) in known and known[_id(t)].slot_id in locked]
    claimed = timers.claim(connection, ours)
    for timer in claimed:
        _ring(connection, timer, at)
    return len(claimed)


def _ring(connection: Connection, timer: DueTimer, at: datetime) -> None:
    (dispute,) = store_dispute.lock_disputes(connection, [_id(timer)])
    trigger = fires(dispute, Timer(timer.kind.partition(".")[2]))
    if trigger is None:
        return
    step = case_of_timer(trigger)
    command = DisputeCommand(actor=SYSTEM, dispute_id=dispute.id)
    outcome = on_case(connection, command, lambda case, c: step(case, c, at), at=at)
    stands = trigger is Trigger.EXECUTE and not outcome.is_done
    if stands or outcome.code in _WAITS:
        anew = Arm(timer.subject, timer.kind, at + TRY_AGAIN, timer.subject_version)
        timers.arm(connection, [anew])


def _id(timer: DueTimer) -> UUID:
    return UUID(timer.subject.partition(":")[2])


DISPUTE_HANDLERS: Final = MappingProxyType({f"escrow.{timer}": ring for timer in _FIRES})
"""The kinds of timers that a dispute sets, for the engine's table of handlers."""
