"""`POST /v1/quotes`: a question with a body. It writes nothing and needs no Idempotency-Key."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints
from sqlalchemy import Connection
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from commissions.model import Basis
from engine.api import answers_books
from engine.api.access import Caller, Scope
from engine.api.answers_quotes import QuoteAnswer
from engine.api.calls import LONGEST_BULK
from engine.api.document import Operation
from engine.api.edge import Edge, json_body, json_response, outcome_response, validated
from engine.api.models import Amount, Currency, Id, Request
from engine.api.problems import document
from escrow import service_quote
from escrow.model import ConvertAt, Terms
from escrow.model_quote import AskQuote
from escrow.rules_quote import BadQuote
from kernel import clock
from kernel.commands import Outcome, refused
from kernel.errors import Refusal
from kernel.money import exponent

ONE: Final = "/v1/quotes"
MANY: Final = "/v1/quotes:bulk"

_MOST_MINUTES: Final = 1_000_000
_Bps = Annotated[int, Field(ge=0, le=10_000)]
_Word = Annotated[str, StringConstraints(pattern="^[a-z0-9][a-z0-9_.-]{0,79}$")]
_Code = Annotated[str, StringConstraints(max_length=80, pattern="^[!-~]+$")]


class QuoteTerms(Request):
    """Terms of a contract that might be proposed, as far as they matter to its price.

    The rates are those that hold where no fee schedule is for the deal.
    """

    commission_bps: _Bps | None = None
    client_fee_bps: _Bps | None = None
    origin: Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,39}$")] | None = None
    category: _Word | None = None
    payee_currency: Currency | None = None
    convert_at: ConvertAt | None = None


class QuoteBody(Request):
    """What shall be quoted.

    Of a contract, or of client, payee and currency; one of `amount` (of a retainer: per period),
    `minutes` at `hourly_rate`, or `net_guaranteed`: what the payee gets at least, in his currency.
    """

    kind: Literal["milestone", "hourly", "retainer", "bonus"] = "milestone"
    contract_id: Id | None = None
    client_id: Id | None = None
    payee_id: Id | None = None
    currency: Currency | None = None
    terms: QuoteTerms | None = None
    promotion: _Code | None = None
    amount: Amount | None = None
    minutes: Annotated[int, Field(ge=1, le=_MOST_MINUTES)] | None = None
    hourly_rate: Amount | None = None
    net_guaranteed: Amount | None = None


class QuotesBody(Request):
    """Several questions."""

    items: Annotated[tuple[QuoteBody, ...], Field(min_length=1, max_length=LONGEST_BULK)]


def command_of(caller: Caller, body: QuoteBody) -> AskQuote:
    """The question; refuses `money.*`, `fees.bad_quote`."""
    given = (body.amount, body.hourly_rate, body.net_guaranteed)
    stated = {each.currency for each in given if each is not None}
    if len(stated) > 1:
        raise BadQuote(why="one currency")
    if body.currency is not None:
        exponent(body.currency)
    return AskQuote(
        actor=caller.actor,
        kind=Basis(body.kind),
        contract_id=body.contract_id,
        client_id=body.client_id,
        payee_id=body.payee_id,
        currency=body.currency,
        terms=None if body.terms is None else _terms(body.terms),
        promotion=body.promotion,
        stated_in=next(iter(stated), None),
        amount_minor=_minor(body.amount),
        minutes=body.minutes,
        rate_minor=_minor(body.hourly_rate),
        net_minor=_minor(body.net_guaranteed),
    )


def _minor(amount: Amount | None) -> int | None:
    return None if amount is None else amount.minor()


def _terms(body: QuoteTerms) -> Terms:
    named = {name: value for name, value in body if value is not None}
    return Terms(**named)


async def take_one(edge: Edge, request: HttpRequest) -> Response:
    """One question, one answer or refusal."""
    caller, body = await _read(edge, request, QuoteBody)
    (outcome,) = await _answer(edge, caller, [body])
    return outcome_response(outcome, 200)


async def take_many(edge: Edge, request: HttpRequest) -> Response:
    """Up to 1,000 questions, an answer or refusal for each, from one snapshot."""
    caller, body = await _read(edge, request, QuotesBody)
    outcomes = await _answer(edge, caller, body.items)
    number_done = sum(each.is_done for each in outcomes)
    return json_response(
        {
            "done": number_done,
            "refused": len(outcomes) - number_done,
            "results": [_shown(each) for each in outcomes],
        },
        200,
    )


async def _read(edge: Edge, request: HttpRequest, model: type[Request]) -> tuple[Caller, Any]:
    caller = await edge.admit(request, Scope.CONTRACTS_READ)
    raw, _ = await json_body(edge, request)
    return caller, validated(model, raw)


async def _answer(edge: Edge, caller: Caller, bodies: Any) -> list[Outcome]:  # noqa: ANN401  a sequence of the model
    asks: list[AskQuote | Refusal] = []
    for body in bodies:
        try:
            asks.append(command_of(caller, body))
        except Refusal as refusal:
            asks.append(refusal)
    good = [each for each in asks if isinstance(each, AskQuote)]

    def look(connection: Connection) -> list[Outcome]:
        return service_quote.quote(connection, good, at=clock.now(connection)) if good else []

    found = iter(await edge.read(caller.tenant, look))
    return [refused(each) if isinstance(each, Refusal) else next(found) for each in asks]


def _shown(outcome: Outcome) -> dict[str, Any]:
    if outcome.is_done:
        return {"status": 200, "replayed": False, "result": outcome.facts, "problem": None}
    problem = document(outcome.code, outcome.facts)
    return {"status": problem["status"], "replayed": False, "result": None, "problem": problem}


def operations() -> list[Operation]:
    """The two questions, for the document."""
    return [
        Operation(
            method="POST",
            path=ONE,
            summary="The whole price of a payment before anyone signs; writes nothing",
            scope=Scope.CONTRACTS_READ,
            body=QuoteBody,
            answer=QuoteAnswer,
            needs_key=False,
        ),
        Operation(
            method="POST",
            path=MANY,
            summary="Up to 1,000 quotes from one snapshot; each is answered or refused by itself",
            scope=Scope.CONTRACTS_READ,
            body=QuotesBody,
            answer=answers_books.BulkAnswer,
            needs_key=False,
        ),
    ]
