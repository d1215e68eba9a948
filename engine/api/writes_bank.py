"""The commands on bank accounts and files of payments."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from engine.api import answers_runs as shapes
from engine.api.access import Scope
from engine.api.calls import Given, Nothing, Write
from engine.api.models import Currency, Id, ReasonBody, Request
from engine.api.refusals import Invalid
from engine.api.writes_runs import Day
from kernel.commands import Command
from kernel.ids import new_id
from payouts.commands_bank import AddAccount, EndAccount, FileCommand, MakeFile
from rails.bank.model import AccountDetails, FileFormat


class BankAccountBody(Request):
    """Whose account, and where: sealed at once, and shown again by its last four characters.

    `serves` and `currency` name a bank of ours, of a party of the kind operator.
    """

    party_id: Id | None = None
    name: Annotated[str, Field(min_length=1, max_length=70)] = Field(repr=False)
    iban: Annotated[str, Field(min_length=5, max_length=50, pattern="^[A-Za-z0-9 ]+$")] = Field(
        repr=False
    )
    bic: Annotated[str, Field(max_length=11, pattern="^[A-Za-z0-9]*$")] = Field("", repr=False)
    serves: Literal["", "custody_bank", "platform_bank"] = ""
    currency: Currency | None = None


class BankFileBody(Request):
    """A file of what waits. `format` left out: SEPA for euro, a payment list for the others."""

    currency: Currency
    execute_on: Day
    source: Literal["custody_bank", "platform_bank"] = "custody_bank"
    format: FileFormat | None = None


def _add(given: Given[BankAccountBody]) -> Command:
    body = given.body
    party_id = body.party_id or given.actor.party_id
    if party_id is None:
        raise Invalid(errors=[{"field": "party_id", "why": "say whose account it is"}])
    return AddAccount(
        actor=given.actor,
        account_id=new_id(),
        party_id=party_id,
        details=AccountDetails(body.name, body.iban, body.bic),
        serves=body.serves,
        currency=body.currency,
    )


def _end(given: Given[Nothing]) -> Command:
    return EndAccount(actor=given.actor, account_id=given.ids["bank_account_id"])


def _make(given: Given[BankFileBody]) -> Command:
    body = given.body
    return MakeFile(
        actor=given.actor,
        file_id=new_id(),
        currency=body.currency,
        execute_on=body.execute_on,
        source=body.source,
        format=body.format,
    )


def _decide(given: Given[ReasonBody]) -> Command:
    return FileCommand(actor=given.actor, file_id=given.ids["file_id"], reason=given.body.reason)


def _on_file(verb: str, summary: str) -> Write[ReasonBody]:
    return Write(
        path=f"/v1/bank_files/{{file_id}}/{verb}",
        service=f"bank.{verb}_file",
        scope=Scope.PAYOUTS_WRITE,
        body=ReasonBody,
        command=_decide,
        answer=shapes.BankFileAnswer,
        summary=summary,
    )


BANK: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/bank_accounts",
        service="bank.add_account",
        scope=Scope.PAYOUTS_WRITE,
        body=BankAccountBody,
        command=_add,
        answer=shapes.BankAccountAnswer,
        summary="Keep a bank account, sealed",
        status=201,
    ),
    Write(
        path="/v1/bank_accounts/{bank_account_id}/end",
        service="bank.end_account",
        scope=Scope.PAYOUTS_WRITE,
        body=Nothing,
        command=_end,
        answer=shapes.BankAccountAnswer,
        summary="Let nothing more be ordered to an account",
    ),
    Write(
        path="/v1/bank_files",
        service="bank.make_file",
        scope=Scope.PAYOUTS_WRITE,
        body=BankFileBody,
        command=_make,
        answer=shapes.BankFileAnswer,
        summary="Put the orders that wait into a file (operator)",
        status=201,
    ),
    _on_file("release", "A second person gives a file to the bank"),
    _on_file("withdraw", "Give up a file that was not released"),
)
"""Every command on bank accounts and files."""
