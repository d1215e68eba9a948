"""The commands on contracts, slots and amendments."""

from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import Field

from engine.api.access import Scope
from engine.api.answers import ContractActed, FundingActed, SlotActed
from engine.api.calls import Given, Nothing, Subject, Write
from engine.api.models import Amount, Id, Reference, Request, Text, Time, Version
from escrow import refusals
from escrow.commands import (
    STANDARD,
    AddMilestones,
    ContractCommand,
    Fund,
    FundingCommand,
    Milestone,
    Propose,
    ProposeAmendment,
    ReleasePart,
    SignAmendment,
    SlotCommand,
    Submit,
    Tip,
)
from escrow.model import Method, ReleaseRule, Terms
from kernel.commands import Command
from kernel.ids import new_id
from kernel.money import exponent

CONTRACT: Final = Subject("contract", "contract_id", refusals.UnknownContract)
SLOT: Final = Subject("slot", "slot_id", refusals.UnknownSlot)
FUNDING: Final = Subject("funding", "funding_id", refusals.UnknownFunding)
AMENDMENT: Final = Subject("amendment", "amendment_id", refusals.UnknownAmendment)

Bps = Annotated[int, Field(ge=0, le=10_000)]
SubmissionNo = Annotated[int, Field(ge=0, le=2**31 - 1)]
Token = Annotated[str, Field(max_length=200, pattern="^[!-~]*$")]


class MilestoneBody(Request):
    """One milestone of a proposal."""

    amount: Amount
    title: Text = ""
    due_at: Time | None = None


class TermsBody(Request):
    """What acceptance pins; what is left out is the standard."""

    commission_bps: Bps | None = None
    client_fee_bps: Bps | None = None
    security_hold_days: Annotated[int, Field(ge=0, le=90)] | None = None
    auto_release_hours: Annotated[int, Field(ge=1, le=720)] | None = None
    release_rule: ReleaseRule | None = None
    refund_reply_hours: Annotated[int, Field(ge=1, le=2_160)] | None = None
    dormant_days: Annotated[int, Field(ge=1, le=3_650)] | None = None
    dormant_limit: Amount | None = None
    free_change_rounds: Annotated[int, Field(ge=0, le=1_000)] | None = None


class ProposeBody(Request):
    """A contract with its milestones."""

    client_id: Id
    payee_id: Id
    currency: Annotated[str, Field(max_length=10, examples=["EUR"])]
    milestones: Annotated[list[MilestoneBody], Field(min_length=1, max_length=100)]
    terms: TermsBody = TermsBody()


class MilestonesBody(Request):
    """Further milestones."""

    milestones: Annotated[list[MilestoneBody], Field(min_length=1, max_length=100)]


class ReasonBody(Request):
    """Why, in the actor's words."""

    reason: Text = ""


class SlotBody(Request):
    """A step on a slot; name the version or submission that you looked at, and it must be it."""

    version: Version | None = None
    submission_no: SubmissionNo | None = None
    reason: Text = ""


class SubmitBody(SlotBody):
    """Work: references to a message or to artefacts, never their content."""

    message_ref: Reference | None = None
    artefact_refs: Annotated[tuple[Reference, ...], Field(max_length=50)] = ()


class ReleasePartBody(SlotBody):
    """The part to release."""

    amount: Amount


class FundBody(SlotBody):
    """How the client pays."""

    method: Method = Method.CARD
    method_token: Token = ""


class TipBody(Request):
    """Something on top."""

    amount: Amount
    method: Method = Method.CARD
    method_token: Token = ""


class AmendBody(SlotBody):
    """A new price, or the slot to which the rest rolls forward."""

    new_amount: Amount | None = None
    to_slot_id: Id | None = None


def _milestones(bodies: list[MilestoneBody], currency: str) -> tuple[Milestone, ...]:
    return tuple(
        Milestone(
            slot_id=new_id(),
            amount_minor=body.amount.minor(currency),
            title=body.title,
            due_at=body.due_at,
        )
        for body in bodies
    )


