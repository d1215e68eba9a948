"""The commands of exchange: rates and policies, quotes and conversions, fills, revaluations."""

from datetime import date, timedelta
from fractions import Fraction
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from commissions.commands_fx import ApprovePolicy, AskQuote, PreparePolicy, TakeRates
from commissions.model_fx import FixedSide, Policy
from commissions.refusals_fx import QuoteOfAnotherPair, UnknownParty
from engine.api import answers_exchange as answers
from engine.api.access import Scope
from engine.api.calls import Given, Nothing, Write
from engine.api.models import Amount, Currency, Id, Reference, Request, Text
from escrow.commands_fx import Convert, RecordFill
from kernel.commands import Command
from kernel.ids import new_id
from payouts.service_revaluation import Revalue, ReverseRevaluation
from rails.rates.model import Rate

_LARGEST_RATE: Final = 10**10


def _rate(value: object) -> str:
    """A rate as it is written; ten decimals, and below ten milliards, as the database has it."""
    wrong = PydanticCustomError("rate", "a rate is written 1.0835, with at most ten decimals")
    if not isinstance(value, str) or not value.isascii() or len(value) > 21:
        raise wrong
    whole, point, parts = value.partition(".")
    digits = whole.isdigit() and (parts.isdigit() if point else True)
    if not digits or len(whole) > 10 or len(parts) > 10:
        raise wrong
    return value


def _day(value: object) -> date:
    wrong = PydanticCustomError("day", "a day is written 2026-01-31")
    if not isinstance(value, str) or len(value) != len("2026-01-31"):
        raise wrong
    try:
        found = date.fromisoformat(value)
    except ValueError:
        raise wrong from None
    if not 1999 <= found.year <= 2199:
        raise wrong
    return found


RateOf = Annotated[
    str,
    BeforeValidator(_rate),
    Field(json_schema_extra={"pattern": r"^[0-9]{1,10}(\.[0-9]{1,10})?$"}),
]
Day = Annotated[date, BeforeValidator(_day)]
Bps = Annotated[int, Field(ge=0, le=9_999)]
Provider = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,39}$")]


class RateBody(Request):
    """The mid rate of a pair on a day."""

    sold: Currency
    bought: Currency
    rate: RateOf
    as_of: Day


class RatesBody(Request):
    """What a source gave; `origin` is the file or feed that the rates stood in."""

    source: Provider
    origin: Reference
    rates: Annotated[list[RateBody], Field(min_length=1, max_length=1_000)]


class MarginBody(Request):
    """The margin on a pair that differs from the rest."""

    sold: Currency
    bought: Currency
    margin_bps: Bps


class PolicyBody(Request):
    """How to exchange: from which rates, with what margin, for how long a quote stands.

    `tolerance_bps` is how far the rate may have moved from an ended quote for a release to go on.
    """

    source: Provider
    margin_bps: Bps
    margins: Annotated[list[MarginBody], Field(max_length=1_000)] | None = None
    lifetime_s: Annotated[int, Field(ge=10, le=86_400)] = 900
    reporting: Currency
    tolerance_bps: Bps = 0
    limits: Annotated[list[Amount], Field(max_length=1_000)] | None = None
    reason: Annotated[Text, Field(min_length=1)]


class FxQuoteBody(Request):
    """Both currencies, and an amount of one of them: that side is fixed.

    `party_id` may be left out by a party's own key. With a `contract_id` the quote is for a
    release under it: `amount` is what the payee gets of it in the contract's currency.
    """

    party_id: Id | None = None
    contract_id: Id | None = None
    sold: Currency
    bought: Currency
    amount: Amount


class ConversionBody(Request):
    """The quote to exchange at, and whether a payee's available money or a client's wallet."""

    quote_id: Id
    balance: Literal["available", "wallet"] = "available"


class FillBody(Request):
    """What the provider gave, in the bought currency; `provider_ref` is its name of the trade."""

    conversion_id: Id
    provider: Provider
    provider_ref: Annotated[Reference, Field(min_length=1)]
    amount: Amount


class RevaluationBody(Request):
    """The day at whose end (UTC) balances are revalued."""

    on: Day


class ReverseBody(Request):
    """The day whose revaluation is taken back."""

    on: Day
    reason: Text = ""


def _take(given: Given[RatesBody]) -> Command:
    body = given.body
    return TakeRates(
        actor=given.actor,
        rates=tuple(
            Rate(body.source, each.sold, each.bought, Fraction(each.rate), each.as_of)
            for each in body.rates
        ),
        origin=body.origin,
    )


