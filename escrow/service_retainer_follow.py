"""How a period follows its slot: money came in, or the slot was closed by another way."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from escrow import store_retainer
from escrow.machine import Timer, Trigger
from escrow.machine_retainer import PERIODS
from escrow.machine_slot import HOLDING
from escrow.model import Alarm, Plan, Role, Slot, SlotState
from escrow.model_retainer import Moves, Period, PeriodState
from escrow.rules import step
from escrow.rules_deal import event
from escrow.rules_retainer import period_subject
from escrow.rules_retainer_period import begin, stops, to_state
from kernel import timers
from kernel.commands import Command
from kernel.errors import Broken, Refusal
from kernel.principals import SYSTEM
from kernel.timers import Arm
from ledger.service import post

_CLOSED = frozenset({SlotState.RELEASED, SlotState.REFUNDED, SlotState.CANCELLED})
_WAITING = frozenset({PeriodState.SCHEDULED, PeriodState.FUNDING})
_COMMAND = Command(actor=SYSTEM)


def follow_slots(
    connection: Connection, moves: Sequence[tuple[Slot, Slot]], *, at: datetime
) -> None:
    """Move the periods of slots that moved by themselves; the slots are locked."""
    changed = {new.id: new for old, new in moves if new.state is not old.state}
    if not changed:
        return
    for period in store_retainer.lock_periods(connection, list(changed)):
        _follow(connection, period, changed[period.id], at)


def _follow(connection: Connection, period: Period, slot: Slot, at: datetime) -> None:
    trigger = _trigger(period, slot)
    if trigger is None:
        return
    row, _ = step(PERIODS, period.state, trigger, (Role.SYSTEM,))
    after = to_state(period, row)
    subject = period_subject(period)
    draft = event(_COMMAND, at, kind=f"period.{after.state.value}", subject=subject)
    alarms: tuple[Alarm, ...] = ()
    if after.state is PeriodState.FUNDED and at < period.starts_at:
        alarms = (Alarm(subject, Timer.PERIOD_START, period.starts_at, period.number),)
    _write(
        connection,
        Moves(
            plan=Plan(drafts=(draft,), alarms=alarms, cancelled=stops(period, row)),
            moved_periods=((period, after),),
        ),
    )
    if after.state is PeriodState.FUNDED and at >= period.starts_at:
        _write(connection, begin(after, _COMMAND, at))
    _wake_neighbour(connection, period, at)


def _trigger(period: Period, slot: Slot) -> Trigger | None:
    if slot.state in HOLDING and period.state in _WAITING:
        return Trigger.FUND
    if slot.state in _CLOSED and (period.state, Trigger.SLOT_CLOSED) in PERIODS:
        return Trigger.SLOT_CLOSED
    return None


def _wake_neighbour(connection: Connection, period: Period, at: datetime) -> None:
    """The period before may wait in `closing` for this one to be funded, or to be over."""
    for each in store_retainer.list_periods(connection, period.retainer_id):
        if each.number == period.number - 1 and each.state is PeriodState.CLOSING:
            arm = Arm(period_subject(each), f"escrow.{Timer.PERIOD_CLOSE}", at, each.number)
            timers.arm(connection, [arm])


def _write(connection: Connection, moves: Moves) -> None:
    plan = moves.plan
    for answer in post(connection, list(plan.drafts)):
        if isinstance(answer, Refusal):
            raise Broken("a period could not follow its slot", code=answer.code)
    store_retainer.save_moves(connection, replace(moves, plan=plan))
    timers.cancel(connection, [(subject, f"escrow.{kind}") for subject, kind in plan.cancelled])
    timers.arm(
        connection,
        [Arm(a.subject, f"escrow.{a.kind}", a.due_at, a.subject_version) for a in plan.alarms],
    )
