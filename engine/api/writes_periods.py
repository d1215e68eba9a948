"""The acts on periods by HTTP: they run beside the group commit (`engine.closing`)."""

from functools import partial
from typing import Final

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from engine import closing
from engine.api import gate
from engine.api.access import Scope
from engine.api.answers_periods import PeriodAnswer
from engine.api.document import Operation
from engine.api.edge import Edge, json_body, outcome_response, request_hash, validated
from engine.api.models import ReasonBody
from engine.api.reads_books import number
from kernel.idempotency import IdempotencyKey
from ledger.periods import PeriodCommand
from ledger.rules_periods import UnknownPeriod

_PERIOD: Final = "/v1/periods/{period}"

PATHS: Final = {
    f"{_PERIOD}/soft-close": "soft-close",
    f"{_PERIOD}/close": "close",
    f"{_PERIOD}/ask-reopen": "ask-reopen",
    f"{_PERIOD}/reopen": "reopen",
}
"""Path -> verb of `engine.closing`."""

_SUMMARIES: Final = {
    "soft-close": "Let finance people alone post into a period that is over",
    "close": "Prove, seal and close a period with its trial balance",
    "ask-reopen": "Ask for a period to be reopened: the first of two people",
    "reopen": "Reopen a period: another person than the one who asked",
}

OPERATIONS: Final = tuple(
    Operation(
        method="POST",
        path=path,
        summary=_SUMMARIES[verb],
        scope=Scope.PERIODS_WRITE,
        body=ReasonBody,
        answer=PeriodAnswer,
    )
    for path, verb in PATHS.items()
)


async def take(edge: Edge, verb: str, request: HttpRequest) -> Response:
    """Act on the period that the path names; only a person with the finance right may."""
    caller = await edge.admit(request, Scope.PERIODS_WRITE)
    text = gate.read_key(request)
    raw, value = await json_body(edge, request)
    body = validated(ReasonBody, raw)
    named = request.path_params["period"]
    period_id = number(named)
    if period_id is None:
        raise UnknownPeriod(period_id=named[:20])
    command = PeriodCommand(actor=caller.actor, period_id=period_id, reason=body.reason)
    key = IdempotencyKey(caller.actor.principal_id, text, request_hash(request, value))
    if verb == "close":
        work = partial(closing.close, edge.engine, caller.tenant, command, key)
    else:
        work = partial(closing.take, edge.engine, caller.tenant, verb, command, key)
    return outcome_response(await edge.call(work), 200)
