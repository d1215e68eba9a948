"""What the clocks of retainers set off: charges, retries, starts, ends, reviews, notices over."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_retainer, rules_retainer_period, store, store_retainer
from escrow.machine import Timer
from escrow.model import ContractState, SlotState
from escrow.model_retainer import (
    DrawdownCommand,
    Moves,
    PeriodState,
    RetainerCommand,
    RetainerState,
)
from escrow.rules_retainer import Case
from escrow.rules_retainer_period import is_over
from escrow.rules_retainer_settle import cancel, settle
from escrow.service_retainer import cancel_retainer, end_review
from escrow.service_retainer_batch import act_all, lock_cases, lock_contracts
from escrow.service_waves import split_in_waves
from kernel import timers
from kernel.commands import Command
from kernel.ids import new_id
from kernel.principals import SYSTEM
from kernel.timers import Arm, DueTimer

AGAIN: Final = timedelta(days=1)
_COMMAND: Final = Command(actor=SYSTEM)
_MOST_CHARGES: Final = len(rules_retainer_period.RETRY_DAYS)


def ring_period(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Clocks of periods, in due order; those whose slot another transaction holds wait.

    What rings for different contracts is served together. Contracts are locked before slots, as
    every step of a retainer does.
    """
    parents = store.find_parents(connection, [_id(each) for each in due])
    lock_contracts(connection, {contract_id for _, contract_id, _, _ in parents})
    free = store.lock_slots(connection, [_id(each) for each in due], skip_locked=True)
    contracts = {slot.id: slot.contract_id for slot in free}
    claimed = sorted(timers.claim(connection, [each for each in due if _id(each) in contracts]))
    again = []
    for wave in split_in_waves(claimed, lambda each: contracts[_id(each)]):
        for kind, ring in _RINGS.items():
            rung = [each for each in wave if each.kind == f"escrow.{kind}"]
            waiting = ring(connection, [_id(each) for each in rung], at) if rung else set()
            again += [each for each in rung if _id(each) in waiting]
    _again(connection, again, at)
    return len(claimed)


