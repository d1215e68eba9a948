"""The commands on chargebacks: tell the payee, file for the evidence, send it to the bank."""

from typing import Annotated, Any, Final

from pydantic import StringConstraints

from engine.api.access import Scope
from engine.api.answers_chargebacks import ChargebackActed
from engine.api.calls import Given, Subject, Write
from engine.api.models import Reference, Request, Text, Version
from escrow.model_chargeback import ChargebackCommand, FileStatement, TellPayee
from escrow.refusals_chargeback import UnknownChargeback
from kernel.commands import Command

CHARGEBACK: Final = Subject("chargeback", "chargeback_id", UnknownChargeback)


class ChargebackBody(Request):
    """A step on a chargeback; name the version that you looked at, and it must be it."""

    version: Version | None = None
    reason: Text = ""


class TellBody(ChargebackBody):
    """By which channel the payee was told, and what proves it."""

    channel: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern="^[ -~]+$")]
    proof: Reference


class StatementBody(ChargebackBody):
    """A document: your own name for it, and its SHA-256 if it has one; never its content."""

    reference: Reference
    sha256: Annotated[
        str, StringConstraints(min_length=64, max_length=64, pattern="^[0-9a-f]+$")
    ] = ""


def _tell(given: Given[TellBody]) -> Command:
    body = given.body
    return TellPayee(
        actor=given.actor,
        chargeback_id=given.ids["chargeback_id"],
        version=body.version,
        reason=body.reason,
        channel=body.channel,
        proof=body.proof,
    )


def _file(given: Given[StatementBody]) -> Command:
    body = given.body
    return FileStatement(
        actor=given.actor,
        chargeback_id=given.ids["chargeback_id"],
        version=body.version,
        reason=body.reason,
        reference=body.reference,
        sha256=body.sha256,
    )


def _submit(given: Given[ChargebackBody]) -> Command:
    body = given.body
    return ChargebackCommand(
        actor=given.actor,
        chargeback_id=given.ids["chargeback_id"],
        version=body.version,
        reason=body.reason,
    )


CHARGEBACKS: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/chargebacks/{chargeback_id}/tell_payee",
        service="escrow.tell_payee",
        scope=Scope.CONTRACTS_WRITE,
        body=TellBody,
        command=_tell,
        answer=ChargebackActed,
        summary="Record, with proof, that the payee was told; his time to answer runs (operator)",
        subject=CHARGEBACK,
    ),
    Write(
        path="/v1/chargebacks/{chargeback_id}/statements",
        service="escrow.file_statement",
        scope=Scope.CONTRACTS_WRITE,
        body=StatementBody,
        command=_file,
        answer=ChargebackActed,
        summary="Answer, or add to the evidence (payee, operator)",
        status=201,
        subject=CHARGEBACK,
    ),
    Write(
        path="/v1/chargebacks/{chargeback_id}/submit",
        service="escrow.submit_evidence",
        scope=Scope.CONTRACTS_WRITE,
        body=ChargebackBody,
        command=_submit,
        answer=ChargebackActed,
        summary="Send the evidence to the bank, once the payee was heard (operator)",
        subject=CHARGEBACK,
    ),
)
"""Every command on chargebacks."""
