"""The commands on disputes: open, serve, answer, agree, judge, elect, decide, withdraw."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from engine.api.access import Scope
from engine.api.answers_disputes import DisputeActed, DisputeRulesActed
from engine.api.calls import Given, Subject, Write
from engine.api.models import Amount, Currency, Id, Reference, Request, Text, Version
from engine.api.refusals import CurrencyMismatch
from engine.api.writes_slots import SLOT
from escrow.model import Role
from escrow.model_dispute import (
    AcceptOffer,
    Appeal,
    DisputeCommand,
    FileEvidence,
    MakeOffer,
    OpenDispute,
    ProposeDecision,
    Recommend,
    Serve,
    SetDisputeRules,
)
from escrow.refusals_dispute import UnknownDispute
from kernel.commands import Command
from kernel.ids import new_id
from kernel.money import MAX_MINOR, NotPositive

DISPUTE: Final = Subject("dispute", "dispute_id", UnknownDispute)


class Share(Amount):
    """A share of what is frozen: an amount, or zero."""

    def minor(self, currency: str | None = None) -> int:
        """Minor units, zero too."""
        try:
            return super().minor(currency)
        except NotPositive:
            if currency is not None and self.currency != currency:
                raise CurrencyMismatch(currency=currency, given=self.currency) from None
            return 0


class OpenDisputeBody(Request):
    """How much of the slot is frozen (all, where nothing is said), and why.

    An operator names the claimant. `rejects_refund`: the payee refuses the refund asked for.
    `release_id`: the client disputes what was released, in its security hold; where the slot
    holds nothing, its newest release is meant.
    """

    amount: Amount | None = None
    claimant: Literal["client", "payee"] | None = None
    rejects_refund: bool = False
    release_id: Id | None = None
    version: Version | None = None
    reason: Annotated[Text, Field(min_length=1)]


class DisputeBody(Request):
    """A step of a dispute; name the version that you looked at, and it must be it."""

    version: Version | None = None
    reason: Text = ""


class AppealBody(DisputeBody):
    """Why the decision by silence shall not stand."""

    reason: Annotated[Text, Field(min_length=1)]


class ServeBody(DisputeBody):
    """By which channel the other side was told, and what proves it."""

    channel: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern="^[ -~]+$")]
    proof: Reference


class OfferBody(DisputeBody):
    """The payee's share of what is frozen; without it: go on as before."""

    payee: Share | None = None


class AcceptBody(DisputeBody):
    """Which offer of the other side."""

    offer_no: Annotated[int, Field(ge=1, le=2**31 - 1)]


class EvidenceBody(DisputeBody):
    """A document: its SHA-256, and your own name for it; never its content."""

    sha256: Annotated[str, StringConstraints(min_length=64, max_length=64, pattern="^[0-9a-f]+$")]
    reference: Reference


class RecommendBody(DisputeBody):
    """The payee's share that the mediator recommends."""

    payee: Share


class DecisionBody(Request):
    """The award: shares that sum to what is frozen, on the version that you looked at."""

    payee: Share
    client: Share
    award_ref: Reference
    version: Version
    reason: Text = ""


class ApproveDecisionBody(Request):
    """The version that you looked at: its newest proposal is what you approve."""

    version: Version
    reason: Text = ""


class DisputeRulesBody(Request):
    """Up to what a claim is small, and the fees as shares of the claim.

    `fee_bps`: what each side pays for arbitration; `small_fee_bps`: what who loses a small claim
    pays.
    """

    currency: Currency
    small_claim: Share
    fee_bps: Annotated[int, Field(ge=0, le=10_000)]
    small_fee_bps: Annotated[int, Field(ge=0, le=10_000)] = 0


def _open(given: Given[OpenDisputeBody]) -> Command:
    body = given.body
    return OpenDispute(
        actor=given.actor,
        dispute_id=new_id(),
        slot_id=given.ids["slot_id"],
        amount_minor=body.amount.minor(given.currency) if body.amount else None,
        claimant=Role(body.claimant) if body.claimant else None,
        rejects_refund=body.rejects_refund,
        release_id=body.release_id,
        version=body.version,
        reason=body.reason,
    )


def _facts(given: Given[Any]) -> dict[str, Any]:
    return {
        "actor": given.actor,
        "dispute_id": given.ids["dispute_id"],
        "version": given.body.version,
        "reason": given.body.reason,
    }


def _step(given: Given[DisputeBody]) -> Command:
    return DisputeCommand(**_facts(given))


def _appeal(given: Given[AppealBody]) -> Command:
    return Appeal(**_facts(given), appeal_id=new_id())


def _serve(given: Given[ServeBody]) -> Command:
    return Serve(**_facts(given), channel=given.body.channel, proof=given.body.proof)


def _offer(given: Given[OfferBody], *, is_reply: bool = False) -> Command:
    share = given.body.payee
    payee_minor = None if share is None else share.minor(given.currency)
    return MakeOffer(**_facts(given), payee_minor=payee_minor, is_reply=is_reply)


def _reply(given: Given[OfferBody]) -> Command:
    return _offer(given, is_reply=True)


def _accept(given: Given[AcceptBody]) -> Command:
    return AcceptOffer(**_facts(given), offer_no=given.body.offer_no)


