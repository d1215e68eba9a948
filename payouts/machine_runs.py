"""The one transition table of a payout run: prepared by one, approved by another, then executed."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from payouts.model_runs import RunState
from payouts.refusals_runs import RunWrongState


class RunTrigger(StrEnum):
    """What moves a run; FINISH is the engine's own, once nobody is left."""

    APPROVE = "approve"
    START = "start"
    STOP = "stop"
    WITHDRAW = "withdraw"
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class RunStep:
    """One row: where to, and the event that tells of it.

    `needs_approval`: from `prepared` it starts only a run of the engine's own within its limit.
    """

    to: RunState
    event: str
    needs_approval: bool = False


_S = RunState

TRANSITIONS: Final[Mapping[tuple[RunState, RunTrigger], RunStep]] = MappingProxyType(
    {
        (_S.PREPARED, RunTrigger.APPROVE): RunStep(_S.APPROVED, "payout_run.approved"),
        (_S.PREPARED, RunTrigger.WITHDRAW): RunStep(_S.WITHDRAWN, "payout_run.withdrawn"),
        (_S.PREPARED, RunTrigger.START): RunStep(
            _S.EXECUTING, "payout_run.started", needs_approval=True
        ),
        (_S.APPROVED, RunTrigger.WITHDRAW): RunStep(_S.WITHDRAWN, "payout_run.withdrawn"),
        (_S.APPROVED, RunTrigger.START): RunStep(_S.EXECUTING, "payout_run.started"),
        (_S.EXECUTING, RunTrigger.STOP): RunStep(_S.STOPPED, "payout_run.stopped"),
        (_S.STOPPED, RunTrigger.START): RunStep(_S.EXECUTING, "payout_run.resumed"),
        (_S.EXECUTING, RunTrigger.FINISH): RunStep(_S.DONE, "payout_run.done"),
    }
)


def run_step(state: RunState, trigger: RunTrigger) -> RunStep:
    """The row for this state and trigger; refuses `payouts.run_wrong_state`."""
    found = TRANSITIONS.get((state, trigger))
    if found is None:
        raise RunWrongState(state=state.value, trigger=trigger.value)
    return found
