"""The commands that come before money leaves: verification, approval, payees' accounts, policy."""

from typing import Annotated, Any, Final

from pydantic import Field

from engine.api import answers_payouts as shapes
from engine.api.access import Scope
from engine.api.answers import PayoutAnswer
from engine.api.calls import Given, Nothing, Write
from engine.api.models import Amount, ReasonBody, Request, Text, Time
from engine.api.refusals import Invalid
from engine.api.writes_house import PAYEE, PAYOUT, payout_command
from kernel.commands import Command
from kernel.ids import new_id
from payouts.commands import ApprovePolicy, OpenPayeeAccount, PreparePolicy, VerifyMethod


class PayeeAccountBody(Request):
    """An account of a payee at a rail where payees have accounts.

    `replaces` opens one that takes the place of the present one.
    """

    rail: Annotated[str, Field(max_length=32, pattern="^[a-z][a-z0-9_]*$")]
    replaces: bool = False


class MethodPolicyBody(Request):
    """How old a method must be before it takes a payout, and whether it is verified before."""

    valid_from: Time
    cooling_days: Annotated[int, Field(ge=0, le=365)]
    needs_verifying: bool
    reason: Text = ""


class LimitPolicyBody(Request):
    """The limits of a currency: above which a second person approves, and the least paid out.

    What is left out is none.
    """

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    valid_from: Time
    approval_above: Amount | None = None
    minimum: Amount | None = None
    reason: Text = ""


def _verify(given: Given[ReasonBody]) -> Command:
    return VerifyMethod(
        actor=given.actor, method_id=given.ids["method_id"], reason=given.body.reason
    )


def _open_account(given: Given[PayeeAccountBody]) -> Command:
    return OpenPayeeAccount(
        actor=given.actor,
        account_id=new_id(),
        party_id=given.ids["party_id"],
        rail=given.body.rail,
        replaces=given.body.replaces,
    )


def method_policy(given: Given[MethodPolicyBody]) -> Command:
    """The command of a body on methods."""
    body = given.body
    return PreparePolicy(
        actor=given.actor,
        policy_id=new_id(),
        valid_from=body.valid_from,
        cooling_days=body.cooling_days,
        needs_verifying=body.needs_verifying,
        reason=body.reason,
    )


def limit_policy(given: Given[LimitPolicyBody]) -> Command:
    """The command of a body on a currency."""
    body = given.body
    for name, amount in (("approval_above", body.approval_above), ("minimum", body.minimum)):
        if amount is not None and amount.currency != body.currency:
            raise Invalid(errors=[{"field": name, "why": "another currency than the policy's"}])
    return PreparePolicy(
        actor=given.actor,
        policy_id=new_id(),
        currency=body.currency,
        valid_from=body.valid_from,
        approval_above_minor=body.approval_above.minor() if body.approval_above else None,
        minimum_minor=body.minimum.minor() if body.minimum else 0,
        reason=body.reason,
    )


def _approve_policy(given: Given[Nothing]) -> Command:
    return ApprovePolicy(actor=given.actor, policy_id=given.ids["policy_id"])


def _on_payout(verb: str, scope: Scope, summary: str) -> Write[ReasonBody]:
    return Write(
        path=f"/v1/payouts/{{payout_id}}/{verb}",
        service=f"payouts.{verb}",
        scope=scope,
        body=ReasonBody,
        command=payout_command,
        answer=PayoutAnswer,
        summary=summary,
        subject=PAYOUT,
    )


BEFORE_PAYOUTS: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/payout_methods/{method_id}/verify",
        service="payouts.verify_method",
        scope=Scope.PAYOUTS_WRITE,
        body=ReasonBody,
        command=_verify,
        answer=shapes.MethodStateAnswer,
        summary="Say that a method was checked to be the payee's (operator)",
    ),
    _on_payout("screen", Scope.PAYOUTS_WRITE, "Put a payout above the limit before another person"),
    _on_payout("approve", Scope.PAYOUTS_APPROVE, "Approve a payout (another operator in person)"),
    _on_payout("refuse", Scope.PAYOUTS_APPROVE, "Say no to a payout above the limit (operator)"),
    _on_payout("block", Scope.PAYOUTS_WRITE, "Stop a payout of a sanctioned payee (operator)"),
    Write(
        path="/v1/parties/{party_id}/payee_accounts",
        service="payouts.open_payee_account",
        scope=Scope.PAYOUTS_WRITE,
        body=PayeeAccountBody,
        command=_open_account,
        answer=shapes.PayeeAccountAnswer,
        summary="Open an account for a payee at a rail",
        status=201,
        subject=PAYEE,
    ),
    Write(
        path="/v1/payout_policies/methods",
        service="payouts.prepare_policy",
        scope=Scope.PAYOUTS_WRITE,
        body=MethodPolicyBody,
        command=method_policy,
        answer=shapes.PayoutPolicyAnswer,
        summary="Prepare how methods cool and are verified (operator)",
        status=201,
    ),
    Write(
        path="/v1/payout_policies/limits",
        service="payouts.prepare_policy",
        scope=Scope.PAYOUTS_WRITE,
        body=LimitPolicyBody,
        command=limit_policy,
        answer=shapes.PayoutPolicyAnswer,
        summary="Prepare the limits of payouts in a currency (operator)",
        status=201,
    ),
    Write(
        path="/v1/payout_policies/{policy_id}/approve",
        service="payouts.approve_policy",
        scope=Scope.PAYOUTS_APPROVE,
        body=Nothing,
        command=_approve_policy,
        answer=shapes.PayoutPolicyAnswer,
        summary="Let a prepared policy count (another operator in person)",
    ),
)
"""Every command between naming a method and sending money to it."""
