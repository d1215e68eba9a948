"""How a step on a payout is decided: its row of the table, its guards, and the payout after it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from kernel.errors import Broken, Refusal
from kernel.principals import RAIL, Actor
from payouts.commands import PayoutCommand
from payouts.desk import Desk, Move, draft_of
from payouts.machine import Guard, Transition, Trigger, step
from payouts.model import Payout, PayoutState
from payouts.refusals import (
    BankShort,
    NeedsApproval,
    NeedsNoApproval,
    NoPayeeAccount,
    NotSanctioned,
    ProcessorShort,
    SubjectTwice,
    UnknownPayee,
    UnknownPayout,
)
from payouts.rules import check_approver, check_method, check_payee, comes_too_late, role_of
from rails.capabilities import capabilities_of
from rails.model import RailResult

_ENDS = frozenset(
    {PayoutState.FAILED, PayoutState.RETURNED, PayoutState.CANCELLED, PayoutState.BLOCKED}
)
_GONE = frozenset(
    {PayoutState.IN_TRANSIT, PayoutState.UNCLAIMED, PayoutState.PAID, PayoutState.RETURNED}
)


def check_once(payout_id: UUID, desk: Desk) -> None:
    """Refuse what one list names twice."""
    if payout_id in desk.twice:
        raise SubjectTwice(payout_id=str(payout_id))


def advance(command: PayoutCommand, trigger: Trigger, desk: Desk) -> Move:
    """A person's or the engine's own step on a payout that is on the desk."""
    check_once(command.payout_id, desk)
    payout = desk.payouts.get(command.payout_id)
    if payout is None:
        raise UnknownPayout(payout_id=str(command.payout_id))
    transition = step(payout.state, trigger, role_of(command.actor, payout.payee_id))
    check_guards(transition, payout, desk, command.actor)
    moved = replace(
        payout,
        state=transition.to,
        version=payout.version + 1,
        ended_at=desk.at if transition.to in _ENDS else None,
        **_changes(trigger, payout, desk, command.actor),
    )
    draft = draft_of(transition, moved, command.actor, desk.at, reason=command.reason)
    return Move(moved, payout.state, draft)


def heard(payout: Payout, trigger: Trigger, result: RailResult, at: datetime) -> Move:
    """A rail's step on a payout; Broken where the machine has none, or it comes too late."""
    try:
        transition = step(payout.state, trigger, role_of(RAIL, payout.payee_id))
    except Refusal as refusal:
        raise Broken("a rail moved a payout as it cannot", why=str(refusal)) from refusal
    if trigger is Trigger.RETURN and comes_too_late(payout, at):
        raise Broken(
            "a payout came back after more than thirteen months: somebody must look",
            payout_id=str(payout.id),
        )
    is_paid = trigger in (Trigger.CONFIRM, Trigger.RETURN)
    moved = replace(
        payout,
        state=transition.to,
        version=payout.version + 1,
        rail_ref=result.rail_ref or payout.rail_ref,
        code=result.code,
        charge_minor=result.fee_minor if trigger is Trigger.RETURN else 0,
        left_at=payout.left_at or (at if transition.to in _GONE else None),
        paid_at=payout.paid_at or (at if is_paid else None),
        ended_at=at if transition.to in _ENDS else None,
    )
    return Move(moved, payout.state, draft_of(transition, moved, RAIL, at, told=told_by(result)))


def told_by(result: RailResult) -> dict[str, str]:
    """What a rail said, for the auditor."""
    return {
        "rail_ref": result.rail_ref,
        "code": result.code,
        "occurred_at": result.occurred_at.isoformat(),
    }


def check_guards(transition: Transition, payout: Payout, desk: Desk, actor: Actor) -> None:
    """Refuse where a guard of the row does not hold; the money is taken from the purse last."""
    guards = transition.guards
    standing = desk.standings.get(payout.payee_id)
    if Guard.PAYEE_CLEAR in guards:
        if standing is None:
            raise UnknownPayee(payee_id=str(payout.payee_id))
        check_payee(payout.payee_id, standing)
    if Guard.SANCTIONED in guards and (standing is None or standing.sanction_state == "clear"):
        raise NotSanctioned(payee_id=str(payout.payee_id))
    if Guard.METHOD_USABLE in guards:
        method = desk.methods.get(payout.method_id)
        check_method(method, method_id=payout.method_id, payee_id=payout.payee_id, at=desk.at)
    needs_another = desk.policy.of(payout.currency).needs_second_person(payout.amount_minor)
    if Guard.WITHIN_LIMIT in guards and needs_another:
        raise NeedsApproval(payout_id=str(payout.id))
    if Guard.ABOVE_LIMIT in guards and not needs_another:
        raise NeedsNoApproval(payout_id=str(payout.id))
    if Guard.SECOND_PERSON in guards:
        check_approver(payout, actor)
    if Guard.MONEY_IS_THERE in guards:
        _take_from_purse(payout, desk)


def pays_from(payout: Payout, desk: Desk) -> str:
    """The rail account that a payout leaves from; empty for the custody bank.

    Refuses where the rail pays from accounts of payees and this payee has none that may be.
    """
    able = capabilities_of(payout.rail)
    if able.separate_payout:
        return ""
    if not able.payee_accounts:
        return able.rail_account
    account = desk.accounts.get((payout.payee_id, payout.rail))
    if account is None or not (account.may_receive and account.may_be_paid_out):
        raise NoPayeeAccount(payee_id=str(payout.payee_id), rail=payout.rail)
    return account.rail_account


def _take_from_purse(payout: Payout, desk: Desk) -> None:
    source = pays_from(payout, desk).partition(":")[0]
    there_minor = desk.purse.get((source, payout.currency), 0)
    if payout.net_minor > there_minor:
        facts = {"payout_id": str(payout.id), "net_minor": payout.net_minor}
        raise ProcessorShort(**facts, rail=source) if source else BankShort(**facts)
    desk.purse[source, payout.currency] = there_minor - payout.net_minor


def _changes(trigger: Trigger, payout: Payout, desk: Desk, actor: Actor) -> Mapping[str, Any]:
    if trigger is Trigger.SUBMIT:
        screened_at = payout.screened_at or desk.at
        source = pays_from(payout, desk)
        return {"submitted_at": desk.at, "screened_at": screened_at, "paid_from": source}
    if trigger is Trigger.APPROVE:
        return {"screened_at": desk.at, "approved_by": actor.principal_id}
    return {}
