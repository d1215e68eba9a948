"""What the clocks of retainers set off: charges, retries, starts, ends, reviews, notices over."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_retainer, rules_retainer_period, store
from escrow.machine import Timer
from escrow.model import Contract, ContractState, SlotState
from escrow.model_retainer import (
    DrawdownCommand,
    Moves,
    PeriodState,
    RetainerCommand,
    RetainerState,
)
from escrow.rules_retainer import Case
from escrow.rules_retainer_settle import cancel, settle
from escrow.service_retainer import act, cancel_retainer, end_review, lock_case
from kernel import timers
from kernel.commands import Command, Outcome
from kernel.ids import new_id
from kernel.principals import SYSTEM
from kernel.timers import Arm, DueTimer

AGAIN: Final = timedelta(days=1)
_COMMAND: Final = Command(actor=SYSTEM)


def ring_period(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Clocks of periods, in due order; those whose slot another transaction holds wait."""
    free = store.lock_slots(connection, [_id(each) for each in due], skip_locked=True)
    ids = {slot.id for slot in free}
    claimed = timers.claim(connection, [each for each in due if _id(each) in ids])
    for timer in sorted(claimed):
        kind = Timer(timer.kind.partition(".")[2])
        if not _RINGS[kind](connection, _id(timer), at):
            _again(connection, timer, at)
    return len(claimed)


def ring_drawdown(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Reviews that ran out in silence: the drawdown is paid."""
    claimed = timers.claim(connection, due)
    for timer in sorted(claimed):
        command = DrawdownCommand(actor=SYSTEM, drawdown_id=_id(timer))
        if not end_review(connection, [command], at=at)[0].is_done:
            _again(connection, timer, at)
    return len(claimed)


def ring_retainer(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Notices that are over: the retainer ends."""
    claimed = timers.claim(connection, due)
    for timer in sorted(claimed):
        command = RetainerCommand(actor=SYSTEM, retainer_id=_id(timer))
        if not cancel_retainer(connection, [command], at=at)[0].is_done:
            _again(connection, timer, at)
    return len(claimed)


def _open(connection: Connection, period_id: UUID, at: datetime) -> bool:
    """Three days ahead: charge this period, and schedule the next."""
    case = lock_case(connection, period_id)
    if case.period.state is not PeriodState.SCHEDULED:
        return True
    if case.contract.state is ContractState.PAUSED:
        return False
    ends_at = case.retainer.ends_at
    is_ending = ends_at is not None and ends_at <= case.period.starts_at
    runs = case.contract.state is ContractState.ACTIVE
    if case.retainer.state is RetainerState.ENDED or is_ending or not runs:
        return _step(connection, lambda c: cancel(case, c, at, new_id), at).is_done
    _charge(connection, case, at)
    if case.after is None:
        number = case.period.number + 1
        seq = len(store.find_contract_slots(connection, [case.contract.id])) + 1
        _step(
            connection,
            lambda c: rules_retainer.schedule(
                case.retainer, case.contract, number, c, at, slot_id=new_id(), seq=seq
            ),
            at,
        )
    return True


def _retry(connection: Connection, period_id: UUID, at: datetime) -> bool:
    """Charge again, three times; then the grace is over. Money on its way is waited for."""
    case = lock_case(connection, period_id)
    if case.period.state is not PeriodState.FUNDING:
        return True
    is_last = case.period.attempts >= len(rules_retainer_period.RETRY_DAYS)
    if case.deal.slot.state is SlotState.FUNDING:
        if is_last:
            return False
        return _step(
            connection, lambda c: rules_retainer_period.note_charge(case, c, at), at
        ).is_done
    if not is_last:
        _charge(connection, case, at)
        return True
    contract: Contract = case.contract
    return _step(
        connection, lambda c: rules_retainer_period.lapse(case, contract, c, at), at
    ).is_done


def _start(connection: Connection, period_id: UUID, at: datetime) -> bool:
    case = lock_case(connection, period_id)
    if case.period.state is PeriodState.FUNDED:
        _step(connection, lambda c: rules_retainer_period.begin(case.period, c, at), at)
    return True


def _close(connection: Connection, period_id: UUID, at: datetime) -> bool:
    """The period is over; it is settled at once unless something is still to be decided."""
    case = lock_case(connection, period_id)
    if case.period.state is PeriodState.ACTIVE:
        _step(connection, lambda c: rules_retainer_period.close(case.period, c, at), at)
        case = lock_case(connection, period_id)
    if case.period.state is not PeriodState.CLOSING:
        return True
    return _step(connection, lambda c: settle(case, c, at, new_id), at).is_done


def _charge(connection: Connection, case: Case, at: datetime) -> None:
    """Charge; what is refused (a hold, an empty wallet) counts as a charge that failed."""
    command = rules_retainer_period.charge_command(case, _COMMAND, new_id())
    tried = act(connection, command, lambda c: rules_retainer_period.charge(case, c, at), at=at)
    if not tried.is_done:
        _step(connection, lambda c: rules_retainer_period.note_charge(case, c, at), at)


def _step(connection: Connection, decide: Callable[[Command], Moves], at: datetime) -> Outcome:
    return act(connection, _COMMAND, decide, at=at)


def _again(connection: Connection, timer: DueTimer, at: datetime) -> None:
    anew = Arm(timer.subject, timer.kind, at + AGAIN, timer.subject_version)
    timers.arm(connection, [anew])


def _id(timer: DueTimer) -> UUID:
    return UUID(timer.subject.partition(":")[2])


_RINGS: Final = MappingProxyType(
    {
        Timer.PERIOD_OPEN: _open,
        Timer.FUND_RETRY: _retry,
        Timer.PERIOD_START: _start,
        Timer.PERIOD_CLOSE: _close,
    }
)

RETAINER_HANDLERS: Final = MappingProxyType(
    {
        **{f"escrow.{timer}": ring_period for timer in _RINGS},
        f"escrow.{Timer.DRAWDOWN_REVIEW}": ring_drawdown,
        f"escrow.{Timer.RETAINER_ENDS}": ring_retainer,
    }
)
"""The kinds of timers that retainers set, for the engine's table of handlers."""
