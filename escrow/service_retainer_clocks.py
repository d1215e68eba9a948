"""What the clocks of retainers set off: charges, retries, starts, ends, reviews, notices over."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_retainer, rules_retainer_period, store, store_retainer
from escrow import rules_retainer_over as over
from escrow import service_retainer_locks as locks
from escrow.commands import FundingCommand
from escrow.machine import Timer
from escrow.machine_slot import WORKING
from escrow.model import ContractState, SlotState
from escrow.model_retainer import (
    DrawdownCommand,
    DrawdownState,
    Moves,
    PeriodState,
    RetainerCommand,
    RetainerState,
)
from escrow.rules_retainer import Case
from escrow.rules_retainer_period import is_over
from escrow.rules_retainer_settle import cancel, settle
from escrow.service_funding import expire_funding
from escrow.service_price import price_deals
from escrow.service_refund import lock_with_lots
from escrow.service_retainer import cancel_retainer, end_review
from escrow.service_retainer_batch import act_all, list_prices, lock_cases
from escrow.service_retainer_locks import id_of
from escrow.service_retainer_pause import pass_over
from escrow.service_waves import split_in_waves
from kernel import timers
from kernel.commands import Command
from kernel.ids import new_id
from kernel.principals import SYSTEM
from kernel.timers import Arm, DueTimer

AGAIN: Final = timedelta(days=1)
_COMMAND: Final = Command(actor=SYSTEM)
_MOST_CHARGES: Final = len(rules_retainer_period.RETRY_DAYS)
_PAID: Final = frozenset(
    {PeriodState.FUNDED, PeriodState.ACTIVE, PeriodState.CLOSING, PeriodState.SETTLED}
)


def ring_period(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Clocks of periods, in due order; those whose contract another transaction holds wait.

    What rings for different contracts is served together. Contracts are locked before slots, as
    every step of a retainer does.
    """
    contracts = locks.contracts_of_periods(connection, map(id_of, due))
    claimed = locks.claim(connection, due, contracts)
    again = []
    for wave in split_in_waves(claimed, lambda each: contracts[id_of(each)]):
        for kind, ring in _RINGS.items():
            rung = [each for each in wave if each.kind == f"escrow.{kind}"]
            waiting = ring(connection, [id_of(each) for each in rung], at) if rung else set()
            again += [each for each in rung if id_of(each) in waiting]
    _again(connection, again, at)
    return len(claimed)


