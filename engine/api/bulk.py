"""Many commands of one kind in one request: up to 1,000 items, a result for each."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

import structlog
from pydantic import BaseModel, Field, create_model
from sqlalchemy.exc import InterfaceError, OperationalError
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from engine.api import gate
from engine.api.access import Caller
from engine.api.calls import LONGEST_BULK, Given, Write
from engine.api.edge import Edge, json_body, json_response, masked, request_hash, validated
from engine.api.models import Id, Request
from engine.api.problems import document
from engine.api.refusals import BadIdempotencyKey, Fault, OutcomeUnknown, Unavailable
from engine.refusals import words
from escrow.refusals import SubjectTwice
from kernel.commands import Command, Outcome
from kernel.errors import Refusal
from kernel.idempotency import IdempotencyKey

_log = structlog.get_logger(__name__)

LONGEST_KEY: Final = 250
"""Each item has a key of its own: the request's, a colon, and the item's number."""


def bulk_model(write: Write[Any]) -> type[BaseModel]:
    """The body of the bulk form: items with the fields of one, and the id that its path names."""
    named: dict[str, Any] = {} if write.subject is None else {write.subject.parameter: (Id, ...)}
    item = create_model(f"{write.body.__name__}Item", __base__=write.body, **named)
    items = Annotated[tuple[item, ...], Field(min_length=1, max_length=LONGEST_BULK)]
    name = "".join(part.title() for part in write.bulk.replace(":", "/").split("/")[2:])
    return create_model(f"{name}Body", __base__=Request, items=(items, ...))


def bulk_route(edge: Edge, write: Write[Any]) -> Callable[[HttpRequest], Awaitable[Response]]:
    """The route of a bulk form: every item succeeds or is refused by itself."""
    model = bulk_model(write)

    async def route(request: HttpRequest) -> Response:
        caller = await edge.admit(request, write.scope)
        key = gate.read_key(request)
        if len(key) > LONGEST_KEY:
            raise BadIdempotencyKey(longest=LONGEST_KEY)
        raw, value = await json_body(edge, request)
        body = validated(model, raw)
        _check_once(write, body.items)
        hashed = request_hash(request, value)
        waiting = [
            _submit(
                edge,
                caller,
                write,
                item,
                IdempotencyKey(caller.actor.principal_id, f"{key}:{number}", hashed),
            )
            for number, item in enumerate(body.items)
        ]
        outcomes = await _gather(edge, waiting)
        results = [
            await _show(edge, caller, write, item, outcome)
            for item, outcome in zip(body.items, outcomes, strict=True)
        ]
        number_done = sum(outcome.is_done for outcome in outcomes)
        shown = {
            "done": number_done,
            "refused": len(outcomes) - number_done,
            "results": results,
        }
        return json_response(shown, 200)

    return route


def _check_once(write: Write[Any], items: tuple[Any, ...]) -> None:
    """Refuse a list that names one subject twice, before anything is done."""
    if write.subject is None:
        return
    named = [getattr(item, write.subject.parameter) for item in items]
    twice = (
        sorted({str(each) for each in named if named.count(each) > 1}) if _has_twins(named) else []
    )
    if twice:
        raise SubjectTwice(subjects=twice[:20])


def _has_twins(named: list[Any]) -> bool:
    return len(set(named)) != len(named)


def _submit(
    edge: Edge,
    caller: Caller,
    write: Write[Any],
    item: BaseModel,
    key: IdempotencyKey,
) -> "asyncio.Future[Outcome]":
    """Put an item into the queue; one that makes no command is answered at once."""
    try:
        command: Command = write.command(
            Given(
                caller.actor,
                item,
                _ids(write, item),
                is_partys_own=caller.is_partys_own,
                rail_account=edge.default_rail(caller.tenant),
            )
        )
    except Refusal as refusal:
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        future.set_result(Outcome(refusal.code, refusal.facts))
        return future
    return edge.doors(caller.tenant).submit_async(write.service, command, key=key)


def _ids(write: Write[Any], item: BaseModel) -> dict[str, Any]:
    subject = write.subject
    return {} if subject is None else {subject.parameter: getattr(item, subject.parameter)}


async def _gather(edge: Edge, waiting: "list[asyncio.Future[Outcome]]") -> list[Outcome]:
    done, late = await asyncio.wait(waiting, timeout=edge.answer_timeout_s)
    if late:
        raise OutcomeUnknown(answered=len(done))
    return [_outcome(future) for future in waiting]


def _outcome(future: "asyncio.Future[Outcome]") -> Outcome:
    """What became of an item; where something broke, its neighbours keep their answers."""
    broken = future.exception()
    if broken is None:
        return future.result()
    is_away = isinstance(broken, OperationalError | InterfaceError)
    _log.error("api.item_broken", error=type(broken).__name__)
    return Outcome(Unavailable.code if is_away else Fault.code)


async def _show(
    edge: Edge,
    caller: Caller,
    write: Write[Any],
    item: BaseModel,
    outcome: Outcome,
) -> Mapping[str, Any]:
    if outcome.is_done:
        return {
            "status": write.status,
            "replayed": outcome.replayed,
            "result": outcome.facts,
            "problem": None,
        }
    code, facts = await masked(edge, caller, write, _ids(write, item), outcome)
    return {
        "status": words(code).status,
        "replayed": outcome.replayed,
        "result": None,
        "problem": document(code, facts),
    }
