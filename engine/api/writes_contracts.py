"""The commands on contracts: offer, accept, pause, end, more milestones, a tip."""

from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import Field

from engine.api.access import Scope
from engine.api.answers import ContractActed, FundingActed
from engine.api.calls import Given, Subject, Write
from engine.api.models import (
    Amount,
    Currency,
    Id,
    RailName,
    ReasonBody,
    Request,
    Text,
    Time,
    Token,
)
from engine.api.refusals import PlatformOnly
from escrow import refusals
from escrow.commands import STANDARD, AddMilestones, ContractCommand, Milestone, Propose, Tip
from escrow.model import ConvertAt, Method, ReleaseRule, Terms
from kernel.commands import Command
from kernel.ids import new_id
from kernel.money import exponent

CONTRACT: Final = Subject("contract", "contract_id", refusals.UnknownContract)

Bps = Annotated[int, Field(ge=0, le=10_000)]


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
    origin: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,39}$")] | None = None
    category: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_.-]{0,79}$")] | None = None
    payee_currency: Currency | None = None
    convert_at: ConvertAt | None = None


_HOUSE_TERMS: Final = (
    *("commission_bps", "client_fee_bps", "security_hold_days", "dormant_limit"),
    *("origin", "category"),
)
"""What the platform earns, and how long it keeps money back: no party's own key names these."""


class ProposeBody(Request):
    """A contract with its milestones."""

    client_id: Id
    payee_id: Id
    currency: Currency
    milestones: Annotated[list[MilestoneBody], Field(min_length=1, max_length=100)]
    terms: TermsBody = TermsBody()


class MilestonesBody(Request):
    """Further milestones."""

    milestones: Annotated[list[MilestoneBody], Field(min_length=1, max_length=100)]


class TipBody(Request):
    """Something on top."""

    amount: Amount
    method: Method = Method.CARD
    method_token: Token = ""
    rail: RailName | None = None


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


def terms_of(body: TermsBody, currency: str, *, is_partys_own: bool) -> Terms:
    """The terms that were given, the standard where none was; all within the database's ranges.

    Refuses `auth.platform_only` where a party's own key names what is the platform's to set.
    """
    exponent(currency)
    named = [name for name in _HOUSE_TERMS if getattr(body, name) is not None]
    if named and is_partys_own:
        raise PlatformOnly(terms=named)
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
        "origin": body.origin,
        "category": body.category,
        "payee_currency": body.payee_currency,
        "convert_at": body.convert_at,
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
        terms=terms_of(body.terms, body.currency, is_partys_own=given.is_partys_own),
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


def _tip(given: Given[TipBody]) -> Command:
    body = given.body
    return Tip(
        actor=given.actor,
        contract_id=given.ids["contract_id"],
        funding_id=new_id(),
        amount_minor=body.amount.minor(given.currency),
        method=body.method,
        method_token=body.method_token,
        rail_account=given.pays_at(body.rail),
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


CONTRACTS: Final[tuple[Write[Any], ...]] = (
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
)
"""Every command on contracts."""
