"""Decisions on retainers as a whole: offer, accept, notice, the next period."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from escrow.machine import CONTRACTS, Timer, Trigger
from escrow.machine_retainer import PERIODS, RETAINERS
from escrow.maths_retainer import first_number, span
from escrow.model import (
    Alarm,
    Contract,
    ContractState,
    Funding,
    Plan,
    Role,
    Slot,
    SlotState,
)
from escrow.model_hybrid import Price
from escrow.model_retainer import (
    Carried,
    Drawdown,
    DrawdownState,
    Moves,
    Period,
    PeriodState,
    Retainer,
    RetainerCommand,
    RetainerState,
)
from escrow.refusals import OtherPartyMustSign, StaleVersion
from escrow.rules import Deal, roles, step
from escrow.rules_deal import event
from kernel.commands import Command
from kernel.principals import PrincipalKind

AHEAD: Final = timedelta(days=3)
"""How long before its start a period is charged."""

CARRIED_LOTS: Final = 1_000
"""Lots 1 to this of a period's slot are kept for what is carried in, so that it is used first."""

_NAMED: Final = 255


@dataclass(frozen=True, slots=True)
class Case:
    """A period with its money and its neighbours, as locked.

    `before` is the period before it, `after` the next, with the next one's slot as `target`.
    `bills_hours_beside`: another term of the contract bills hours as well.
    """

    retainer: Retainer
    contract: Contract
    period: Period
    deal: Deal
    fundings: dict[UUID, Funding]
    drawdowns: tuple[Drawdown, ...] = ()
    carried: tuple[Carried, ...] = ()
    before: Period | None = None
    after: Period | None = None
    target: Deal | None = None
    bills_hours_beside: bool = False

    @property
    def waiting_minor(self) -> int:
        """What drawdowns that wait for the client would take."""
        return sum(
            each.amount_minor
            for each in self.drawdowns
            if each.state is DrawdownState.SUBMITTED and not each.exceeds
        )

    @property
    def available_minor(self) -> int:
        """What can still be drawn."""
        return self.deal.slot.held_minor - self.waiting_minor


def neighbours(periods: Sequence[Period], period: Period) -> tuple[Period | None, Period | None]:
    """The periods before and after it; those that were cancelled are passed over."""
    others = [each for each in periods if each.state is not PeriodState.CANCELLED]
    before = [each for each in others if each.number < period.number]
    after = [each for each in others if each.number > period.number]
    return (before[-1] if before else None), (after[0] if after else None)


def priced(retainer: Retainer, prices: Sequence[tuple[int, Price]], number: int) -> Retainer:
    """The retainer with the price of a period: that of the newest change that counts by then."""
    newest = [price for from_no, price in prices if from_no <= number]
    if not newest:
        return retainer
    price = newest[-1]
    terms = replace(
        retainer.terms,
        amount_minor=price.amount_minor,
        hourly_minor=price.hourly_minor,
        quota=price.quota,
    )
    return replace(retainer, terms=terms)


def subject_of(retainer: Retainer) -> str:
    """The retainer's name in events and timers."""
    return f"retainer:{retainer.id}"


def period_subject(period: Period) -> str:
    """The period's name in events and timers."""
    return f"period:{period.id}"


def retainer_facts(retainer: Retainer, **more: object) -> dict[str, Any]:
    """What an answer says of a retainer."""
    return {
        "retainer_id": str(retainer.id),
        "contract_id": str(retainer.contract_id),
        "state": retainer.state.value,
        "version": retainer.version,
        **more,
    }


def accept(
    retainer: Retainer,
    contract: Contract,
    command: RetainerCommand,
    at: datetime,
    *,
    slot_id: UUID,
    seq: int,
) -> Moves:
    """The other side signs: the terms are pinned and the first period is scheduled."""
    row, role = retainer_step(retainer, contract, Trigger.ACCEPT, command)
    if role is retainer.proposed_by:
        raise OtherPartyMustSign(retainer_id=str(retainer.id))
    contract_row, _ = step(
        CONTRACTS, contract.state, Trigger.ACCEPT, roles(command.actor, contract)
    )
    after = replace(
        retainer,
        state=RetainerState(row.to),
        version=retainer.version + 1,
        accepted_at=at,
    )
    number = first_number(retainer.terms, at)
    first = schedule(after, contract, number, command, at, slot_id=slot_id, seq=seq)
    drafts = [event(command, at, kind="retainer.accepted", subject=subject_of(after))]
    moved: tuple[tuple[Contract, Contract], ...] = ()
    if contract.state is ContractState.DRAFT:
        running = replace(
            contract,
            state=ContractState(contract_row.to),
            version=contract.version + 1,
            accepted_at=at,
        )
        moved = ((contract, running),)
        drafts.append(
            event(command, at, kind="contract.accepted", subject=f"contract:{contract.id}")
        )
    plan = replace(
        first.plan,
        drafts=(*drafts, *first.plan.drafts),
        facts=retainer_facts(after, period_id=str(slot_id)),
        moved_contracts=moved,
    )
    return replace(first, plan=plan, moved_retainers=((retainer, after),))