def ring_drawdown(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Reviews that ran out in silence: the drawdown is paid, unless its period is over."""
    drawdowns = store_retainer.find_drawdowns(connection, [_id(each) for each in due])
    parents = store.find_parents(connection, [each.period_id for each in drawdowns])
    lock_contracts(connection, {contract_id for _, contract_id, _, _ in parents})
    periods = store_retainer.find_periods(connection, [each.period_id for each in drawdowns])
    ended = {each.id for each in periods if is_over(each)}
    over = {each.id for each in drawdowns if each.period_id in ended}
    claimed = sorted(timers.claim(connection, due))
    commands = [DrawdownCommand(actor=SYSTEM, drawdown_id=_id(each)) for each in claimed]
    outcomes = end_review(connection, commands, at=at)
    refused = [each for each, o in zip(claimed, outcomes, strict=True) if not o.is_done]
    _again(connection, [each for each in refused if _id(each) not in over], at)
    return len(claimed)


def ring_retainer(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Notices that are over: the retainer ends."""
    retainers = store_retainer.find_retainers(connection, [_id(each) for each in due])
    lock_contracts(connection, {each.contract_id for each in retainers})
    claimed = timers.claim(connection, due)
    for timer in sorted(claimed):
        command = RetainerCommand(actor=SYSTEM, retainer_id=_id(timer))
        if not cancel_retainer(connection, [command], at=at)[0].is_done:
            _again(connection, [timer], at)
    return len(claimed)


def _open(connection: Connection, period_ids: Sequence[UUID], at: datetime) -> set[UUID]:
    """Three days ahead: charge these periods, and schedule the next ones."""
    cases = lock_cases(connection, period_ids)
    waiting = [c for c in cases.values() if c.period.state is PeriodState.SCHEDULED]
    paused = {c.period.id for c in waiting if c.contract.state is ContractState.PAUSED}
    over = [c for c in waiting if c.period.id not in paused and _is_ending(c)]
    charged = [c for c in waiting if c.period.id not in paused and not _is_ending(c)]
    refused = _step(connection, over, lambda case: cancel(case, _COMMAND, at, new_id), at)
    _charge(connection, charged, at)
    lasting = [case for case in charged if case.after is None]
    slots = store_retainer.count_slots(connection, [case.contract.id for case in lasting])

    def schedule(case: Case) -> Moves:
        return rules_retainer.schedule(
            case.retainer,
            case.contract,
            case.period.number + 1,
            _COMMAND,
            at,
            slot_id=new_id(),
            seq=slots.get(case.contract.id, 0) + 1,
        )

    _step(connection, lasting, schedule, at)
    return paused | refused


def _is_ending(case: Case) -> bool:
    """Whether the retainer or its contract will be over when the period begins."""
    ends_at = case.retainer.ends_at
    is_ending = ends_at is not None and ends_at <= case.period.starts_at
    runs = case.contract.state is ContractState.ACTIVE
    return case.retainer.state is RetainerState.ENDED or is_ending or not runs


def _retry(connection: Connection, period_ids: Sequence[UUID], at: datetime) -> set[UUID]:
    """Charge again, three times; then the grace is over. Money on its way is waited for."""
    cases = lock_cases(connection, period_ids)
    unpaid = [c for c in cases.values() if c.period.state is PeriodState.FUNDING]
    last = {c.period.id for c in unpaid if c.period.attempts >= _MOST_CHARGES}
    under_way = {c.period.id for c in unpaid if c.deal.slot.state is SlotState.FUNDING}
    noted = [c for c in unpaid if c.period.id in under_way - last]
    refused = _step(
        connection, noted, lambda case: rules_retainer_period.note_charge(case, _COMMAND, at), at
    )
    idle = [c for c in unpaid if c.period.id not in under_way]
    _charge(connection, [c for c in idle if c.period.id not in last], at)
    lapsed = [c for c in idle if c.period.id in last]
    refused |= _step(
        connection,
        lapsed,
        lambda case: rules_retainer_period.lapse(case, case.contract, _COMMAND, at),
        at,
    )
    return refused | (under_way & last)


def _start(connection: Connection, period_ids: Sequence[UUID], at: datetime) -> set[UUID]:
    cases = lock_cases(connection, period_ids)
    funded = [c for c in cases.values() if c.period.state is PeriodState.FUNDED]
    _step(
        connection, funded, lambda case: rules_retainer_period.begin(case.period, _COMMAND, at), at
    )
    return set()


def _close(connection: Connection, period_ids: Sequence[UUID], at: datetime) -> set[UUID]:
    """The periods are over; each is settled at once unless something is still to be decided."""
    cases = lock_cases(connection, period_ids)
    active = [c for c in cases.values() if c.period.state is PeriodState.ACTIVE]
    if active:
        _step(
            connection,
            active,
            lambda case: rules_retainer_period.close(case.period, _COMMAND, at),
            at,
        )
        cases = lock_cases(connection, period_ids)
    closing = [c for c in cases.values() if c.period.state is PeriodState.CLOSING]
    return _step(connection, closing, lambda case: settle(case, _COMMAND, at, new_id), at)


def _charge(connection: Connection, cases: Sequence[Case], at: datetime) -> None:
    """Charge; what is refused (a hold, an empty wallet) counts as a charge that failed."""

    def charge(case: Case) -> Moves:
        command = rules_retainer_period.charge_command(case, _COMMAND, new_id())
        return rules_retainer_period.charge(case, command, at)

    refused = _step(connection, cases, charge, at)
    failed = [case for case in cases if case.period.id in refused]
    _step(
        connection, failed, lambda case: rules_retainer_period.note_charge(case, _COMMAND, at), at
    )


def _step(
    connection: Connection, cases: Sequence[Case], decide: Callable[[Case], Moves], at: datetime
) -> set[UUID]:
    """One step of each case; the periods whose step was refused."""
    outcomes = act_all(connection, [partial(decide, case) for case in cases], at=at)
    return {c.period.id for c, o in zip(cases, outcomes, strict=True) if not o.is_done}


def _again(connection: Connection, due: Sequence[DueTimer], at: datetime) -> None:
    timers.arm(
        connection, [Arm(each.subject, each.kind, at + AGAIN, each.subject_version) for each in due]
    )


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
