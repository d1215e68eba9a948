"""API keys by API: make, rotate, revoke, list. A secret is shown once and stored nowhere.

These writes are not for the group commit: a key stands in the shared schema. One transaction
writes the key, its event in the tenant's log, and the answer to the Idempotency-Key.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from psycopg import errors
from pydantic import Field
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from engine.api import gate, store, views
from engine.api.access import Caller, Scope
from engine.api.calls import Nothing, PageQuery
from engine.api.edge import (
    Edge,
    json_body,
    json_response,
    outcome_response,
    request_hash,
    validated,
)
from engine.api.models import Id, Request, Time
from engine.api.refusals import BadCursor, NotFound, ScopeMissing
from kernel import clock, idempotency, keys
from kernel.commands import Outcome, done, refused
from kernel.database import enter
from kernel.errors import Refusal
from kernel.idempotency import IdempotencyKey
from kernel.principals import PrincipalKind
from ledger.model import Draft
from ledger.service import post

LONGEST_OVERLAP_H: Final = 24 * 30
"""Hours for which an old key may live beside the new one."""

MakeKey = Callable[[Connection], tuple[keys.ApiKey, str | None]]
"""Writes as the program's login; the key, and its secret where it is new."""


class KeyBody(Request):
    """A new key. It can do no more than the key that makes it."""

    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=40)]
    label: Annotated[str, Field(max_length=100)] = ""
    party_id: Id | None = None
    is_operator: bool = False
    expires_at: Time | None = None


class RotateBody(Request):
    """How long the old key lives on beside the new one."""

    overlap_hours: Annotated[int, Field(ge=0, le=LONGEST_OVERLAP_H)] = 24


async def create(edge: Edge, request: HttpRequest) -> Response:
    """Make a key; refuses scopes, parties and rights that the caller does not have himself."""
    caller = await edge.admit(request, Scope.KEYS_WRITE)
    body, key = await _read(edge, request, caller, KeyBody)
    _check_rights(caller, body)
    if body.party_id is not None:
        await edge.check_party(caller, body.party_id)

    def make(connection: Connection) -> tuple[keys.ApiKey, str | None]:
        made = keys.create(
            connection,
            caller.tenant,
            scopes=[scope.value for scope in body.scopes],
            kind=PrincipalKind.KEY,
            party_id=body.party_id or caller.sees_only,
            is_operator=body.is_operator,
            label=body.label,
            expires_at=_no_later(body.expires_at, caller.key.expires_at),
        )
        return made.key, made.secret

    return await _write(edge, caller, key, "key.created", make, status=201)


async def rotate(edge: Edge, request: HttpRequest) -> Response:
    """A second key of the same principal; the old one ends after the overlap.

    The answer shows a secret that opens all that the old key did, so who asks must have it himself.
    """
    caller = await edge.admit(request, Scope.KEYS_WRITE)
    body, key = await _read(edge, request, caller, RotateBody)
    old = await _own(edge, caller, request.path_params["key_id"])
    _check_has(caller, old.scopes, is_operator=old.is_operator)
    # Who had another person's secret would be two people.
    if old.kind is PrincipalKind.PERSON and old.principal_id != caller.actor.principal_id:
        raise ScopeMissing(scope=PrincipalKind.PERSON.value)

    def make(connection: Connection) -> tuple[keys.ApiKey, str | None]:
        old_ends_at = datetime.now(UTC) + timedelta(hours=body.overlap_hours)
        made = keys.rotate(connection, caller.tenant, old.id, old_ends_at=old_ends_at)
        return made.key, made.secret

    return await _write(edge, caller, key, "key.rotated", make, status=201)


async def revoke(edge: Edge, request: HttpRequest) -> Response:
    """End a key; felt everywhere within seconds."""
    caller = await edge.admit(request, Scope.KEYS_WRITE)
    _, key = await _read(edge, request, caller, Nothing)
    ended = await _own(edge, caller, request.path_params["key_id"])

    def make(connection: Connection) -> tuple[keys.ApiKey, str | None]:
        return keys.revoke(connection, caller.tenant, ended.id), None

    return await _write(edge, caller, key, "key.revoked", make, status=200)


def list_keys(edge: Edge, caller: Caller, query: PageQuery, after: list[Any] | None) -> list[Any]:
    """Keys of the tenant, or those of the caller's party, one more than asked for."""
    start = None if after is None else _start(after)
    with edge.engine.begin() as connection:
        return keys.list_keys(
            connection,
            caller.tenant,
            after=start,
            limit=query.limit + 1,
            party_id=caller.sees_only,
        )