def schedule(
    retainer: Retainer,
    contract: Contract,
    number: int,
    command: Command,
    at: datetime,
    *,
    slot_id: UUID,
    seq: int,
) -> Moves:
    """Period `number` with the slot that will hold its money; charged three days ahead."""
    row = PERIODS[None, Trigger.SCHEDULE]
    found = span(retainer.terms, number, shift_days=retainer.shift_days)
    period = Period(
        slot_id,
        retainer.id,
        contract.id,
        number,
        found.first_on,
        found.next_on,
        found.starts_at,
        found.ends_at,
        PeriodState(row.to),
        1,
    )
    slot = _slot_of(period, retainer, contract, at, seq=seq)
    detail = {
        "retainer_id": str(retainer.id),
        "number": number,
        "starts_at": found.starts_at.isoformat(),
        "ends_at": found.ends_at.isoformat(),
        "amount_minor": slot.amount_minor,
    }
    subject = period_subject(period)
    return Moves(
        plan=Plan(
            drafts=(event(command, at, kind="period.scheduled", subject=subject, detail=detail),),
            slots=(slot,),
            titles=(None,),
            alarms=(Alarm(subject, Timer.PERIOD_OPEN, found.starts_at - AHEAD, number),),
        ),
        periods=(period,),
    )


def _slot_of(
    period: Period, retainer: Retainer, contract: Contract, at: datetime, *, seq: int
) -> Slot:
    return Slot(
        id=period.id,
        term_id=retainer.id,
        contract_id=contract.id,
        currency=contract.currency,
        seq=seq,
        proposed_by=retainer.proposed_by,
        state=SlotState.AWAITING_FUNDING,
        version=1,
        amount_minor=retainer.terms.amount_minor,
        created_at=at,
        active_at=at,
        due_at=period.ends_at,
        lot_count=CARRIED_LOTS,
    )


def decline(
    retainer: Retainer, contract: Contract, command: RetainerCommand, at: datetime
) -> Moves:
    """Either side drops an offer that nobody accepted."""
    row, _ = retainer_step(retainer, contract, Trigger.CANCEL, command)
    return _end(retainer, RetainerState(row.to), "retainer.declined", command, at)


def give_notice(
    retainer: Retainer, contract: Contract, command: RetainerCommand, at: datetime
) -> Moves:
    """One side cancels: the retainer ends when the notice is over, or when the other agrees.

    The engine's notice is none: both agreed, or an operator ended the contract.
    """
    row, role = retainer_step(retainer, contract, Trigger.GIVE_NOTICE, command)
    is_agreed = role is Role.SYSTEM
    ends_at = at if is_agreed else at + timedelta(days=retainer.terms.notice_days)
    after = replace(
        retainer,
        state=RetainerState(row.to),
        version=retainer.version + 1,
        cancel_asked_by=retainer.cancel_asked_by if is_agreed else role,
        ends_at=ends_at,
    )
    subject = subject_of(retainer)
    detail = {"by": role.value, "ends_at": ends_at.isoformat()}
    draft = event(command, at, kind="retainer.notice_given", subject=subject, detail=detail)
    plan = Plan(
        drafts=(draft,),
        facts=retainer_facts(after, ends_at=ends_at.isoformat()),
        alarms=(Alarm(subject, Timer.RETAINER_ENDS, ends_at, 0),),
    )
    return Moves(plan=plan, moved_retainers=((retainer, after),))


def is_at_once(retainer: Retainer, contract: Contract, command: RetainerCommand) -> bool:
    """Whether a cancellation needs no notice: an operator's, the second party's, or by the terms.

    The engine's own comes when the notice is over.
    """
    mine = roles(command.actor, contract)
    if not {Role.CLIENT, Role.PAYEE} & set(mine):
        return True
    if retainer.state is RetainerState.ENDING:
        return retainer.cancel_asked_by not in mine
    return retainer.terms.notice_days == 0


def end(retainer: Retainer, contract: Contract, command: RetainerCommand, at: datetime) -> Moves:
    """The retainer is over; its periods are cancelled in the same act.

    Refuses: `escrow.other_party_must_sign` for who gave notice himself and will not wait.
    """
    row, _ = retainer_step(retainer, contract, Trigger.CANCEL, command)
    is_early = retainer.ends_at is not None and at < retainer.ends_at
    by_engine = command.actor.kind is PrincipalKind.SYSTEM
    if not is_at_once(retainer, contract, command) or (by_engine and is_early):
        raise OtherPartyMustSign(retainer_id=str(retainer.id))
    return _end(retainer, RetainerState(row.to), "retainer.ended", command, at)


def retainer_step(
    retainer: Retainer, contract: Contract, trigger: Trigger, command: RetainerCommand
) -> tuple[Any, Role]:
    """The row of the table for this retainer, its version checked."""
    found = step(
        RETAINERS,
        retainer.state,
        trigger,
        roles(command.actor, contract),
        retainer_id=str(retainer.id),
    )
    if command.version not in {None, retainer.version}:
        raise StaleVersion(
            retainer_id=str(retainer.id), version=retainer.version, given=command.version
        )
    return found


def _end(retainer: Retainer, to: RetainerState, kind: str, command: Command, at: datetime) -> Moves:
    after = replace(retainer, state=to, version=retainer.version + 1, ends_at=at)
    subject = subject_of(retainer)
    plan = Plan(
        drafts=(event(command, at, kind=kind, subject=subject),),
        facts=retainer_facts(after),
        cancelled=((subject, Timer.RETAINER_ENDS),),
    )
    return Moves(plan=plan, moved_retainers=((retainer, after),))
