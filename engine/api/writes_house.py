"""The commands on parties, holds, payouts and the sandbox's clock."""

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field

from engine.api.access import Scope
from engine.api.answers import HoldAnswer, MethodActed, PartyAnswer, PayoutAnswer
from engine.api.answers_books import TimeAnswer
from engine.api.calls import Given, Subject, Write
from engine.api.doors import AdvanceClock
from engine.api.models import (
    Amount,
    Id,
    RailName,
    ReasonBody,
    Reference,
    Request,
    Text,
    Time,
    Token,
)
from engine.api.refusals import Invalid
from kernel.commands import Command
from kernel.ids import new_id
from ledger import holds, parties
from ledger.model_parties import HoldKind, KycState, PartyKind, SanctionState
from payouts import refusals as payout_refusals
from payouts.commands import AddMethod, PayoutCommand, RequestPayout, Resume
from rails.capabilities import rail_of

PARTY: Final = Subject("party", "party_id", parties.UnknownParty)
PAYEE: Final = Subject("party", "party_id", payout_refusals.UnknownPayee)
PAYOUT: Final = Subject("payout", "payout_id", payout_refusals.UnknownPayout)


class PartyBody(Request):
    """A new party. `reference` is your own id of it, unique; never a name or an address."""

    kind: PartyKind
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None
    reference: Reference | None = None


class ChangePartyBody(Request):
    """What was found out about a party."""

    kyc_state: KycState | None = None
    sanction_state: SanctionState | None = None
    reason: Text = ""


class HoldBody(Request):
    """What blocks every outflow of its subject: `party:<id>`, `contract:<id>` or `slot:<id>`."""

    subject: Annotated[str, Field(max_length=80)]
    kind: HoldKind
    reason: Annotated[Text, Field(min_length=1)]


class MethodBody(Request):
    """A place to be paid to: a token at the rail, never a bank number.

    `rail` may be left out: it is then where the platform's clients pay.
    """

    token: Annotated[Token, Field(min_length=1)]
    rail: RailName | None = None


class PayoutBody(Request):
    """A payout of a payee's available money. `payee_id` may be left out by the payee's own key."""

    payee_id: Id | None = None
    method_id: Id
    amount: Amount


class ClockBody(Request):
    """Where the sandbox's clock shall stand."""

    to: Time


def _create_party(given: Given[PartyBody]) -> Command:
    body = given.body
    return parties.CreateParty(
        actor=given.actor,
        kind=body.kind,
        country=body.country,
        reference=body.reference or "",
        party_id=new_id(),
    )


def _change_party(given: Given[ChangePartyBody]) -> Command:
    body = given.body
    if body.kyc_state is None and body.sanction_state is None:
        raise Invalid(errors=[{"field": "kyc_state", "why": "name at least one state"}])
    return parties.ChangeParty(
        actor=given.actor,
        party_id=given.ids["party_id"],
        kyc_state=body.kyc_state,
        sanction_state=body.sanction_state,
        reason=body.reason,
    )


def _place_hold(given: Given[HoldBody]) -> Command:
    body = given.body
    return holds.PlaceHold(
        actor=given.actor, subject=body.subject, kind=body.kind, reason=body.reason
    )


def _lift_hold(given: Given[ReasonBody]) -> Command:
    return holds.LiftHold(actor=given.actor, hold_id=given.ids["hold_id"], reason=given.body.reason)


def _add_method(given: Given[MethodBody]) -> Command:
    return AddMethod(
        actor=given.actor,
        method_id=new_id(),
        party_id=given.ids["party_id"],
        token=given.body.token,
        rail=rail_of(given.pays_at(given.body.rail)),
    )


def _resume(given: Given[ReasonBody]) -> Command:
    return Resume(actor=given.actor, party_id=given.ids["party_id"], reason=given.body.reason)


def _payee(given: Given[PayoutBody]) -> UUID:
    payee_id = given.body.payee_id or given.actor.party_id
    if payee_id is None:
        raise Invalid(errors=[{"field": "payee_id", "why": "say whose money it is"}])
    return payee_id


def _request_payout(given: Given[PayoutBody]) -> Command:
    body = given.body
    return RequestPayout(
        actor=given.actor,
        payout_id=new_id(),
        payee_id=_payee(given),
        method_id=body.method_id,
        amount_minor=body.amount.minor(),
        currency=body.amount.currency,
    )


def payout_command(given: Given[ReasonBody]) -> Command:
    """A step on the payout that the path names."""
    return PayoutCommand(
        actor=given.actor, payout_id=given.ids["payout_id"], reason=given.body.reason
    )


def _advance_clock(given: Given[ClockBody]) -> Command:
    return AdvanceClock(actor=given.actor, to=given.body.to)


def _on_payout(verb: str, summary: str) -> Write[ReasonBody]:
    return Write(
        path=f"/v1/payouts/{{payout_id}}/{verb}",
        service=f"payouts.{verb}",
        scope=Scope.PAYOUTS_WRITE,
        body=ReasonBody,
        command=payout_command,
        answer=PayoutAnswer,
        summary=summary,
        subject=PAYOUT,
    )


HOUSE: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/parties",
        service="parties.create",
        scope=Scope.PARTIES_WRITE,
        body=PartyBody,
        command=_create_party,
        answer=PartyAnswer,
        summary="Add a party",
        status=201,
        bulk="/v1/parties:create",
    ),
    Write(
        path="/v1/parties/{party_id}/states",
        service="parties.change",
        scope=Scope.PARTIES_WRITE,
        body=ChangePartyBody,
        command=_change_party,
        answer=PartyAnswer,
        summary="Set identity and sanction states (operator)",
        subject=PARTY,
        bulk="/v1/parties:states",
    ),
    Write(
        path="/v1/holds",
        service="holds.place",
        scope=Scope.PARTIES_WRITE,
        body=HoldBody,
        command=_place_hold,
        answer=HoldAnswer,
        summary="Block every outflow of a subject (operator)",
        status=201,
    ),
    Write(
        path="/v1/holds/{hold_id}/lift",
        service="holds.lift",
        scope=Scope.PARTIES_WRITE,
        body=ReasonBody,
        command=_lift_hold,
        answer=HoldAnswer,
        summary="End a hold (operator)",
    ),
    Write(
        path="/v1/parties/{party_id}/payout_methods",
        service="payouts.add_method",
        scope=Scope.PAYOUTS_WRITE,
        body=MethodBody,
        command=_add_method,
        answer=MethodActed,
        summary="Name a place to be paid to",
        status=201,
        subject=PAYEE,
    ),
    Write(
        path="/v1/parties/{party_id}/payouts/resume",
        service="payouts.resume",
        scope=Scope.PAYOUTS_WRITE,
        body=ReasonBody,
        command=_resume,
        answer=MethodActed,
        summary="Let paused payouts go on (operator)",
        subject=PAYEE,
    ),
    Write(
        path="/v1/payouts",
        service="payouts.request",
        scope=Scope.PAYOUTS_WRITE,
        body=PayoutBody,
        command=_request_payout,
        answer=PayoutAnswer,
        summary="Ask for a payout of available money",
        status=201,
        bulk="/v1/payouts:request",
    ),
    _on_payout("submit", "Send a payout to the rail (operator)"),
    _on_payout("cancel", "Take back a payout that was not sent"),
    Write(
        path="/v1/clock/advance",
        service="clock.advance",
        scope=Scope.CLOCK_WRITE,
        body=ClockBody,
        command=_advance_clock,
        answer=TimeAnswer,
        summary="Move a sandbox's clock forward",
    ),
)
"""Every command that is not about a deal."""