def _start(position: Any) -> tuple[datetime, str]:  # noqa: ANN401  whoever wrote the cursor
    """Where a page of keys begins; refuses a cursor of another shape."""
    try:
        made_at, key_id = position
        at = datetime.fromisoformat(made_at)
    except (TypeError, ValueError):
        raise BadCursor from None
    if at.tzinfo is None or not isinstance(key_id, str) or not keys.is_key_id(key_id):
        raise BadCursor
    return at, key_id


async def _read(
    edge: Edge, request: HttpRequest, caller: Caller, model: type[Request]
) -> tuple[Any, IdempotencyKey]:
    text = gate.read_key(request)
    raw, value = await json_body(edge, request)
    body = validated(model, raw)
    hashed = request_hash(request, value)
    return body, IdempotencyKey(caller.actor.principal_id, text, hashed)


def _check_rights(caller: Caller, body: KeyBody) -> None:
    """Nobody gives what he has not: scopes, an operator's rights, another party's name."""
    _check_has(caller, [scope.value for scope in body.scopes], is_operator=body.is_operator)
    if caller.sees_only is not None and body.party_id not in {None, caller.sees_only}:
        raise NotFound
    if Scope.ACT_FOR_PARTIES in body.scopes and body.party_id is not None:
        raise ScopeMissing(scope=Scope.ACT_FOR_PARTIES.value)


def _check_has(caller: Caller, scopes: Iterable[str], *, is_operator: bool) -> None:
    """Refuse `auth.scope_missing` for any right that the caller has not himself."""
    for scope in sorted(scopes):
        if scope not in caller.key.scopes:
            raise ScopeMissing(scope=scope)
    if is_operator and not (caller.key.is_operator and caller.sees_only is None):
        raise ScopeMissing(scope="operator")


def _no_later(asked: datetime | None, makers: datetime | None) -> datetime | None:
    """When a new key ends: as asked, but never after the key that made it."""
    return min((each for each in (asked, makers) if each is not None), default=None)


async def _own(edge: Edge, caller: Caller, key_id: str) -> keys.ApiKey:
    """The key, if it is one that the caller may know of."""

    def find() -> keys.ApiKey | None:
        with edge.engine.begin() as connection:
            return keys.find_by_id(connection, caller.tenant, key_id)

    found = await edge.call(find)
    if found is None or caller.sees_only not in {None, found.party_id}:
        raise keys.UnknownKey(key_id=key_id[:40])
    return found


async def _write(
    edge: Edge, caller: Caller, key: IdempotencyKey, kind: str, make: MakeKey, *, status: int
) -> Response:
    try:
        outcome, secret = await edge.call(lambda: _run(edge, caller, key, kind, make))
    except IntegrityError as error:
        if not isinstance(error.orig, errors.UniqueViolation):
            raise
        # A twin with the same key was faster: its answer is there now.
        outcome, secret = await edge.call(lambda: _run(edge, caller, key, kind, make))
    if outcome.is_done and secret is not None:
        return json_response({**outcome.facts, "secret": secret}, status)
    return outcome_response(outcome, status)


def _run(
    edge: Edge, caller: Caller, key: IdempotencyKey, kind: str, make: MakeKey
) -> tuple[Outcome, str | None]:
    """The answer that was stored, or a new one: without its secret, which is never stored."""
    with edge.engine.begin() as connection:
        enter(connection, caller.tenant)
        stored = idempotency.find_answers(connection, [key]).get(key)
        if stored is not None:
            return stored, None
        store.leave_tenant(connection)
        secret = None
        try:
            made, secret = make(connection)
            outcome = done(**views.api_key(made))
        except Refusal as refusal:
            outcome = refused(refusal)
        enter(connection, caller.tenant)
        at = clock.now(connection)
        if outcome.is_done:
            detail = {"key_id": outcome.facts["id"], "principal_id": outcome.facts["principal_id"]}
            post(connection, [Draft(kind, "", caller.actor, at, detail=detail)])
        idempotency.add_answers(connection, [(key, outcome)], at=at)
    if kind == "key.revoked" and outcome.is_done:
        edge.ring.forget(outcome.facts["id"])
    return outcome, secret
