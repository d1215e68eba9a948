"""The commands on disputed lines of a week's invoice: dispute, serve, answer, decide."""

from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from engine.api.access import Scope
from engine.api.answers_hourly import LineDisputeActed
from engine.api.calls import Given, Subject, Write
from engine.api.models import Reference, Request, Text, Version
from engine.api.writes_disputes import Share
from engine.api.writes_hourly import WEEK
from escrow.model_lines import DisputeLine, LineCommand, ProposeLine, ServeLine
from escrow.refusals_hourly import UnknownLineDispute
from kernel.commands import Command
from kernel.ids import new_id

LINE: Final = Subject("line_dispute", "line_dispute_id", UnknownLineDispute)

Said = Annotated[Text, Field(min_length=1)]


class DisputeLineBody(Request):
    """Which line of the invoice under review, and why."""

    line_no: Annotated[int, Field(ge=1, le=2**31 - 1)]
    reason: Said


class LineBody(Request):
    """A step of a disputed line; name the version that you looked at, and it must be it."""

    version: Version | None = None
    reason: Text = ""


class ReplyBody(Request):
    """Why the hours stand."""

    version: Version | None = None
    reason: Said


class ServeLineBody(LineBody):
    """By which channel the payee was told, and what proves it."""

    channel: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern="^[ -~]+$")]
    proof: Reference


class ProposeLineBody(Request):
    """What of the line would go back to the client: nothing to all of it, on the version seen."""

    refund: Share
    version: Version
    reason: Text = ""


class ApproveLineBody(Request):
    """The version that you looked at: its newest proposal is what you approve."""

    version: Version
    reason: Text = ""


def _dispute(given: Given[DisputeLineBody]) -> Command:
    return DisputeLine(
        actor=given.actor,
        line_dispute_id=new_id(),
        week_id=given.ids["week_id"],
        line_no=given.body.line_no,
        reason=given.body.reason,
    )


def _facts(given: Given[Any]) -> dict[str, Any]:
    return {
        "actor": given.actor,
        "line_dispute_id": given.ids["line_dispute_id"],
        "version": given.body.version,
        "reason": given.body.reason,
    }


def _step(given: Given[Any]) -> Command:
    return LineCommand(**_facts(given))


def _serve(given: Given[ServeLineBody]) -> Command:
    return ServeLine(**_facts(given), channel=given.body.channel, proof=given.body.proof)


def _propose(given: Given[ProposeLineBody]) -> Command:
    return ProposeLine(**_facts(given), refund_minor=given.body.refund.minor(given.currency))


def _on_line(
    verb: str,
    service: str,
    summary: str,
    *,
    body: type[Any] = LineBody,
    command: Any = _step,  # noqa: ANN401  one of the makers above, for this body
    scope: Scope = Scope.CONTRACTS_WRITE,
    status: int = 200,
    needs_currency: bool = False,
) -> Write[Any]:
    return Write(
        path=f"/v1/line_disputes/{{line_dispute_id}}/{verb}",
        service=f"escrow.{service}",
        scope=scope,
        body=body,
        command=command,
        answer=LineDisputeActed,
        summary=summary,
        status=status,
        subject=LINE,
        needs_currency=needs_currency,
    )


LINES: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/weeks/{week_id}/line_disputes",
        service="escrow.dispute_line",
        scope=Scope.CONTRACTS_WRITE,
        body=DisputeLineBody,
        command=_dispute,
        answer=LineDisputeActed,
        summary="Dispute one line of the invoice under review; the others go on (client)",
        status=201,
        subject=WEEK,
    ),
    _on_line(
        "serve",
        "serve_line",
        "Record with proof that the payee was told; his three days run (operator)",
        body=ServeLineBody,
        command=_serve,
    ),
    _on_line(
        "reply", "reply_line", "Stand by the hours; a specialist decides (payee)", body=ReplyBody
    ),
    _on_line("concede", "concede_line", "Give the line back (payee)", scope=Scope.MONEY_WRITE),
    _on_line("withdraw", "withdraw_line", "Dispute it no longer (client)", scope=Scope.MONEY_WRITE),
    _on_line(
        "decisions",
        "propose_line",
        "Propose what goes back (an operator in person)",
        body=ProposeLineBody,
        command=_propose,
        status=201,
        needs_currency=True,
    ),
    _on_line(
        "approve",
        "approve_line",
        "Approve the newest proposal and carry it out (another operator in person)",
        body=ApproveLineBody,
        scope=Scope.MONEY_WRITE,
    ),
)
"""Every command on disputed lines."""
