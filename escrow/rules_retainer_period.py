"""Decisions on one period: charge it, begin it, close it, divide its money, let it lapse."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from escrow.commands import Fund
from escrow.machine import Timer, Transition, Trigger
from escrow.machine_retainer import PERIODS
from escrow.model import (
    Alarm,
    Contract,
    ContractState,
    Funding,
    FundingState,
    Method,
    Plan,
    Role,
    SlotState,
)
from escrow.model_retainer import Moves, Period, PeriodState
from escrow.rules import Deal, step
from escrow.rules_deal import event, moved
from escrow.rules_funding import INTERACTIVE, fund
from escrow.rules_retainer import Case, period_subject
from kernel.commands import Command

_AT_HAND: Final = frozenset({Timer.FUND_INTERACTIVE, Timer.FUND_BANK})

RETRY_DAYS: Final = (1, 3, 5, 7)
"""Days after the first charge: three further charges, and the end of the grace."""

_OVER: Final = frozenset({PeriodState.SETTLED, PeriodState.LAPSED, PeriodState.CANCELLED})


def is_over(period: Period | None) -> bool:
    """Whether a period holds and will hold no money; a period that never was is over."""
    return period is None or period.state in _OVER


def charge_alone(deal: Deal, command: Fund, at: datetime) -> Plan:
    """A charge without the client at hand: it has the days of the retries, no 15 minutes."""
    plan = fund(deal, command, at)
    return replace(plan, alarms=tuple(each for each in plan.alarms if each.kind not in _AT_HAND))


def is_stale(funding: Funding, at: datetime) -> bool:
    """Whether a charge that is still open will not come to an end by itself.

    The bank needs its days, and a client who pays just now has his minutes.
    """
    waits_for_client = funding.state in {FundingState.CREATED, FundingState.REQUIRES_ACTION}
    is_ours = funding.method is not Method.BANK_TRANSFER
    return waits_for_client and is_ours and funding.created_at + INTERACTIVE <= at


def charge(case: Case, command: Fund, at: datetime) -> Moves:
    """Charge the period's amount by the pinned method, as for any slot (P01, P05)."""
    plan = charge_alone(case.deal, command, at)
    (_, slot) = plan.moved_slots[0]
    moves = note_charge(case, command, at)
    paid = slot.state is SlotState.FUNDED
    after = moves.moved_periods[0][1]
    alarms = (*plan.alarms, *moves.plan.alarms)
    return replace(
        moves,
        plan=replace(
            plan,
            drafts=(*plan.drafts, *moves.plan.drafts),
            facts={**plan.facts, "period_state": after.state.value},
            alarms=alarms,
            led=() if paid else (slot.id,),
        ),
        moved_periods=() if paid else moves.moved_periods,
    )


def note_charge(case: Case, command: Command, at: datetime) -> Moves:
    """A charge was tried; when the next is due. At the end of the grace the period lapses."""
    period = case.period
    row, _ = step(PERIODS, period.state, Trigger.START_FUNDING, (Role.SYSTEM,))
    first = period.opened_at or at
    attempts = period.attempts + 1
    after = replace(
        period,
        state=PeriodState(row.to),
        version=period.version + 1,
        attempts=attempts,
        opened_at=first,
    )
    due = first + timedelta(days=RETRY_DAYS[min(attempts, len(RETRY_DAYS)) - 1])
    subject = period_subject(period)
    detail = {"attempt": attempts, "next_at": due.isoformat()}
    return Moves(
        plan=Plan(
            drafts=(event(command, at, kind="period.charged", subject=subject, detail=detail),),
            facts={"period_id": str(period.id), "state": after.state.value},
            alarms=(Alarm(subject, Timer.FUND_RETRY, due, attempts),),
        ),
        moved_periods=((period, after),),
    )


def lapse(case: Case, contract: Contract, command: Command, at: datetime) -> Moves:
    """Nobody paid in time: the payee is told, and the contract is paused."""
    period, slot = case.period, case.deal.slot
    row, _ = step(PERIODS, period.state, Trigger.LAPSE, (Role.SYSTEM,))
    after = to_state(period, row)
    detail = {"told": "not funded, do not work", "attempts": period.attempts}
    drafts = [
        event(command, at, kind="period.lapsed", subject=period_subject(period), detail=detail),
        event(command, at, kind="slot.cancelled", subject=f"slot:{slot.id}"),
    ]
    paused: tuple[tuple[Contract, Contract], ...] = ()
    if contract.state is ContractState.ACTIVE:
        stopped = replace(contract, state=ContractState.PAUSED, version=contract.version + 1)
        paused = ((contract, stopped),)
        drafts.append(event(command, at, kind="contract.paused", subject=f"contract:{contract.id}"))
    return Moves(
        plan=Plan(
            drafts=tuple(drafts),
            facts={"period_id": str(period.id), "state": after.state.value},
            moved_contracts=paused,
            moved_slots=((slot, moved(slot, state=SlotState.CANCELLED)),),
            cancelled=stops(period, row),
            led=(slot.id,),
        ),
        moved_periods=((period, after),),
    )


def begin(period: Period, command: Command, at: datetime) -> Moves:
    """The period starts; its end is its next clock."""
    row, _ = step(PERIODS, period.state, Trigger.BEGIN, (Role.SYSTEM,))
    after = to_state(period, row)
    subject = period_subject(period)
    plan = Plan(
        drafts=(event(command, at, kind="period.began", subject=subject),),
        alarms=(Alarm(subject, Timer.PERIOD_CLOSE, period.ends_at, period.number),),
        cancelled=stops(period, row),
    )
    return Moves(plan=plan, moved_periods=((period, after),))


def close(period: Period, command: Command, at: datetime) -> Moves:
    """The period is over: no more is drawn, and what waits is decided before it is settled."""
    row, _ = step(PERIODS, period.state, Trigger.CLOSE_PERIOD, (Role.SYSTEM,))
    plan = Plan(drafts=(event(command, at, kind="period.closing", subject=period_subject(period)),))
    return Moves(plan=plan, moved_periods=((period, to_state(period, row)),))


def to_state(period: Period, row: Transition) -> Period:
    """The period one version on; a pause ends with whatever comes next."""
    return replace(period, state=PeriodState(row.to), version=period.version + 1, paused_at=None)


def stops(period: Period, row: Transition) -> tuple[tuple[str, str], ...]:
    """The period's clocks that a row of the table cancels."""
    return tuple((period_subject(period), timer) for timer in row.cancels)


def charge_command(case: Case, command: Command, funding_id: UUID) -> Fund:
    """The charge by the pinned method; by the engine."""
    terms = case.retainer.terms
    return Fund(
        actor=command.actor,
        slot_id=case.period.id,
        funding_id=funding_id,
        method=terms.method,
        method_token=terms.method_token,
        rail_account=terms.rail_account,
    )
