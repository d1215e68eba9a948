"""How a period follows its slot: money came in, or the slot was closed by another way."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from escrow import store_retainer
from escrow.machine import Timer, Trigger
from escrow.machine_retainer import DRAWDOWNS, PERIODS
from escrow.machine_slot import HOLDING
from escrow.model import Alarm, Plan, Role, Slot, SlotState
from escrow.model_retainer import Drawdown, DrawdownState, Moves, Period, PeriodState
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
    """Move the periods of slots that moved by themselves; the slots are locked.

    While a period of the retainer is paused no other begins: the end of the pause sets its clock.
    """
    changed = {new.id: new for old, new in moves if new.state is not old.state}
    if not changed:
        return
    steps: list[Moves] = []
    begun: list[Period] = []
    followed: list[Period] = []
    locked = store_retainer.lock_periods(connection, list(changed))
    paused = _paused_retainers(connection, locked)
    for period in locked:
        trigger = _trigger(period, changed[period.id])
        if trigger is None:
            continue
        is_paused = period.retainer_id in paused
        after, step_of_it = _follow(period, trigger, at, may_begin=not is_paused)
        steps.append(step_of_it)
        followed.append(period)
        if after.state is PeriodState.FUNDED and at >= period.starts_at and not is_paused:
            begun.append(after)
    for drawdown in store_retainer.find_over(connection, list(changed)):
        steps += _follow_over(connection, drawdown, changed[drawdown.slot_id or drawdown.id], at)
    _write(connection, steps)
    _write(connection, [begin(each, _COMMAND, at) for each in begun])
    _wake_neighbours(connection, followed, at)


def _paused_retainers(connection: Connection, periods: Sequence[Period]) -> set[UUID]:
    """The retainers of these periods that stand still."""
    ids = sorted({each.retainer_id for each in periods})
    known = store_retainer.list_all_periods(connection, ids) if ids else []
    return {each.retainer_id for each in known if each.state is PeriodState.PAUSED}


def _follow(
    period: Period, trigger: Trigger, at: datetime, *, may_begin: bool
) -> tuple[Period, Moves]:
    row, _ = step(PERIODS, period.state, trigger, (Role.SYSTEM,))
    after = to_state(period, row)
    subject = period_subject(period)
    draft = event(_COMMAND, at, kind=f"period.{after.state.value}", subject=subject)
    alarms: tuple[Alarm, ...] = ()
    if after.state is PeriodState.FUNDED and at < period.starts_at and may_begin:
        alarms = (Alarm(subject, Timer.PERIOD_START, period.starts_at, period.number),)
    return after, Moves(
        plan=Plan(drafts=(draft,), alarms=alarms, cancelled=stops(period, row)),
        moved_periods=((period, after),),
    )


def _follow_over(
    connection: Connection, drawdown: Drawdown, slot: Slot, at: datetime
) -> list[Moves]:
    """What exceeds a period: its money came, or its slot was closed by another way."""
    if drawdown.state is not DrawdownState.CHARGING:
        return []
    subject = f"drawdown:{drawdown.id}"
    if slot.state in HOLDING:
        kind = f"escrow.{Timer.OVERAGE_CHARGE}"
        timers.arm(connection, [Arm(subject, kind, at, drawdown.attempts)])
    if slot.state not in _CLOSED:
        return []
    row, _ = step(DRAWDOWNS, drawdown.state, Trigger.SLOT_CLOSED, (Role.SYSTEM,))
    after = replace(drawdown, state=DrawdownState(row.to), version=drawdown.version + 1)
    detail = {"drawdown_id": str(drawdown.id), "slot_state": slot.state.value}
    draft = event(
        _COMMAND,
        at,
        kind="period.overage_settled",
        subject=f"period:{drawdown.period_id}",
        detail=detail,
    )
    plan = Plan(drafts=(draft,), cancelled=((subject, Timer.OVERAGE_CHARGE),))
    return [Moves(plan=plan, moved_drawdowns=((drawdown, after),))]


def _trigger(period: Period, slot: Slot) -> Trigger | None:
    if slot.state in HOLDING and period.state in _WAITING:
        return Trigger.FUND
    if slot.state in _CLOSED and (period.state, Trigger.SLOT_CLOSED) in PERIODS:
        return Trigger.SLOT_CLOSED
    return None


def _wake_neighbours(connection: Connection, periods: Sequence[Period], at: datetime) -> None:
    """The period before may wait in `closing` for this one to be funded, or to be over."""
    before = {(each.retainer_id, each.number - 1) for each in periods}
    known = store_retainer.list_all_periods(connection, sorted({p.retainer_id for p in periods}))
    kind = f"escrow.{Timer.PERIOD_CLOSE}"
    timers.arm(
        connection,
        [
            Arm(period_subject(each), kind, at, each.number)
            for each in known
            if (each.retainer_id, each.number) in before and each.state is PeriodState.CLOSING
        ],
    )


def _write(connection: Connection, steps: Sequence[Moves]) -> None:
    if not steps:
        return
    plans = [moves.plan for moves in steps]
    for answer in post(connection, [draft for plan in plans for draft in plan.drafts]):
        if isinstance(answer, Refusal):
            raise Broken("a period could not follow its slot", code=answer.code)
    store_retainer.save_all(connection, steps)
    cancelled = [(subject, f"escrow.{kind}") for plan in plans for subject, kind in plan.cancelled]
    timers.cancel(connection, cancelled)
    timers.arm(
        connection,
        [
            Arm(a.subject, f"escrow.{a.kind}", a.due_at, a.subject_version)
            for plan in plans
            for a in plan.alarms
        ],
    )