def _terms(body: TermsBody, currency: str) -> Terms:
    """The terms that were given, the standard where none was; all within the database's ranges."""
    given: dict[str, Any] = {
        "commission_bps": body.commission_bps,
        "client_fee_bps": body.client_fee_bps,
        "security_hold_days": body.security_hold_days,
        "auto_release_after": _hours(body.auto_release_hours),
        "release_rule": body.release_rule,
        "refund_reply_after": _hours(body.refund_reply_hours),
        "dormant_after": None if body.dormant_days is None else timedelta(days=body.dormant_days),
        "dormant_limit_minor": None
        if body.dormant_limit is None
        else body.dormant_limit.minor(currency),
        "free_change_rounds": body.free_change_rounds,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    return Terms(**chosen) if chosen else STANDARD


def _hours(hours: int | None) -> timedelta | None:
    return None if hours is None else timedelta(hours=hours)


def _propose(given: Given[ProposeBody]) -> Command:
    body = given.body
    exponent(body.currency)
    return Propose(
        actor=given.actor,
        contract_id=new_id(),
        client_id=body.client_id,
        payee_id=body.payee_id,
        currency=body.currency,
        milestones=_milestones(body.milestones, body.currency),
        terms=_terms(body.terms, body.currency),
    )


def _add_milestones(given: Given[MilestonesBody]) -> Command:
    return AddMilestones(
        actor=given.actor,
        contract_id=given.ids["contract_id"],
        milestones=_milestones(given.body.milestones, given.currency),
    )


def _contract(given: Given[ReasonBody]) -> Command:
    return ContractCommand(
        actor=given.actor, contract_id=given.ids["contract_id"], reason=given.body.reason
    )


def _facts(given: Given[Any]) -> dict[str, Any]:
    body = given.body
    return {
        "actor": given.actor,
        "slot_id": given.ids["slot_id"],
        "version": body.version,
        "submission_no": body.submission_no,
        "reason": body.reason,
    }


def _slot(given: Given[SlotBody]) -> Command:
    return SlotCommand(**_facts(given))


def _submit(given: Given[SubmitBody]) -> Command:
    body = given.body
    return Submit(
        **_facts(given),
        message_ref=body.message_ref or "",
        artefact_refs=body.artefact_refs,
    )


def _release_part(given: Given[ReleasePartBody]) -> Command:
    return ReleasePart(**_facts(given), amount_minor=given.body.amount.minor(given.currency))


def _fund(given: Given[FundBody]) -> Command:
    body = given.body
    return Fund(
        **_facts(given), funding_id=new_id(), method=body.method, method_token=body.method_token
    )


def _tip(given: Given[TipBody]) -> Command:
    body = given.body
    return Tip(
        actor=given.actor,
        contract_id=given.ids["contract_id"],
        funding_id=new_id(),
        amount_minor=body.amount.minor(given.currency),
        method=body.method,
        method_token=body.method_token,
    )


def _amend(given: Given[AmendBody]) -> Command:
    body = given.body
    return ProposeAmendment(
        **_facts(given),
        amendment_id=new_id(),
        new_amount_minor=None if body.new_amount is None else body.new_amount.minor(given.currency),
        to_slot_id=body.to_slot_id,
    )


def _sign(given: Given[Nothing]) -> Command:
    return SignAmendment(actor=given.actor, amendment_id=given.ids["amendment_id"])


def _funding(given: Given[ReasonBody]) -> Command:
    return FundingCommand(
        actor=given.actor, funding_id=given.ids["funding_id"], reason=given.body.reason
    )


def _on_contract(verb: str, summary: str) -> Write[ReasonBody]:
    return Write(
        path=f"/v1/contracts/{{contract_id}}/{verb}",
        service=f"escrow.{verb}",
        scope=Scope.CONTRACTS_WRITE,
        body=ReasonBody,
        command=_contract,
        answer=ContractActed,
        summary=summary,
        subject=CONTRACT,
        bulk=f"/v1/contracts:{verb}" if verb == "accept" else "",
    )


def _on_slot(
    verb: str, summary: str, *, scope: Scope = Scope.CONTRACTS_WRITE, bulk: bool = False
) -> Write[SlotBody]:
    return Write(
        path=f"/v1/slots/{{slot_id}}/{verb}",
        service=f"escrow.{verb}",
        scope=scope,
        body=SlotBody,
        command=_slot,
        answer=SlotActed,
        summary=summary,
        subject=SLOT,
        bulk=f"/v1/slots:{verb}" if bulk else "",
    )


_SLOT_STEPS: Final[tuple[Write[Any], ...]] = (
    _on_slot(
        "approve", "Release all that the slot holds (client)", scope=Scope.MONEY_WRITE, bulk=True
    ),
    _on_slot("confirm", "Confirm the submission (either party)", scope=Scope.MONEY_WRITE),
    _on_slot("accept_refund", "Grant the refund asked for (payee)", scope=Scope.MONEY_WRITE),
    _on_slot("give_back", "Give back what is held (payee)", scope=Scope.MONEY_WRITE),
    _on_slot("settle_dormant", "Settle a dormant slot (operator)", scope=Scope.MONEY_WRITE),
    _on_slot("request_changes", "Send work back with a reason (client)"),
    _on_slot("withdraw_submission", "Take the submission back (payee)"),
    _on_slot("ask_refund", "Ask for what is not released (client)"),
    _on_slot("cancel", "Drop a slot that holds nothing (either party)"),
    Write(
        path="/v1/slots/{slot_id}/submit",
        service="escrow.submit",
        scope=Scope.CONTRACTS_WRITE,
        body=SubmitBody,
        command=_submit,
        answer=SlotActed,
        summary="Show work (payee)",
        subject=SLOT,
        bulk="/v1/slots:submit",
    ),
    Write(
        path="/v1/slots/{slot_id}/release_part",
        service="escrow.release_part",
        scope=Scope.MONEY_WRITE,
        body=ReleasePartBody,
        command=_release_part,
        answer=SlotActed,
        summary="Release a part (client)",
        subject=SLOT,
        needs_currency=True,
    ),
    Write(
        path="/v1/slots/{slot_id}/fundings",
        service="escrow.fund",
        scope=Scope.MONEY_WRITE,
        body=FundBody,
        command=_fund,
        answer=SlotActed,
        summary="Pay for a slot by card, bank or wallet (client)",
        status=201,
        subject=SLOT,
        bulk="/v1/slots:fund",
    ),
    Write(
        path="/v1/slots/{slot_id}/amendments",
        service="escrow.propose_amendment",
        scope=Scope.CONTRACTS_WRITE,
        body=AmendBody,
        command=_amend,
        answer=SlotActed,
        summary="Offer a new price, or to roll the rest forward (either party)",
        status=201,
        subject=SLOT,
        needs_currency=True,
    ),
)

DEALS: Final[tuple[Write[Any], ...]] = (
    *_SLOT_STEPS,
    Write(
        path="/v1/contracts",
        service="escrow.propose",
        scope=Scope.CONTRACTS_WRITE,
        body=ProposeBody,
        command=_propose,
        answer=ContractActed,
        summary="Offer a contract (client or payee)",
        status=201,
        bulk="/v1/contracts:propose",
    ),
    _on_contract("accept", "Accept what the other party offered"),
    _on_contract("pause", "Pause a contract"),
    _on_contract("resume", "Resume a contract"),
    _on_contract("end", "End a contract; what is held is asked back"),
    _on_contract("close", "Close an ending contract that holds nothing"),
    Write(
        path="/v1/contracts/{contract_id}/milestones",
        service="escrow.add_milestones",
        scope=Scope.CONTRACTS_WRITE,
        body=MilestonesBody,
        command=_add_milestones,
        answer=ContractActed,
        summary="Offer further milestones (either party)",
        status=201,
        subject=CONTRACT,
        needs_currency=True,
    ),
    Write(
        path="/v1/contracts/{contract_id}/tips",
        service="escrow.tip",
        scope=Scope.MONEY_WRITE,
        body=TipBody,
        command=_tip,
        answer=FundingActed,
        summary="Give the payee something on top (client)",
        status=201,
        subject=CONTRACT,
        needs_currency=True,
    ),
    Write(
        path="/v1/amendments/{amendment_id}/sign",
        service="escrow.sign_amendment",
        scope=Scope.MONEY_WRITE,
        body=Nothing,
        command=_sign,
        answer=SlotActed,
        summary="Sign what the other party offered",
        subject=AMENDMENT,
    ),
    Write(
        path="/v1/fundings/{funding_id}/cancel",
        service="escrow.cancel_funding",
        scope=Scope.MONEY_WRITE,
        body=ReasonBody,
        command=_funding,
        answer=FundingActed,
        summary="Give up a payment that is not made yet (client)",
        subject=FUNDING,
    ),
    Write(
        path="/v1/fundings/{funding_id}/credit",
        service="escrow.credit_receipt",
        scope=Scope.MONEY_WRITE,
        body=ReasonBody,
        command=_funding,
        answer=FundingActed,
        summary="Credit money of another amount to the client's wallet (operator)",
        subject=FUNDING,
    ),
)
"""Every command on a deal."""