def _prepare(given: Given[PolicyBody]) -> Command:
    body = given.body
    return PreparePolicy(
        actor=given.actor,
        policy_id=new_id(),
        policy=Policy(
            source=body.source,
            margin_bps=body.margin_bps,
            lifetime=timedelta(seconds=body.lifetime_s),
            reporting=body.reporting,
            tolerance_bps=body.tolerance_bps,
            margins={(each.sold, each.bought): each.margin_bps for each in body.margins or ()},
            limits={each.currency: each.minor() for each in body.limits or ()},
        ),
        reason=body.reason,
    )


def _approve(given: Given[Nothing]) -> Command:
    return ApprovePolicy(actor=given.actor, policy_id=given.ids["policy_id"])


def _quote(given: Given[FxQuoteBody]) -> Command:
    body = given.body
    party_id = body.party_id or given.actor.party_id
    if party_id is None:
        raise UnknownParty(party_id=None)
    if body.amount.currency not in {body.sold, body.bought}:
        raise QuoteOfAnotherPair(currency=body.amount.currency)
    fixed = FixedSide.SELL if body.amount.currency == body.sold else FixedSide.BUY
    return AskQuote(
        actor=given.actor,
        quote_id=new_id(),
        party_id=party_id,
        sold=body.sold,
        bought=body.bought,
        fixed=fixed,
        amount_minor=body.amount.minor(),
        contract_id=body.contract_id,
    )


def _convert(given: Given[ConversionBody]) -> Command:
    return Convert(
        actor=given.actor,
        conversion_id=new_id(),
        quote_id=given.body.quote_id,
        is_wallet=given.body.balance == "wallet",
    )


def _fill(given: Given[FillBody]) -> Command:
    body = given.body
    return RecordFill(
        actor=given.actor,
        conversion_id=body.conversion_id,
        provider=body.provider,
        provider_ref=body.provider_ref,
        filled_minor=body.amount.minor(),
        currency=body.amount.currency,
    )


def _revalue(given: Given[RevaluationBody]) -> Command:
    return Revalue(actor=given.actor, on=given.body.on)


def _reverse(given: Given[ReverseBody]) -> Command:
    return ReverseRevaluation(actor=given.actor, on=given.body.on, reason=given.body.reason)


EXCHANGE: Final[tuple[Write[Any], ...]] = (
    Write(
        path="/v1/fx/rates",
        service="fx.take_rates",
        scope=Scope.RAILS_WRITE,
        body=RatesBody,
        command=_take,
        answer=answers.TakenAnswer,
        summary="Write down the rates that a source gave (the platform)",
        status=201,
    ),
    Write(
        path="/v1/fx/policies",
        service="fx.prepare_policy",
        scope=Scope.FEES_WRITE,
        body=PolicyBody,
        command=_prepare,
        answer=answers.PolicyAnswer,
        summary="Prepare how to exchange from now on (an operator in person)",
        status=201,
    ),
    Write(
        path="/v1/fx/policies/{policy_id}/approve",
        service="fx.approve_policy",
        scope=Scope.FEES_APPROVE,
        body=Nothing,
        command=_approve,
        answer=answers.PolicyAnswer,
        summary="Approve a prepared policy (another operator in person)",
    ),
    Write(
        path="/v1/fx/quotes",
        service="fx.quote",
        scope=Scope.PAYOUTS_WRITE,
        body=FxQuoteBody,
        command=_quote,
        answer=answers.FxQuoteAnswer,
        summary="Have two amounts promised, to be used once before they expire",
        status=201,
    ),
    Write(
        path="/v1/conversions",
        service="escrow.convert",
        scope=Scope.PAYOUTS_WRITE,
        body=ConversionBody,
        command=_convert,
        answer=answers.ConversionAnswer,
        summary="Exchange a payee's available money, or a client's wallet, at a quote",
        status=201,
    ),
    Write(
        path="/v1/fx/fills",
        service="escrow.record_fills",
        scope=Scope.RAILS_WRITE,
        body=FillBody,
        command=_fill,
        answer=answers.ConversionAnswer,
        summary="Record what a provider gave for a conversion (the platform)",
        status=201,
    ),
    Write(
        path="/v1/fx/revaluations",
        service="payouts.revalue",
        scope=Scope.JOURNALS_WRITE,
        body=RevaluationBody,
        command=_revalue,
        answer=answers.RevaluedAnswer,
        summary="Revalue the platform's own foreign balances at the end of a day",
        status=201,
    ),
    Write(
        path="/v1/fx/revaluations/reverse",
        service="payouts.reverse_revaluation",
        scope=Scope.JOURNALS_WRITE,
        body=ReverseBody,
        command=_reverse,
        answer=answers.RevaluationReversedAnswer,
        summary="Take the revaluation of a day back",
    ),
)
"""Every command of exchange."""
