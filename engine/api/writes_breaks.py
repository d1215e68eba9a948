"""The commands on breaks, write-offs and certificates' signatures."""

from collections.abc import Callable
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field

from engine.api import answers_breaks as answers
from engine.api.access import Scope
from engine.api.calls import Given, Write
from engine.api.models import Id, Request, Text
from kernel.commands import Command
from reconciliation.commands_breaks import (
    AssignBreak,
    BreakCommand,
    DecideWriteOff,
    SetHour,
    SignCertificate,
)


class WordsBody(Request):
    """What is said."""

    told: Annotated[Text, Field(min_length=1)]


class OwnerBody(Request):
    """Who looks at it from now on: a principal's id, or nobody."""

    owner_id: Id | None


class BreakReasonBody(Request):
    """Why it is so."""

    reason: Text = ""


class SignatureBody(Request):
    """What is to be said of it; needed where it is not clean."""

    remark: Text = ""


class HourBody(Request):
    """An hour of the day, UTC."""

    hour: Annotated[int, Field(ge=0, le=23)]


def _say(given: Given[WordsBody]) -> Command:
    return BreakCommand(actor=given.actor, break_id=given.ids["break_id"], told=given.body.told)


def _assign(given: Given[OwnerBody]) -> Command:
    owner: UUID | None = given.body.owner_id
    return AssignBreak(actor=given.actor, break_id=given.ids["break_id"], owner_id=owner)


def _decide(*, is_approved: bool) -> Callable[[Given[BreakReasonBody]], Command]:
    def decide(given: Given[BreakReasonBody]) -> Command:
        return DecideWriteOff(
            actor=given.actor,
            write_off_id=given.ids["write_off_id"],
            is_approved=is_approved,
            reason=given.body.reason,
        )

    return decide


def _sign(given: Given[SignatureBody]) -> Command:
    return SignCertificate(
        actor=given.actor,
        certificate_id=given.ids["certificate_id"],
        remark=given.body.remark,
    )


def _hour(given: Given[HourBody]) -> Command:
    return SetHour(actor=given.actor, hour=given.body.hour)


def _said(verb: str, service: str, summary: str) -> Write[WordsBody]:
    return Write(
        path=f"/v1/breaks/{{break_id}}/{verb}",
        service=f"reconciliation.{service}",
        scope=Scope.JOURNALS_WRITE,
        body=WordsBody,
        command=_say,
        answer=answers.BreakDone,
        summary=summary,
    )


BREAK_WRITES: Final[tuple[Write[Any], ...]] = (
    _said("comments", "comment", "Say something of a break (the platform)"),
    _said("explain", "explain", "Say why a break is there; it stays until it matches"),
    _said("write_offs", "propose_write_off", "Propose to write a break off (the platform)"),
    Write(
        path="/v1/breaks/{break_id}/assign",
        service="reconciliation.assign",
        scope=Scope.JOURNALS_WRITE,
        body=OwnerBody,
        command=_assign,
        answer=answers.BreakDone,
        summary="Say who looks at a break (the platform)",
    ),
    Write(
        path="/v1/write_offs/{write_off_id}/approve",
        service="reconciliation.decide_write_off",
        scope=Scope.JOURNALS_APPROVE,
        body=BreakReasonBody,
        command=_decide(is_approved=True),
        answer=answers.BreakDone,
        summary="Approve a write-off that another person proposed: it is posted",
    ),
    Write(
        path="/v1/write_offs/{write_off_id}/reject",
        service="reconciliation.decide_write_off",
        scope=Scope.JOURNALS_APPROVE,
        body=BreakReasonBody,
        command=_decide(is_approved=False),
        answer=answers.BreakDone,
        summary="Reject a write-off that another person proposed",
    ),
    Write(
        path="/v1/certificates/{certificate_id}/sign",
        service="reconciliation.sign",
        scope=Scope.JOURNALS_APPROVE,
        body=SignatureBody,
        command=_sign,
        answer=answers.CertificateSigned,
        summary="Sign a certificate; one with breaks by another than made it, with a remark",
    ),
    Write(
        path="/v1/safeguarding/hour",
        service="reconciliation.set_hour",
        scope=Scope.JOURNALS_WRITE,
        body=HourBody,
        command=_hour,
        answer=answers.HourSet,
        summary="Set the hour (UTC) of the daily safeguarding run (the platform)",
    ),
)
"""Every command on breaks and certificates that is a command of a service."""