def ring_drawdown(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Reviews that ran out in silence: the drawdown is paid, unless its period is over."""
    known = locks.contracts_of_drawdowns(connection, map(id_of, due))
    claimed = locks.claim(connection, due, known)
    ours = _in_state(connection, claimed, DrawdownState.SUBMITTED)
    commands = [DrawdownCommand(actor=SYSTEM, drawdown_id=id_of(each)) for each in ours]
    outcomes = end_review(connection, commands, at=at)
    refused = [each for each, o in zip(ours, outcomes, strict=True) if not o.is_done]
    _again(connection, _of_open_periods(connection, refused), at)
    return len(claimed)


def ring_retainer(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Notices that are over: the retainer ends."""
    known = locks.contracts_of_retainers(connection, map(id_of, due))
    claimed = locks.claim(connection, due, known)
    for timer in claimed:
        (retainer,) = store_retainer.find_retainers(connection, [id_of(timer)])
        command = RetainerCommand(actor=SYSTEM, retainer_id=retainer.id)
        runs_out = retainer.state is RetainerState.ENDING
        if runs_out and not cancel_retainer(connection, [command], at=at)[0].is_done:
            _again(connection, [timer], at)
    return len(claimed)


def ring_overage(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """What exceeds a period: charged, charged again, paid to the payee, or given up."""
    known = locks.contracts_of_drawdowns(connection, map(id_of, due))
    claimed = locks.claim(connection, due, known)
    for timer in _in_state(connection, claimed, DrawdownState.CHARGING):
        if not _collect(connection, id_of(timer), at):
            _again(connection, [timer], at)
    return len(claimed)


def _of_open_periods(connection: Connection, due: Sequence[DueTimer]) -> list[DueTimer]:
    """Those of the drawdowns' timers whose period still holds money, or may."""
    drawdowns = store_retainer.find_drawdowns(connection, [id_of(each) for each in due])
    periods = store_retainer.find_periods(connection, [each.period_id for each in drawdowns])
    lasting = {each.id for each in periods if not is_over(each)}
    wanted = {each.id for each in drawdowns if each.period_id in lasting}
    return [each for each in due if id_of(each) in wanted]


def _in_state(
    connection: Connection, claimed: Sequence[DueTimer], state: DrawdownState
) -> list[DueTimer]:
    """Those of the timers whose drawdown is in a state."""
    found = store_retainer.find_drawdowns(connection, [id_of(each) for each in claimed])
    wanted = {each.id for each in found if each.state is state}
    return [each for each in claimed if id_of(each) in wanted]


def _collect(connection: Connection, drawdown_id: UUID, at: datetime) -> bool:
    """One step towards the money for what exceeds a period; False: look again in a day."""
    case = _lock_over(connection, drawdown_id, at)
    if case.deal.slot.state is SlotState.FUNDING:
        _give_up_stale(connection, [case.deal.slot.id], at)
        case = _lock_over(connection, drawdown_id, at)
    is_last = case.drawdown.attempts >= _MOST_CHARGES
    if case.deal.slot.state in WORKING:
        steps = [lambda: over.pay(case, at, new_id())]
    elif case.deal.slot.state is SlotState.FUNDING and not is_last:
        steps = [lambda: over.note_charge(case, _COMMAND, at)]
    elif case.deal.slot.state is SlotState.AWAITING_FUNDING and is_last:
        steps = [lambda: over.give_up(case, _COMMAND, at)]
    elif case.deal.slot.state is SlotState.AWAITING_FUNDING:
        steps = [lambda: _charge_over(case, at), lambda: over.note_charge(case, _COMMAND, at)]
    else:
        return False
    return any(act_all(connection, [step], at=at)[0].is_done for step in steps)


def _charge_over(case: over.OverCase, at: datetime) -> Moves:
    command = rules_retainer_period.charge_command(case.case, _COMMAND, new_id())
    return over.charge(case, replace(command, slot_id=case.deal.slot.id), at)


def _lock_over(connection: Connection, drawdown_id: UUID, at: datetime) -> over.OverCase:
    """What exceeds a period, with the slot that it is charged to."""
    (found,) = store_retainer.find_drawdowns(connection, [drawdown_id])
    case = lock_cases(connection, [found.period_id])[found.period_id]
    (drawdown,) = [each for each in case.drawdowns if each.id == drawdown_id]
    assert drawdown.slot_id is not None
    deals, _ = lock_with_lots(connection, [drawdown.slot_id])
    price_deals(connection, deals.values(), at=at)
    return over.OverCase(case, drawdown, deals[drawdown.slot_id])


def _open(connection: Connection, period_ids: Sequence[UUID], at: datetime) -> set[UUID]:
    """Three days ahead: charge these periods, and schedule the next ones.

    An ending contract, and a retainer whose notice is over by then, open no further period.
    What the client has paid ahead is not charged, and lets the next one be scheduled all the same.
    A period that went by while its contract was paused is passed over; a payment that the client
    has begun is waited for.
    """
    cases = lock_cases(connection, period_ids)
    paid = [c for c in cases.values() if c.period.state in _PAID and not _is_ending(c)]
    waiting = [c for c in cases.values() if c.period.state is PeriodState.SCHEDULED]
    paused = {c.period.id for c in waiting if c.contract.state is ContractState.PAUSED}
    over = [c for c in waiting if c.period.id not in paused and _is_ending(c)]
    lasting = [c for c in waiting if c.period.id not in paused and not _is_ending(c)]
    charged = [c for c in lasting if c.period.ends_at > at]
    gone = [c for c in lasting if c.period.ends_at <= at]
    begun = {c.period.id for c in gone if c.deal.slot.state is SlotState.FUNDING}
    refused = _step(connection, over, lambda case: cancel(case, _COMMAND, at, new_id), at)
    for case in gone:
        if case.period.id not in begun:
            pass_over(connection, case.period, at)
    _charge(connection, charged, at)
    _schedule_next(connection, [case for case in (*charged, *paid) if case.after is None], at)
    return paused | refused | begun


def _schedule_next(connection: Connection, lasting: Sequence[Case], at: datetime) -> None:
    """The periods after these, which are the last of their retainers."""
    slots = store_retainer.count_slots(connection, [case.contract.id for case in lasting])
    prices = list_prices(connection, [case.retainer.id for case in lasting])

    def schedule(case: Case) -> Moves:
        mine = prices.get(case.retainer.id, ())
        return rules_retainer.schedule(
            rules_retainer.priced(case.retainer, mine, case.period.number + 1),
            case.contract,
            case.period.number + 1,
            _COMMAND,
            at,
            slot_id=new_id(),
            seq=slots.get(case.contract.id, 0) + 1,
        )

    _step(connection, lasting, schedule, at)


def _is_ending(case: Case) -> bool:
    """Whether the retainer or its contract will be over when the period begins."""
    ends_at = case.retainer.ends_at
    is_ending = ends_at is not None and ends_at <= case.period.starts_at
    runs = case.contract.state in {ContractState.ACTIVE, ContractState.PAUSED}
    return case.retainer.state is RetainerState.ENDED or is_ending or not runs


def _retry(connection: Connection, period_ids: Sequence[UUID], at: datetime) -> set[UUID]:
    """Charge again, three times; then the grace is over. Money on its way is waited for.

    A period that went by meanwhile, in a pause, is not charged any more.
    """
    cases = lock_cases(connection, period_ids)
    waiting = [c for c in cases.values() if c.period.state is PeriodState.FUNDING]
    paused = {c.period.id for c in waiting if c.contract.state is ContractState.PAUSED}
    _give_up_stale(connection, [c.period.id for c in waiting if c.period.id not in paused], at)
    cases = lock_cases(connection, [c.period.id for c in waiting if c.period.id not in paused])
    unpaid = list(cases.values())
    last = {c.period.id for c in unpaid if c.period.attempts >= _MOST_CHARGES}
    under_way = {c.period.id for c in unpaid if c.deal.slot.state is SlotState.FUNDING}
    noted = [c for c in unpaid if c.period.id in under_way - last]
    refused = _step(
        connection, noted, lambda case: rules_retainer_period.note_charge(case, _COMMAND, at), at
    )
    gone = [c for c in unpaid if c.period.id not in under_way and c.period.ends_at <= at]
    refused |= _step(connection, gone, lambda case: cancel(case, _COMMAND, at, new_id), at)
    idle = [c for c in unpaid if c.period.id not in under_way and c not in gone]
    _charge(connection, [c for c in idle if c.period.id not in last], at)
    lapsed = [c for c in idle if c.period.id in last]
    refused |= _step(
        connection,
        lapsed,
        lambda case: rules_retainer_period.lapse(case, case.contract, _COMMAND, at),
        at,
    )
    return refused | paused | (under_way & last)


def _start(connection: Connection, period_ids: Sequence[UUID], at: datetime) -> set[UUID]:
    cases = lock_cases(connection, period_ids)
    funded = [c for c in cases.values() if c.period.state is PeriodState.FUNDED]
    _step(
        connection, funded, lambda case: rules_retainer_period.begin(case.period, _COMMAND, at), at
    )
    return set()


def _close(connection: Connection, period_ids: Sequence[UUID], at: datetime) -> set[UUID]:
    """The periods are over; each is settled at once unless something is still to be decided."""
    cases = lock_cases(connection, period_ids, priced_at=at)
    active = [c for c in cases.values() if c.period.state is PeriodState.ACTIVE]
    if active:
        _step(
            connection,
            active,
            lambda case: rules_retainer_period.close(case.period, _COMMAND, at),
            at,
        )
        cases = lock_cases(connection, period_ids, priced_at=at)
    closing = [c for c in cases.values() if c.period.state is PeriodState.CLOSING]
    return _step(connection, closing, lambda case: settle(case, _COMMAND, at, new_id), at)


def _give_up_stale(connection: Connection, slot_ids: Sequence[UUID], at: datetime) -> None:
    """Payments that nobody will complete any more make room for the next charge."""
    open_ids = store_retainer.find_open_fundings(connection, slot_ids)
    stale = [
        FundingCommand(actor=SYSTEM, funding_id=each.id)
        for each in store.find_fundings(connection, open_ids)
        if rules_retainer_period.is_stale(each, at)
    ]
    expire_funding(connection, stale, at=at)


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
        f"escrow.{Timer.OVERAGE_CHARGE}": ring_overage,
        f"escrow.{Timer.RETAINER_ENDS}": ring_retainer,
    }
)
"""The kinds of timers that retainers set, for the engine's table of handlers."""
