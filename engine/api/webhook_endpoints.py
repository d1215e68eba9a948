"""Receivers made and their secrets rotated by API: a secret is shown once and stored nowhere open.

These writes are not for the group commit, whose answers are kept to the byte: one transaction
writes the endpoint or secret, its event, and the answer to the Idempotency-Key without the secret.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Final

from psycopg import errors
from pydantic import Field
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from engine.api import gate
from engine.api.access import Caller, Scope
from engine.api.answers_webhooks import NewEndpointAnswer
from engine.api.document import Operation
from engine.api.edge import (
    Edge,
    json_body,
    json_response,
    outcome_response,
    path_ids,
    request_hash,
    validated,
)
from engine.api.models import Request
from engine.api.reads_webhooks import endpoint_as_json
from engine.webhooks import service
from engine.webhooks.addresses import LONGEST_URL
from engine.webhooks.model import Endpoint
from engine.webhooks.sender import may_use_loopback
from engine.webhooks.service import CreateEndpoint, RotateSecret
from kernel import clock, idempotency
from kernel.commands import Outcome, done, refused
from kernel.database import transaction
from kernel.errors import Refusal
from kernel.idempotency import IdempotencyKey
from kernel.ids import new_id

ALL: Final = "/v1/webhook_endpoints"
ROTATE: Final = "/v1/webhook_endpoints/{endpoint_id}/rotate"
LONGEST_OVERLAP_H: Final = 24 * 30

Endpoints = Mapping[tuple[str, str], Callable[[HttpRequest], Awaitable[Response]]]
Act = Callable[[Connection], tuple[Endpoint, str]]
"""Does it inside the transaction; the endpoint, and the secret to be shown once."""


class EndpointBody(Request):
    """Where to send, and of what: kinds of events, `escrow.*` for a room; none for all."""

    url: Annotated[str, Field(min_length=1, max_length=LONGEST_URL)]
    kinds: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z_]{1,60}\.(\*|[a-z_.]{1,100})$")], ...],
        Field(max_length=100),
    ] = ()
    label: Annotated[str, Field(max_length=200)] = ""


class RotateBody(Request):
    """How long the secret before signs beside the new one."""

    overlap_hours: Annotated[int, Field(ge=0, le=LONGEST_OVERLAP_H)] = 24


def routes(edge: Edge) -> Endpoints:
    """The routes that show a secret."""
    return {("POST", ALL): partial(create, edge), ("POST", ROTATE): partial(rotate, edge)}


def operations() -> tuple[Operation, ...]:
    """The same, for the document."""
    made = partial(
        Operation,
        method="POST",
        scope=Scope.WEBHOOKS_WRITE,
        answer=NewEndpointAnswer,
        status=201,
    )
    return (
        made(path=ALL, summary="A receiver of our events (operator)", body=EndpointBody),
        made(path=ROTATE, summary="A second secret of a receiver (operator)", body=RotateBody),
    )


async def create(edge: Edge, request: HttpRequest) -> Response:
    """Make an endpoint; its secret is shown this once."""
    caller, key, body = await _read(edge, request, EndpointBody)

    def act(connection: Connection) -> tuple[Endpoint, str]:
        command = CreateEndpoint(
            actor=caller.actor,
            endpoint_id=new_id(),
            url=body.url,
            kinds=body.kinds,
            label=body.label,
            allows_loopback=may_use_loopback(connection, os.environ),
        )
        return service.create(connection, command, at=clock.now(connection))

    return await _write(edge, caller, key, act)


async def rotate(edge: Edge, request: HttpRequest) -> Response:
    """A second secret; the one before signs beside it for a while."""
    caller, key, body = await _read(edge, request, RotateBody)
    endpoint_id = path_ids(request)["endpoint_id"]

    def act(connection: Connection) -> tuple[Endpoint, str]:
        command = RotateSecret(
            actor=caller.actor,
            endpoint_id=endpoint_id,
            overlap=timedelta(hours=body.overlap_hours),
        )
        return service.rotate(connection, command, at=clock.now(connection))

    return await _write(edge, caller, key, act)


async def _read(
    edge: Edge, request: HttpRequest, model: type[Request]
) -> tuple[Caller, IdempotencyKey, Any]:
    caller = await edge.admit(request, Scope.WEBHOOKS_WRITE)
    text = gate.read_key(request)
    raw, value = await json_body(edge, request)
    body = validated(model, raw)
    hashed = request_hash(request, value)
    return caller, IdempotencyKey(caller.actor.principal_id, text, hashed), body


async def _write(edge: Edge, caller: Caller, key: IdempotencyKey, act: Act) -> Response:
    try:
        outcome, secret = await edge.call(lambda: _run(edge, caller, key, act))
    except IntegrityError as error:
        if not isinstance(error.orig, errors.UniqueViolation):
            raise
        # A twin with the same key was faster: its answer is there now.
        outcome, secret = await edge.call(lambda: _run(edge, caller, key, act))
    if outcome.is_done and secret is not None:
        return json_response({**outcome.facts, "secret": secret}, 201)
    return outcome_response(outcome, 201)


def _run(edge: Edge, caller: Caller, key: IdempotencyKey, act: Act) -> tuple[Outcome, str | None]:
    """The answer that was stored, or a new one: without its secret, which is never stored."""
    secret = None
    with transaction(edge.engine, caller.tenant) as connection:
        stored = idempotency.find_answers(connection, [key]).get(key)
        if stored is not None:
            return stored, None
        try:
            made, secret = act(connection)
            outcome = done(**endpoint_as_json(made))
        except Refusal as refusal:
            outcome = refused(refusal)
        idempotency.add_answers(connection, [(key, outcome)], at=clock.now(connection))
    return outcome, secret
