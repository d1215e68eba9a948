"""How the steps of contracts, payments, claims, retainers and amendments are asked for."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from escrow import (
    service,
    service_claims,
    service_dispute,
    service_hybrid,
    service_retainer,
    service_retainer_pause,
    store_retainer,
)
from escrow.commands import (
    AddMilestones,
    ContractCommand,
    FundingCommand,
    Milestone,
    ReleaseCommand,
    Tip,
)
from escrow.machine import Trigger
from escrow.machine_retainer import PERIODS
from escrow.model import Contract, ContractState, Funding, Release
from escrow.model_claim import ApproveWriteOff, Claim, ProposeWriteOff
from escrow.model_hybrid import TermAmendment, TermAmendmentCommand
from escrow.model_retainer import (
    Draw,
    Drawdown,
    DrawdownCommand,
    Moves,
    Period,
    PeriodState,
    Retainer,
    RetainerCommand,
    RetainerKind,
    RetainerState,
)
from escrow.rules_retainer_settle import cancel
from escrow.store_options import find_open_dispute
from escrow.ways_slot import SAMPLE, open_dispute
from kernel import clock
from kernel.commands import Command, Outcome
from kernel.ids import new_id
from kernel.options import Way
from kernel.principals import Actor

_T = Trigger
_REASON: Final = ("a reason",)


def _contract(_connection: Connection, actor: Actor, contract: Contract) -> Command:
    return ContractCommand(actor=actor, contract_id=contract.id)


def _funding(_connection: Connection, actor: Actor, funding: Funding) -> Command:
    return FundingCommand(actor=actor, funding_id=funding.id)


def _propose(_connection: Connection, actor: Actor, claim: Claim) -> Command:
    return ProposeWriteOff(actor=actor, claim_id=claim.id, write_off_id=new_id(), reason=SAMPLE)


def _approve(_connection: Connection, actor: Actor, claim: Claim) -> Command:
    return ApproveWriteOff(actor=actor, claim_id=claim.id)


def _retainer(_connection: Connection, actor: Actor, retainer: Retainer) -> Command:
    return RetainerCommand(actor=actor, retainer_id=retainer.id)


def _retainer_of(_connection: Connection, actor: Actor, period: Period) -> Command:
    return RetainerCommand(actor=actor, retainer_id=period.retainer_id)


def _drawdown(_connection: Connection, actor: Actor, drawdown: Drawdown) -> Command:
    return DrawdownCommand(actor=actor, drawdown_id=drawdown.id, reason=SAMPLE)


def _is_at_once(_connection: Connection, retainer: Retainer, actor: Actor) -> bool:
    """Whether to cancel is to end: a side of a running retainer gives notice, if there is one."""
    is_running = retainer.state is RetainerState.RUNNING
    return not is_running or actor.party_id is None or retainer.terms.notice_days == 0


def _each_period(
    connection: Connection, command: RetainerCommand, at: datetime
) -> Iterator[Callable[[], Outcome]]:
    """The periods that end with the retainer, each as it stands once those before it are over."""
    (retainer,) = store_retainer.find_retainers(connection, [command.retainer_id])
    if retainer.state is RetainerState.OFFERED:
        return
    over: Period | None = None
    for period in store_retainer.list_periods(connection, retainer.id):
        if (period.state, _T.CANCEL) not in PERIODS:
            continue

        def cancel_it(period: Period = period, before: Period | None = over) -> Outcome:
            def decide(given: RetainerCommand) -> Moves:
                case = service_retainer.lock_case(connection, period.id, at)
                seen = replace(case, before=before) if before else case
                return cancel(seen, given, at, new_id)

            return service_retainer.act(connection, command, decide, at=at)

        yield cancel_it
        over = replace(period, state=PeriodState.CANCELLED)


def _is_disputed(connection: Connection, contract: Contract, _actor: Actor) -> bool:
    """Whether a dispute runs, so that to end is to close disputed."""
    is_new = contract.state is ContractState.DRAFT
    return not is_new and find_open_dispute(connection, contract.id) is not None


def _release(_connection: Connection, actor: Actor, release: Release) -> Command:
    return ReleaseCommand(actor=actor, release_id=release.id)


def _set_aside(_connection: Connection, actor: Actor, release: Release) -> Command:
    return open_dispute(actor, release.slot_id or new_id(), release_id=release.id)


def _amendment(_connection: Connection, actor: Actor, offer: TermAmendment) -> Command:
    return TermAmendmentCommand(actor=actor, amendment_id=offer.id, reason=SAMPLE)


AMENDMENT_WAYS: Final[Mapping[Trigger, Way]] = {
    _T.ACCEPT: Way(service_hybrid.sign_term_amendment, _amendment),
    _T.REJECT: Way(service_hybrid.reject_term_amendment, _amendment, _REASON),
    _T.WITHDRAW: Way(service_hybrid.withdraw_term_amendment, _amendment),
}

CONTRACT_WAYS: Final[Mapping[Trigger, Way]] = {
    _T.ACCEPT: Way(service.accept, _contract),
    _T.PAUSE: Way(service.pause, _contract),
    _T.RESUME: Way(service.resume, _contract),
    _T.END: Way(service.end, _contract, applies=lambda *given: not _is_disputed(*given)),
    _T.END_DISPUTED: Way(service.end, _contract, applies=_is_disputed),
    _T.CLOSE: Way(service.close, _contract),
}

RELEASE_WAYS: Final[Mapping[Trigger, Way]] = {
    _T.SET_ASIDE: Way(service_dispute.open_dispute, _set_aside, (*_REASON, "an amount")),
    _T.HOLD_ENDS: Way(service.end_security_hold, _release),
}

FUNDING_WAYS: Final[Mapping[Trigger, Way]] = {
    _T.CANCEL: Way(service.cancel_funding, _funding),
    _T.EXPIRE: Way(service.expire_funding, _funding),
    _T.CREDIT: Way(service.credit_receipt, _funding),
}

CLAIM_WAYS: Final[Mapping[Trigger, Way]] = {
    _T.PROPOSE_WRITE_OFF: Way(service_claims.propose_write_off, _propose, _REASON),
    _T.APPROVE_WRITE_OFF: Way(service_claims.approve_write_off, _approve),
}

RETAINER_WAYS: Final[Mapping[Trigger, Way]] = {
    _T.ACCEPT: Way(service_retainer.accept_retainer, _retainer),
    _T.GIVE_NOTICE: Way(
        service_retainer.cancel_retainer,
        _retainer,
        applies=lambda _, retainer, __: retainer.terms.notice_days > 0,
    ),
    _T.CANCEL: Way(
        service_retainer.cancel_retainer, _retainer, applies=_is_at_once, parts=_each_period
    ),
}

PERIOD_WAYS: Final[Mapping[Trigger, Way]] = {
    _T.PAUSE: Way(
        service_retainer_pause.pause_retainer,
        _retainer_of,
        ("the other side's consent",),
        applies=lambda _, period, __: period.state is PeriodState.ACTIVE,
        is_half=lambda _: True,
    ),
    _T.RESUME: Way(
        service_retainer_pause.resume_retainer,
        _retainer_of,
        applies=lambda _, period, __: period.state is PeriodState.PAUSED,
    ),
}

DRAWDOWN_WAYS: Final[Mapping[Trigger, Way]] = {
    _T.APPROVE: Way(
        service_retainer.approve_drawdown,
        _drawdown,
        applies=lambda _, drawdown, __: not drawdown.exceeds,
    ),
    _T.BILL: Way(
        service_retainer.approve_drawdown,
        _drawdown,
        applies=lambda _, drawdown, __: drawdown.exceeds,
    ),
    _T.REVIEW_ENDS: Way(
        service_retainer.end_review,
        _drawdown,
        applies=lambda _, drawdown, __: not drawdown.exceeds,
    ),
    _T.REJECT: Way(service_retainer.reject_drawdown, _drawdown, _REASON),
    _T.WITHDRAW: Way(service_retainer.withdraw_drawdown, _drawdown),
}


def _more(_connection: Connection, actor: Actor, contract: Contract) -> Command:
    offer = Milestone(slot_id=new_id(), amount_minor=1)
    return AddMilestones(actor=actor, contract_id=contract.id, milestones=(offer,))


def _tip(_connection: Connection, actor: Actor, contract: Contract) -> Command:
    return Tip(actor=actor, contract_id=contract.id, funding_id=new_id(), amount_minor=1)


def _draw(connection: Connection, actor: Actor, period: Period) -> Command:
    """A piece, or the minute that has just passed."""
    (retainer,) = store_retainer.find_retainers(connection, [period.retainer_id])
    is_hours = retainer.terms.kind is RetainerKind.HOURS_DRAWDOWN
    end = min(clock.now(connection), period.ends_at).replace(second=0, microsecond=0)
    minute = (end - timedelta(minutes=1), end)
    return Draw(
        actor=actor,
        period_id=period.id,
        drawdown_id=new_id(),
        message_ref=SAMPLE,
        over_id=new_id(),
        units=0 if is_hours else 1,
        hours=(minute,) if is_hours else (),
    )


def _other(_command: Command) -> bool:
    """What comes into being here moves nothing that is there already."""
    return True


MORE_MILESTONES: Final = Way(service.add_milestones, _more, ("a price",), is_half=_other)
TIP: Final = Way(service.tip, _tip, ("an amount", "a means of payment"), is_half=_other)
DRAW: Final = Way(service_retainer.draw_down, _draw, ("what was done", "a message"), is_half=_other)
