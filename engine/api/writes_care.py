"""The commands of the treasury, of sanctions, and of unclaimed money."""

from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from engine.api import answers_care as answers
from engine.api.access import Scope
from engine.api.calls import Given, Nothing, Write
from engine.api.models import (
    Currency,
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
from engine.api.writes_exchange import Day
from kernel.commands import Command
from kernel.ids import new_id
from kernel.money import EXPONENTS, UnknownCurrency, parse_minor
from payouts.model_blocked import ApproveRelease, PrepareRelease, RecordReport, Rescreen
from payouts.model_dormant import (
    DormancyRule,
    EndRemittance,
    NoteContact,
    Owner,
    PrepareRemittance,
    Reactivate,
    SetDormancyRule,
    SetResidence,
)
from payouts.model_settlement import Mode
from payouts.model_treasury import SetTreasury

Place = Annotated[str, StringConstraints(pattern="^[A-Z]{2}(-[A-Z0-9]{1,3})?$")]
AmountText = Annotated[
    str,
    StringConstraints(max_length=40, pattern=r"^(0|[1-9][0-9]*)(\.[0-9]+)?$"),
]
Filled = Annotated[Text, Field(min_length=1)]


class TreasuryBody(Request):
    """What becomes of free money at a rail account; a floor is kept there of one currency."""

    rail_account: RailName
    currency: Currency | None = None
    mode: Mode
    floor: AmountText | None = None
    valid_from: Time | None = None


class ListBody(Request):
    """A list that changed, and the parties that it names now."""

    list_name: Annotated[Reference, Field(min_length=1)]
    list_date: Day
    party_ids: Annotated[list[Id], Field(max_length=1_000)] | None = None
    references: Annotated[list[Reference], Field(max_length=1_000)] | None = None


class BlockReleaseBody(Request):
    """Under which licence blocked money goes back, and why."""

    licence_ref: Annotated[Reference, Field(min_length=1)]
    reason: Filled


class ReportBody(Request):
    """When a blocking was reported, and the authority's reference."""

    reported_on: Day
    report_ref: Annotated[Reference, Field(min_length=1)]


class DormancyBody(Request):
    """A rule of dormancy from a day on: a country, or a part of it; the law that it comes from."""

    jurisdiction: Place
    owner: Owner
    valid_from: Day
    years: Annotated[int, Field(ge=1, le=50)]
    notice_days: Annotated[int, Field(ge=1, le=364)]
    source: Filled


class ResidenceBody(Request):
    """Where a party lives from a day on."""

    jurisdiction: Place
    since: Day


class ContactBody(Request):
    """How an owner was heard of: by letter, by telephone."""

    how: Filled


class RemittanceBody(Request):
    """All that is held for a state in a currency; `method` is the state's account, as a token."""

    jurisdiction: Place
    currency: Currency
    method: Annotated[Token, Field(min_length=1)]
    reason: Text = ""


def minor_of(text: str, *, currency: str) -> int:
    """Minor units; a zero is allowed here."""
    if currency not in EXPONENTS:
        raise UnknownCurrency(currency=currency)
    return parse_minor(text, currency) if text.strip("0.") else 0


def _treasury(given: Given[TreasuryBody]) -> Command:
    body = given.body
    if body.floor is not None and body.currency is None:
        raise Invalid(errors=[{"field": "currency", "why": "a floor is of one currency"}])
    return SetTreasury(
        actor=given.actor,
        rail_account=body.rail_account,
        currency=body.currency,
        mode=body.mode,
        floor_minor=minor_of(body.floor, currency=body.currency)
        if body.floor and body.currency
        else 0,
        valid_from=body.valid_from,
    )


def _rescreen(given: Given[ListBody]) -> Command:
    body = given.body
    return Rescreen(
        actor=given.actor,
        list_name=body.list_name,
        list_date=body.list_date,
        party_ids=tuple(body.party_ids or ()),
        references=tuple(body.references or ()),
    )


def _prepare_release(given: Given[BlockReleaseBody]) -> Command:
    return PrepareRelease(
        actor=given.actor,
        release_id=new_id(),
        party_id=given.ids["party_id"],
        licence_ref=given.body.licence_ref,
        reason=given.body.reason,
    )


def _approve_release(given: Given[Nothing]) -> Command:
    return ApproveRelease(actor=given.actor, release_id=given.ids["release_id"])


def _report(given: Given[ReportBody]) -> Command:
    return RecordReport(
        actor=given.actor,
        block_id=given.ids["block_id"],
        reported_on=given.body.reported_on,
        report_ref=given.body.report_ref,
    )


def _rule(given: Given[DormancyBody]) -> Command:
    body = given.body
    rule = DormancyRule(
        jurisdiction=body.jurisdiction,
        owner=body.owner,
        valid_from=body.valid_from,
        years=body.years,
        notice_days=body.notice_days,
        source=body.source,
    )
    return SetDormancyRule(actor=given.actor, rule=rule)


def _residence(given: Given[ResidenceBody]) -> Command:
    return SetResidence(
        actor=given.actor,
        party_id=given.ids["party_id"],
        jurisdiction=given.body.jurisdiction,
        since=given.body.since,
    )


def _contact(given: Given[ContactBody]) -> Command:
    return NoteContact(actor=given.actor, party_id=given.ids["party_id"], how=given.body.how)


def _reactivate(given: Given[ReasonBody]) -> Command:
    how = given.body.reason or "the owner asked for it"
    return Reactivate(actor=given.actor, party_id=given.ids["party_id"], how=how)


def _remit(given: Given[RemittanceBody]) -> Command:
    body = given.body
    return PrepareRemittance(
        actor=given.actor,
        remittance_id=new_id(),
        jurisdiction=body.jurisdiction,
        currency=body.currency,
        method=body.method,
        reason=body.reason,
    )


def _end_remittance(given: Given[Nothing]) -> Command:
    return EndRemittance(actor=given.actor, remittance_id=given.ids["remittance_id"])


def write(
    path: str,
    body: type[Any],
    command: Any,  # noqa: ANN401  from a body of its own to a command
    *,
    answer: type[Any],
    service: str,
    summary: str,
    status: int = 200,
) -> Write[Any]:
    """A command on money at rest in few lines."""
    return Write(
        path=path,
        service=service,
        scope=Scope.PAYOUTS_WRITE,
        body=body,
        command=command,
        answer=answer,
        summary=summary,
        status=status,
    )


CARE: Final[tuple[Write[Any], ...]] = (
    write(
        "/v1/treasury/rules",
        TreasuryBody,
        _treasury,
        answer=answers.TreasuryRuleAnswer,
        service="treasury.set",
        summary="Say what becomes of free money at a rail account (operator)",
        status=201,
    ),
    write(
        "/v1/sanctions/rescreen",
        ListBody,
        _rescreen,
        answer=answers.RescreenAnswer,
        service="sanctions.rescreen",
        summary="A list changed: block what the parties have that it names now (operator)",
    ),
    write(
        "/v1/parties/{party_id}/blocked/release",
        BlockReleaseBody,
        _prepare_release,
        answer=answers.BlockReleaseAnswer,
        service="sanctions.prepare_release",
        summary="Prepare that blocked money goes back under a licence (an operator in person)",
        status=201,
    ),
    write(
        "/v1/sanctions/releases/{release_id}/approve",
        Nothing,
        _approve_release,
        answer=answers.BlockReleaseAnswer,
        service="sanctions.approve_release",
        summary="Give blocked money back (another operator in person)",
    ),
    write(
        "/v1/sanctions/blocks/{block_id}/report",
        ReportBody,
        _report,
        answer=answers.ReportedAnswer,
        service="sanctions.record_report",
        summary="Note that a blocking was reported (operator)",
    ),
    write(
        "/v1/unclaimed/rules",
        DormancyBody,
        _rule,
        answer=answers.DormancyRuleAnswer,
        service="unclaimed.set_rules",
        summary="Write a rule of dormancy (operator)",
        status=201,
    ),
    write(
        "/v1/parties/{party_id}/residence",
        ResidenceBody,
        _residence,
        answer=answers.ResidenceAnswer,
        service="unclaimed.set_residence",
        summary="Write where a party lives (operator)",
        status=201,
    ),
    write(
        "/v1/parties/{party_id}/contact",
        ContactBody,
        _contact,
        answer=answers.ContactAnswer,
        service="unclaimed.note_contact",
        summary="Note a word of an owner that came by letter or telephone (operator)",
        status=201,
    ),
    write(
        "/v1/parties/{party_id}/unclaimed/reactivate",
        ReasonBody,
        _reactivate,
        answer=answers.ReactivatedAnswer,
        service="unclaimed.reactivate",
        summary="Give an owner who turned up his money back",
    ),
    write(
        "/v1/remittances",
        RemittanceBody,
        _remit,
        answer=answers.RemittanceAnswer,
        service="unclaimed.prepare_remittance",
        summary="Put together what is held for a state (an operator in person)",
        status=201,
    ),
    write(
        "/v1/remittances/{remittance_id}/approve",
        Nothing,
        _end_remittance,
        answer=answers.RemittanceAnswer,
        service="unclaimed.approve_remittance",
        summary="Send a remittance (another operator in person)",
    ),
    write(
        "/v1/remittances/{remittance_id}/withdraw",
        Nothing,
        _end_remittance,
        answer=answers.RemittanceAnswer,
        service="unclaimed.withdraw_remittance",
        summary="Take a prepared remittance back (an operator in person)",
    ),
)
"""Every command on money at rest."""
