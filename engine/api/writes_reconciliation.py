"""The commands on accounts of statements, proposals and matches."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from engine.api import answers_reconciliation as answers
from engine.api.access import Scope
from engine.api.calls import Given, Write
from engine.api.models import Request, Text
from kernel.commands import Command
from reconciliation.commands import DecideProposal, OpenAccount, UndoMatch

_Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]
_Reference = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[!-~]([ -~]*[!-~])?$")]
RailAccount = Annotated[str, Field(max_length=80, pattern=r"^([a-z][a-z0-9_]*(:[!-~]+)?)?$")]
PlaceName = Literal["processor", "custody_bank", "platform_bank"]


class StatementAccountBody(Request):
    """An account as statements name it, and the place of the books that it stands for."""

    reference: _Reference
    currency: _Currency
    place: PlaceName
    rail_account: RailAccount = ""


class ProposalDecisionBody(Request):
    """Why it is so."""

    reason: Text = ""


class MatchUndoBody(Request):
    """Why the match is taken back."""

    reason: Annotated[Text, Field(min_length=1)]


def _open(given: Given[StatementAccountBody]) -> Command:
    body = given.body
    return OpenAccount(
        actor=given.actor,
        reference=body.reference,
        currency=body.currency,
        place=body.place,
        rail_account=body.rail_account,
    )


def _decide(given: Given[ProposalDecisionBody], *, is_accepted: bool) -> Command:
    return DecideProposal(
        actor=given.actor,
        proposal_id=given.ids["proposal_id"],
        is_accepted=is_accepted,
        reason=given.body.reason,
    )


def _accept(given: Given[ProposalDecisionBody]) -> Command:
    return _decide(given, is_accepted=True)


def _reject(given: Given[ProposalDecisionBody]) -> Command:
    return _decide(given, is_accepted=False)


def _undo(given: Given[MatchUndoBody]) -> Command:
    return UndoMatch(actor=given.actor, match_id=given.ids["match_id"], reason=given.body.reason)


RECONCILIATION: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/reconciliation/accounts",
        service="reconciliation.open_account",
        scope=Scope.RAILS_WRITE,
        body=StatementAccountBody,
        command=_open,
        answer=answers.StatementAccountAnswer,
        summary="Say what an account on statements stands for (the platform)",
        status=201,
    ),
    Write(
        path="/v1/reconciliation/proposals/{proposal_id}/accept",
        service="reconciliation.decide",
        scope=Scope.JOURNALS_WRITE,
        body=ProposalDecisionBody,
        command=_accept,
        answer=answers.ProposalDecided,
        summary="Accept a proposal: it becomes a match (the platform)",
    ),
    Write(
        path="/v1/reconciliation/proposals/{proposal_id}/reject",
        service="reconciliation.decide",
        scope=Scope.JOURNALS_WRITE,
        body=ProposalDecisionBody,
        command=_reject,
        answer=answers.ProposalDecided,
        summary="Reject a proposal: no rule brings it again (the platform)",
    ),
    Write(
        path="/v1/reconciliation/matches/{match_id}/undo",
        service="reconciliation.undo",
        scope=Scope.JOURNALS_WRITE,
        body=MatchUndoBody,
        command=_undo,
        answer=answers.MatchUndone,
        summary="Take a match back, by a new record (the platform)",
    ),
)
"""Every command of reconciliation that is a command of a service."""
