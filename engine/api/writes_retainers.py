"""The commands on retainers: offer, accept, cancel, pause, draw, approve; and on terms: amend."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from engine.api.access import Scope
from engine.api.answers_retainers import (
    DrawdownActed,
    RetainerActed,
    TermAmendmentActed,
)
from engine.api.calls import Given, Subject, Write
from engine.api.models import (
    Amount,
    Currency,
    Id,
    Reference,
    Request,
    Text,
    Time,
    Token,
    Version,
)
from engine.api.writes_contracts import CONTRACT, TermsBody, terms_of
from escrow.model import Method
from escrow.model_hybrid import Price, ProposeTermAmendment, TermAmendmentCommand
from escrow.model_retainer import (
    Draw,
    DrawdownCommand,
    Every,
    NewContract,
    OfferRetainer,
    OnPause,
    Overage,
    RetainerCommand,
    RetainerKind,
    RetainerTerms,
    Unused,
)
from escrow.refusals_hourly import UnknownTerm
from escrow.refusals_hybrid import UnknownTermAmendment
from escrow.refusals_retainer import UnknownDrawdown, UnknownPeriod, UnknownRetainer
from escrow.rules_retainer_draw import MOST_UNITS
from escrow.rules_retainer_hours import MOST_SPANS
from kernel.commands import Command
from kernel.ids import new_id

RETAINER: Final = Subject("retainer", "retainer_id", UnknownRetainer)
PERIOD: Final = Subject("period", "period_id", UnknownPeriod)
DRAWDOWN: Final = Subject("drawdown", "drawdown_id", UnknownDrawdown)
TERM: Final = Subject("term", "term_id", UnknownTerm)
TERM_AMENDMENT: Final = Subject("term_amendment", "amendment_id", UnknownTermAmendment)

Zone = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern="^[ -~]+$")]


def _day(value: object) -> date:
    wrong = PydanticCustomError("day", "a day is written 2026-01-31")
    if not isinstance(value, str) or len(value) != len("2026-01-31") or not value.isascii():
        raise wrong
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise wrong from None


Day = Annotated[
    date,
    BeforeValidator(_day),
    Field(json_schema_extra={"pattern": "^20[0-9]{2}-[0-9]{2}-[0-9]{2}$"}),
]
"""A day of the calendar."""


class RollBody(Request):
    """What of unused money rolls on: at most so much into one period, for so many periods."""

    cap: Amount
    periods: Annotated[int, Field(ge=1, le=120)] = 1


class RetainerBody(Request):
    """A retainer as it is offered.

    Each period is charged to `method` three days ahead; the client's signature is his consent.
    `hourly_rate` for drawn hours, `quota` for pieces. `rest` is whose it is what may not roll.
    `overage_price` is for an hour or a piece above the period; left out: as those within.
    """

    kind: RetainerKind
    amount: Amount
    every: Every
    anchor_on: Day
    zone: Zone = "UTC"
    unused: Unused = Unused.TO_CLIENT
    rest: Unused = Unused.TO_CLIENT
    roll: RollBody | None = None
    hourly_rate: Amount | None = None
    quota: Annotated[int, Field(ge=1, le=10_000)] | None = None
    overage: Overage = Overage.BLOCK
    overage_price: Amount | None = None
    on_pause: OnPause = OnPause.EXTEND
    notice_days: Annotated[int, Field(ge=0, le=365)] = 14
    method: Method = Method.CARD
    method_token: Token = ""


class ProposeRetainerBody(Request):
    """A contract with a retainer."""

    client_id: Id
    payee_id: Id
    currency: Currency
    retainer: RetainerBody
    terms: TermsBody = TermsBody()


class StepBody(Request):
    """A step; name the version that you looked at, and it must be it."""

    version: Version | None = None
    reason: Text = ""


class SpanBody(Request):
    """Hours that were worked, in whole minutes."""

    started_at: Time
    ended_at: Time


class DrawBody(Request):
    """What is charged against the period: `units` (pieces, or minutes), or the hours worked."""

    message_ref: Reference
    units: Annotated[int, Field(ge=1, le=MOST_UNITS)] | None = None
    hours: Annotated[tuple[SpanBody, ...], Field(max_length=MOST_SPANS)] = ()


class PriceBody(Request):
    """What a retainer costs: a period, and an hour or the pieces that it pays for."""

    amount: Amount
    hourly_rate: Amount | None = None
    quota: Annotated[int, Field(ge=1, le=10_000)] | None = None


class TermAmendmentBody(Request):
    """With a price: from the next period on. Without: the term ends."""

    price: PriceBody | None = None
    reason: Text = ""


def _retainer(body: RetainerBody, currency: str, rail_account: str) -> RetainerTerms:
    def minor(amount: Amount | None) -> int:
        return 0 if amount is None else amount.minor(currency)

    return RetainerTerms(
        kind=body.kind,
        amount_minor=body.amount.minor(currency),
        every=body.every,
        anchor_on=body.anchor_on,
        zone=body.zone,
        unused=body.unused,
        rest=body.rest,
        roll_cap_minor=body.roll.cap.minor(currency) if body.roll else 0,
        roll_periods=body.roll.periods if body.roll else 1,
        hourly_minor=minor(body.hourly_rate),
        quota=body.quota or 0,
        overage=body.overage,
        overage_minor=minor(body.overage_price),
        on_pause=body.on_pause,
        notice_days=body.notice_days,
        method=body.method,
        method_token=body.method_token,
        rail_account=rail_account,
    )


def _propose(given: Given[ProposeRetainerBody]) -> Command:
    body = given.body
    terms = terms_of(body.terms, body.currency, is_partys_own=given.is_partys_own)
    new = NewContract(
        client_id=body.client_id, payee_id=body.payee_id, currency=body.currency, terms=terms
    )
    return OfferRetainer(
        actor=given.actor,
        contract_id=new_id(),
        retainer_id=new_id(),
        terms=_retainer(body.retainer, body.currency, given.rail_account),
        new=new,
    )


def _add(given: Given[RetainerBody]) -> Command:
    return OfferRetainer(
        actor=given.actor,
        contract_id=given.ids["contract_id"],
        retainer_id=new_id(),
        terms=_retainer(given.body, given.currency, given.rail_account),
    )


def _step(given: Given[StepBody]) -> Command:
    return RetainerCommand(
        actor=given.actor,
        retainer_id=given.ids["retainer_id"],
        version=given.body.version,
        reason=given.body.reason,
    )


def _draw(given: Given[DrawBody]) -> Command:
    body = given.body
    return Draw(
        actor=given.actor,
        period_id=given.ids["period_id"],
        drawdown_id=new_id(),
        over_id=new_id(),
        message_ref=body.message_ref,
        units=body.units or 0,
        hours=tuple((each.started_at, each.ended_at) for each in body.hours),
    )


def _drawdown(given: Given[StepBody]) -> Command:
    return DrawdownCommand(
        actor=given.actor,
        drawdown_id=given.ids["drawdown_id"],
        version=given.body.version,
        reason=given.body.reason,
    )


def _amend(given: Given[TermAmendmentBody]) -> Command:
    body, currency = given.body, given.currency
    price: Price | None = None
    if body.price is not None:
        hourly = body.price.hourly_rate
        price = Price(
            amount_minor=body.price.amount.minor(currency),
            hourly_minor=hourly.minor(currency) if hourly else 0,
            quota=body.price.quota or 0,
        )
    return ProposeTermAmendment(
        actor=given.actor,
        amendment_id=new_id(),
        term_id=given.ids["term_id"],
        price=price,
        reason=body.reason,
    )


def _amendment(given: Given[StepBody]) -> Command:
    return TermAmendmentCommand(
        actor=given.actor,
        amendment_id=given.ids["amendment_id"],
        version=given.body.version,
        reason=given.body.reason,
    )


@dataclass(frozen=True, slots=True)
class _Acts:
    """The plain verbs of one kind of subject: where they stand, what they take and answer."""

    path: str
    service: str
    command: Callable[[Given[StepBody]], Command]
    answer: type[Any]
    subject: Subject

    def __call__(
        self, verb: str, summary: str, *, scope: Scope = Scope.CONTRACTS_WRITE
    ) -> Write[Any]:
        return Write(
            path=f"{self.path}/{verb}",
            service=f"escrow.{verb}_{self.service}",
            scope=scope,
            body=StepBody,
            command=self.command,
            answer=self.answer,
            summary=summary,
            subject=self.subject,
        )


_on_retainer: Final = _Acts(
    "/v1/retainers/{retainer_id}", "retainer", _step, RetainerActed, RETAINER
)
_on_drawdown: Final = _Acts(
    "/v1/drawdowns/{drawdown_id}", "drawdown", _drawdown, DrawdownActed, DRAWDOWN
)
_on_amendment: Final = _Acts(
    "/v1/term_amendments/{amendment_id}",
    "term_amendment",
    _amendment,
    TermAmendmentActed,
    TERM_AMENDMENT,
)


_OFFERS: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/retainers",
        service="escrow.offer_retainer",
        scope=Scope.CONTRACTS_WRITE,
        body=ProposeRetainerBody,
        command=_propose,
        answer=RetainerActed,
        summary="Offer a contract with a retainer (client or payee)",
        status=201,
    ),
    Write(
        path="/v1/contracts/{contract_id}/retainers",
        service="escrow.offer_retainer",
        scope=Scope.CONTRACTS_WRITE,
        body=RetainerBody,
        command=_add,
        answer=RetainerActed,
        summary="Offer a retainer beside what the contract has (either party)",
        status=201,
        subject=CONTRACT,
        needs_currency=True,
    ),
)

RETAINERS: Final[tuple[Write[Any], ...]] = (
    *_OFFERS,
    _on_retainer("accept", "Accept the offered retainer: its periods are charged from now on"),
    _on_retainer(
        "cancel",
        "Cancel with notice; at once where both do, by an operator, or decline an offer",
        scope=Scope.MONEY_WRITE,
    ),
    _on_retainer("pause", "Ask for a pause, or agree to the one asked for (either party)"),
    _on_retainer("resume", "End the pause (either party)"),
    Write(
        path="/v1/retainer_periods/{period_id}/drawdowns",
        service="escrow.draw_down",
        scope=Scope.CONTRACTS_WRITE,
        body=DrawBody,
        command=_draw,
        answer=DrawdownActed,
        summary="Charge work against the running period (payee)",
        status=201,
        subject=PERIOD,
    ),
    _on_drawdown(
        "approve", "Pay for what was drawn, or be charged for it (client)", scope=Scope.MONEY_WRITE
    ),
    _on_drawdown("reject", "Say no, with a reason (client)"),
    _on_drawdown("withdraw", "Take back what was drawn (payee)"),
    Write(
        path="/v1/terms/{term_id}/amendments",
        service="escrow.propose_term_amendment",
        scope=Scope.CONTRACTS_WRITE,
        body=TermAmendmentBody,
        command=_amend,
        answer=TermAmendmentActed,
        summary="Offer to end a term, or another price of a retainer (either party)",
        status=201,
        subject=TERM,
        needs_currency=True,
    ),
    _on_amendment(
        "sign", "Sign what the other party offered; it counts at once", scope=Scope.MONEY_WRITE
    ),
    _on_amendment("reject", "Say no to what the other party offered"),
    _on_amendment("withdraw", "Take back what you offered"),
)
"""Every command on retainers and on the terms of a contract."""
