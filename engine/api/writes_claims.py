"""The commands on what payees give back and owe: refund after release, write-offs, the rules."""

from typing import Annotated, Any, Final

from pydantic import Field

from engine.api.access import Scope
from engine.api.answers import SlotActed
from engine.api.answers_claims import ClaimActed, ClaimRulesActed
from engine.api.calls import Given, Nothing, Subject, Write
from engine.api.models import Amount, Currency, Reference, Request, Text, Version
from engine.api.writes_slots import SLOT
from escrow.model_chargeback import RefundLater
from escrow.model_claim import ApproveWriteOff, ProposeWriteOff, SetClaimRules
from escrow.refusals_claim import UnknownClaim
from kernel.commands import Command
from kernel.ids import new_id

CLAIM: Final = Subject("claim", "claim_id", UnknownClaim)


class RefundLaterBody(Request):
    """How much of what was released goes back; an operator names the payee's agreement."""

    amount: Amount
    agreement_ref: Reference | None = None
    version: Version | None = None
    reason: Text = ""


class WriteOffBody(Request):
    """Why nobody will pay it."""

    reason: Annotated[Text, Field(min_length=1)]


class ClaimRulesBody(Request):
    """Whether refunds are fronted, and the most of a release that goes to claims."""

    currency: Currency
    fronts_refunds: bool
    recovery_bps: Annotated[int, Field(ge=0, le=10_000)]


def _refund_later(given: Given[RefundLaterBody]) -> Command:
    body = given.body
    return RefundLater(
        actor=given.actor,
        slot_id=given.ids["slot_id"],
        amount_minor=body.amount.minor(given.currency),
        agreement_ref=body.agreement_ref or "",
        version=body.version,
        reason=body.reason,
    )


def _propose(given: Given[WriteOffBody]) -> Command:
    return ProposeWriteOff(
        actor=given.actor,
        claim_id=given.ids["claim_id"],
        write_off_id=new_id(),
        reason=given.body.reason,
    )


def _approve(given: Given[Nothing]) -> Command:
    return ApproveWriteOff(actor=given.actor, claim_id=given.ids["claim_id"])


def _rules(given: Given[ClaimRulesBody]) -> Command:
    body = given.body
    return SetClaimRules(
        actor=given.actor,
        currency=body.currency,
        fronts_refunds=body.fronts_refunds,
        recovery_bps=body.recovery_bps,
    )


CLAIMS: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/slots/{slot_id}/refund_later",
        service="escrow.refund_later",
        scope=Scope.MONEY_WRITE,
        body=RefundLaterBody,
        command=_refund_later,
        answer=SlotActed,
        summary="Send released money back (payee, or an operator with his agreement)",
        subject=SLOT,
        needs_currency=True,
    ),
    Write(
        path="/v1/claims/{claim_id}/write_offs",
        service="escrow.propose_write_off",
        scope=Scope.MONEY_WRITE,
        body=WriteOffBody,
        command=_propose,
        answer=ClaimActed,
        summary="Propose to write a claim off (an operator in person)",
        status=201,
        subject=CLAIM,
    ),
    Write(
        path="/v1/claims/{claim_id}/approve_write_off",
        service="escrow.approve_write_off",
        scope=Scope.MONEY_WRITE,
        body=Nothing,
        command=_approve,
        answer=ClaimActed,
        summary="Approve the write-off that waits (another operator in person)",
        subject=CLAIM,
    ),
    Write(
        path="/v1/claim_rules",
        service="escrow.set_claim_rules",
        scope=Scope.MONEY_WRITE,
        body=ClaimRulesBody,
        command=_rules,
        answer=ClaimRulesActed,
        summary="Set whether refunds are fronted, and the cap of recoveries (in person)",
    ),
)
"""Every command on refunds after release and claims."""