def _evidence(given: Given[EvidenceBody]) -> Command:
    body = given.body
    return FileEvidence(**_facts(given), sha256=body.sha256, reference=body.reference)


def _recommend(given: Given[RecommendBody]) -> Command:
    return Recommend(**_facts(given), payee_minor=given.body.payee.minor(given.currency))


def _propose(given: Given[DecisionBody]) -> Command:
    body = given.body
    return ProposeDecision(
        **_facts(given),
        payee_minor=body.payee.minor(given.currency),
        client_minor=body.client.minor(given.currency),
        award_ref=body.award_ref,
    )


def _approve(given: Given[ApproveDecisionBody]) -> Command:
    return DisputeCommand(**_facts(given))


def _rules(given: Given[DisputeRulesBody]) -> Command:
    body = given.body
    return SetDisputeRules(
        actor=given.actor,
        currency=body.currency,
        small_claim_minor=min(body.small_claim.minor(body.currency), MAX_MINOR),
        fee_bps=body.fee_bps,
        small_fee_bps=body.small_fee_bps,
    )


def _on_dispute(
    verb: str,
    service: str,
    summary: str,
    *,
    body: type[Any] = DisputeBody,
    command: Any = _step,  # noqa: ANN401  one of the makers above, for this body
    scope: Scope = Scope.CONTRACTS_WRITE,
    status: int = 200,
    needs_currency: bool = False,
) -> Write[Any]:
    return Write(
        path=f"/v1/disputes/{{dispute_id}}/{verb}",
        service=f"escrow.{service}",
        scope=scope,
        body=body,
        command=command,
        answer=DisputeActed,
        summary=summary,
        status=status,
        subject=DISPUTE,
        needs_currency=needs_currency,
    )


_ANSWERS: Final[tuple[Write[Any], ...]] = (
    _on_dispute(
        "serve",
        "serve_dispute",
        "Record with proof that the other side was told (operator)",
        body=ServeBody,
        command=_serve,
    ),
    _on_dispute(
        "reply",
        "offer_in_dispute",
        "Answer the claim with a figure (the other side)",
        body=OfferBody,
        command=_reply,
        needs_currency=True,
    ),
    _on_dispute(
        "concede",
        "concede_dispute",
        "Give the claimant what he claims (the other side)",
        scope=Scope.MONEY_WRITE,
    ),
    _on_dispute(
        "offers",
        "offer_in_dispute",
        "Offer a figure that binds once accepted (either party)",
        body=OfferBody,
        command=_offer,
        status=201,
        needs_currency=True,
    ),
    _on_dispute(
        "accept",
        "accept_dispute_offer",
        "Accept the other side's latest figure (either party)",
        body=AcceptBody,
        command=_accept,
        scope=Scope.MONEY_WRITE,
    ),
    _on_dispute(
        "evidence",
        "file_evidence",
        "File a document by hash and reference (either party)",
        body=EvidenceBody,
        command=_evidence,
        status=201,
    ),
    _on_dispute(
        "appeal",
        "appeal_dispute",
        "Appeal what was lost by silence, once, while the money is in its security hold",
        body=AppealBody,
        command=_appeal,
        status=201,
    ),
    _on_dispute(
        "withdraw",
        "withdraw_dispute",
        "Withdraw; all is as before (whoever opened)",
        scope=Scope.MONEY_WRITE,
    ),
)

_JUDGEMENTS: Final[tuple[Write[Any], ...]] = (
    _on_dispute("extend", "extend_dispute", "Extend the running stage, once (operator)"),
    _on_dispute(
        "mediate", "mediate_dispute", "Give up negotiation; a third person looks at it (either)"
    ),
    _on_dispute(
        "recommend",
        "recommend_in_dispute",
        "Recommend a figure (an operator in person, not involved before)",
        body=RecommendBody,
        command=_recommend,
        needs_currency=True,
    ),
    _on_dispute(
        "elect",
        "elect_arbitration",
        "Elect arbitration and pay one's fee (either party)",
        scope=Scope.MONEY_WRITE,
    ),
    _on_dispute(
        "decisions",
        "propose_decision",
        "Propose the award (an operator in person)",
        body=DecisionBody,
        command=_propose,
        status=201,
        needs_currency=True,
    ),
    _on_dispute(
        "approve",
        "approve_decision",
        "Approve the newest proposal and carry it out (another operator in person)",
        body=ApproveDecisionBody,
        command=_approve,
        scope=Scope.MONEY_WRITE,
    ),
)

DISPUTES: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/slots/{slot_id}/disputes",
        service="escrow.open_dispute",
        scope=Scope.CONTRACTS_WRITE,
        body=OpenDisputeBody,
        command=_open,
        answer=DisputeActed,
        summary="Open a dispute and freeze what is claimed (either party, or an operator)",
        status=201,
        subject=SLOT,
        needs_currency=True,
    ),
    *_ANSWERS,
    *_JUDGEMENTS,
    Write(
        path="/v1/dispute_rules",
        service="escrow.set_dispute_rules",
        scope=Scope.MONEY_WRITE,
        body=DisputeRulesBody,
        command=_rules,
        answer=DisputeRulesActed,
        summary="Set the small-claim limit and the arbitration fee (an operator in person)",
    ),
)
"""Every command on disputes."""
