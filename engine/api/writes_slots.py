"""The commands on slots, amendments and fundings: pay, show work, release, refund, amend."""

from typing import Annotated, Any, Final

from pydantic import Field

from engine.api.access import Scope
from engine.api.answers import FundingActed, SlotActed
from engine.api.calls import Given, Nothing, Subject, Write
from engine.api.models import (
    Amount,
    Id,
    RailName,
    ReasonBody,
    Reference,
    Request,
    Text,
    Token,
    Version,
)
from escrow import refusals
from escrow.commands import (
    Fund,
    FundingCommand,
    ProposeAmendment,
    ReleasePart,
    SignAmendment,
    SlotCommand,
    Submit,
)
from escrow.model import Method
from kernel.commands import Command
from kernel.ids import new_id

SLOT: Final = Subject("slot", "slot_id", refusals.UnknownSlot)
FUNDING: Final = Subject("funding", "funding_id", refusals.UnknownFunding)
AMENDMENT: Final = Subject("amendment", "amendment_id", refusals.UnknownAmendment)

SubmissionNo = Annotated[int, Field(ge=0, le=2**31 - 1)]


class SlotBody(Request):
    """A step on a slot; name the version or submission that you looked at, and it must be it."""

    version: Version | None = None
    submission_no: SubmissionNo | None = None
    reason: Text = ""


class SubmitBody(SlotBody):
    """Work: references to a message or to artefacts, never their content."""

    message_ref: Reference | None = None
    artefact_refs: Annotated[tuple[Reference, ...], Field(max_length=50)] = ()


class ReleaseBody(SlotBody):
    """A step that lets money go; `quote_id` is the quote of exchange that was shown for it."""

    quote_id: Id | None = None


class ReleasePartBody(ReleaseBody):
    """The part to release."""

    amount: Amount


class FundBody(SlotBody):
    """How the client pays; with a quote by card, in the currency that it sells."""

    method: Method = Method.CARD
    method_token: Token = ""
    quote_id: Id | None = None
    rail: RailName | None = None


class AmendBody(SlotBody):
    """A new price, or the slot to which the rest rolls forward."""

    new_amount: Amount | None = None
    to_slot_id: Id | None = None


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
    return ReleasePart(
        **_facts(given),
        amount_minor=given.body.amount.minor(given.currency),
        quote_id=given.body.quote_id,
    )


def _release(given: Given[ReleaseBody]) -> Command:
    return SlotCommand(**_facts(given), quote_id=given.body.quote_id)


def _fund(given: Given[FundBody]) -> Command:
    body = given.body
    return Fund(
        **_facts(given),
        funding_id=new_id(),
        method=body.method,
        method_token=body.method_token,
        quote_id=body.quote_id,
        rail_account=given.pays_at(body.rail),
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


def _on_slot(verb: str, summary: str, *, scope: Scope = Scope.CONTRACTS_WRITE) -> Write[SlotBody]:
    return Write(
        path=f"/v1/slots/{{slot_id}}/{verb}",
        service=f"escrow.{verb}",
        scope=scope,
        body=SlotBody,
        command=_slot,
        answer=SlotActed,
        summary=summary,
        subject=SLOT,
    )


def _releasing(verb: str, summary: str, *, bulk: bool = False) -> Write[ReleaseBody]:
    return Write(
        path=f"/v1/slots/{{slot_id}}/{verb}",
        service=f"escrow.{verb}",
        scope=Scope.MONEY_WRITE,
        body=ReleaseBody,
        command=_release,
        answer=SlotActed,
        summary=summary,
        subject=SLOT,
        bulk=f"/v1/slots:{verb}" if bulk else "",
    )


_SLOT_STEPS: Final[tuple[Write[Any], ...]] = (
    _releasing("approve", "Release all that the slot holds (client)", bulk=True),
    _releasing("confirm", "Confirm the submission (either party)"),
    _on_slot("accept_refund", "Grant the refund asked for (payee)", scope=Scope.MONEY_WRITE),
    _on_slot("give_back", "Give back what is held (payee)", scope=Scope.MONEY_WRITE),
    _on_slot("settle_dormant", "Settle a dormant slot (operator)", scope=Scope.MONEY_WRITE),
    _on_slot("request_changes", "Send work back with a reason (client)"),
    _on_slot("flag_empty", "Say that nothing was delivered: a day more, once (client)"),
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

SLOTS: Final[tuple[Write[Any], ...]] = (
    *_SLOT_STEPS,
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
"""Every command on slots, amendments and fundings."""
