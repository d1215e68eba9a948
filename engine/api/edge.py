"""One process's edge: it runs the declared calls against the rooms behind it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection, Engine
from starlette.requests import Request
from starlette.responses import Response

from engine.api import gate, store
from engine.api.access import PARTY_HEADER, Caller, Scope, admit
from engine.api.calls import Given, Look, Page, Read, Write
from engine.api.cursors import read_cursor, write_cursor
from engine.api.models import read_id
from engine.api.problems import problem
from engine.api.refusals import Invalid, NotFound, OutcomeUnknown
from engine.api.strict_json import canonical, parse
from engine.group_commit import GroupCommit
from kernel.commands import Command, Outcome
from kernel.database import Tenant, snapshot
from kernel.idempotency import IdempotencyKey
from kernel.keys import ApiKey, KeyRing
from ledger import parties
from rails.capabilities import SIMULATED

JSON: Final = "application/json"
NOT_YOURS: Final = frozenset(
    {
        *("escrow.not_yours", "payouts.not_yours", "plans.not_yours"),
        *("party.operator_only", "payouts.operator_only"),
    }
)

_MOST_PARTIES: Final = 100_000

Result = TypeVar("Result")


def simulated_only(_tenant: Tenant) -> str:
    """Where payments are made if no rail is set up."""
    return SIMULATED.rail_account


@dataclass(slots=True, eq=False)
class Edge:
    """What every call needs. `doors` gives a tenant's group commit, always the same one.

    `default_rail` says where a tenant's payments are made if a call does not. Reads run on
    `readers`, each in a snapshot on a connection of `engine`.
    """

    engine: Engine
    ring: KeyRing
    doors: Callable[[Tenant], GroupCommit]
    readers: ThreadPoolExecutor
    answer_timeout_s: float = 30.0
    body_timeout_s: float = gate.BODY_TIMEOUT_S
    default_rail: Callable[[Tenant], str] = simulated_only
    known_parties: set[tuple[str, UUID]] = field(default_factory=set)

    async def admit(self, request: Request, scope: Scope) -> Caller:
        """Who calls; refused unless the key is live and good for this."""
        caller = await admit(request, scope, find_key=self._find_key, knows_party=self._knows_party)
        request.state.tenant = caller.tenant.name
        request.state.principal_id = str(caller.actor.principal_id)
        return caller

    async def read(self, tenant: Tenant, look: Callable[[Connection], Result]) -> Result:
        """Run a read in one snapshot of the tenant, off the event loop."""

        def run() -> Result:
            with snapshot(self.engine, tenant) as connection:
                return look(connection)

        return await asyncio.get_running_loop().run_in_executor(self.readers, run)

    async def call(self, work: Callable[[], Result]) -> Result:
        """Run anything else that waits for the database, off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.readers, work)

    async def submit(
        self, caller: Caller, service: str, command: Command, key: IdempotencyKey | None
    ) -> Outcome:
        """What became of a command; `request.outcome_unknown` if the answer is not in time."""
        future = self.doors(caller.tenant).submit_async(service, command, key=key)
        try:
            return await asyncio.wait_for(asyncio.shield(future), self.answer_timeout_s)
        except TimeoutError:
            raise OutcomeUnknown from None

    async def check_party(self, caller: Caller, party_id: UUID) -> None:
        """Refuse a party that the tenant does not have."""
        if not await self._knows_party(caller.tenant, party_id):
            raise parties.UnknownParty(party_id=str(party_id))

    async def _find_key(self, secret: str) -> ApiKey | None:
        return self.ring.recall(secret) or await self.call(lambda: self.ring.find(secret))

    async def _knows_party(self, tenant: Tenant, party_id: UUID) -> bool:
        """Parties are never deleted, so one that was seen is known for good."""
        if (tenant.name, party_id) in self.known_parties:
            return True
        found = await self.read(
            tenant, lambda connection: parties.find_many(connection, [party_id])
        )
        if found and len(self.known_parties) < _MOST_PARTIES:
            self.known_parties.add((tenant.name, party_id))
        return bool(found)


def write_route(edge: Edge, write: Write[Any]) -> Callable[[Request], Awaitable[Response]]:
    """The route of a command: gate, model, key, group commit, answer."""

    async def route(request: Request) -> Response:
        caller = await edge.admit(request, write.scope)
        key = gate.read_key(request)
        ids = path_ids(request)
        raw, value = await json_body(edge, request)
        body = validated(write.body, raw)
        currency = await _currency(edge, caller, write, ids)
        command = write.command(
            Given(
                caller.actor,
                body,
                ids,
                currency,
                is_partys_own=caller.is_partys_own,
                rail_account=edge.default_rail(caller.tenant),
            )
        )
        hashed = request_hash(request, value)
        outcome = await edge.submit(
            caller,
            write.service,
            command,
            IdempotencyKey(caller.actor.principal_id, key, hashed),
        )
        return await answer(edge, caller, write, ids, outcome)

    return route


def read_route(edge: Edge, read: Read) -> Callable[[Request], Awaitable[Response]]:
    """The route of a read: one snapshot, one item or one page."""

    async def route(request: Request) -> Response:
        caller = await edge.admit(request, read.scope)
        query, after, bound_to = query_of(read, caller, request)
        look = Look(
            caller.actor, caller.sees_only, path_ids(request), request.path_params, query, after
        )
        found = await edge.read(caller.tenant, lambda connection: read.fetch(connection, look))
        if found is None:
            raise NotFound
        if isinstance(found, Page):
            return page_response(found, bound_to)
        return json_response(found, 200)

    return route


def query_of(read: Read, caller: Caller, request: Request) -> tuple[Any, list[Any] | None, bytes]:
    """A read's parameters, the position that its cursor names, and what its cursors belong to."""
    query = _query(read, request)
    bound_to = _bound_to(read, caller, request)
    cursor = getattr(query, "cursor", None)
    after = None if cursor is None else read_cursor(cursor, bound_to=bound_to)
    return query, after, bound_to


def page_response(page: Page, bound_to: bytes) -> Response:
    """A page and the cursor of the next one; null at the end of the list."""
    following = page.next and write_cursor(page.next, bound_to=bound_to)
    return json_response({"items": page.items, "next_cursor": following}, 200)


async def answer(
    edge: Edge, caller: Caller, write: Write[Any], ids: Mapping[str, UUID], outcome: Outcome
) -> Response:
    """An outcome as HTTP; a stranger to a deal learns no more than that it is not there."""
    headers = {"Idempotent-Replayed": "true"} if outcome.replayed else {}
    if outcome.is_done:
        return json_response(outcome.facts, write.status, headers)
    code, facts = await masked(edge, caller, write, ids, outcome)
    return problem(code, facts, headers=headers)


def outcome_response(outcome: Outcome, status: int) -> Response:
    """An outcome as HTTP where nothing has to be hidden."""
    headers = {"Idempotent-Replayed": "true"} if outcome.replayed else {}
    if outcome.is_done:
        return json_response(outcome.facts, status, headers)
    return problem(outcome.code, outcome.facts, headers=headers)


def json_response(
    body: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer as compact JSON."""
    return Response(orjson.dumps(body), status, headers, JSON)


async def masked(
    edge: Edge, caller: Caller, write: Write[Any], ids: Mapping[str, UUID], outcome: Outcome
) -> tuple[str, Mapping[str, Any]]:
    """Code and facts of a refusal; of another party's subject those of an unknown one."""
    subject, party_id = write.subject, caller.sees_only
    if subject is None:
        return outcome.code, outcome.facts
    named = ids[subject.parameter]
    if outcome.code == subject.unknown.code:
        return outcome.code, {subject.parameter: str(named)}
    if party_id is None or outcome.code not in NOT_YOURS:
        return outcome.code, outcome.facts
    is_theirs = await edge.read(
        caller.tenant,
        lambda connection: store.is_seen(connection, subject.kind, named, party_id=party_id),
    )
    if is_theirs:
        return outcome.code, outcome.facts
    return subject.unknown.code, {subject.parameter: str(named)}


async def json_body(edge: Edge, request: Request) -> tuple[bytes, Any]:
    """The body's bytes and value behind the gate; no body at all is an empty object."""
    if request.headers.get("content-length", "0") == "0" and not _is_chunked(request):
        return b"{}", {}
    raw = await gate.read_body(request, timeout_s=edge.body_timeout_s)
    return raw, parse(raw)


def _is_chunked(request: Request) -> bool:
    return "transfer-encoding" in request.headers


def validated(model: type[BaseModel], raw: bytes) -> Any:  # noqa: ANN401  an instance of `model`
    """The body as its model; refuses `request.invalid` naming each field, never its content."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise invalid(error) from None


def invalid(error: ValidationError) -> Invalid:
    """Which fields were wrong and why, without repeating what was sent."""
    errors = [
        {"field": ".".join(str(part) for part in each["loc"])[:200], "why": each["msg"][:200]}
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return Invalid(errors=errors[:20])


def request_hash(request: Request, value: object, *more: bytes) -> bytes:
    """What a key stands for: SHA-256 over method, path, acting party and the canonical body."""
    party = request.headers.get(PARTY_HEADER.decode(), "")
    head = f"{request.method}\n{request.scope['path']}\n{party}\n".encode()
    return sha256(head + canonical(value) + b"".join(more)).digest()


def path_ids(request: Request) -> dict[str, UUID]:
    """The ids of the path; a malformed one is as unknown as a well-formed unknown one."""
    ids: dict[str, UUID] = {}
    for name, text in request.path_params.items():
        if name.endswith("_id") and name not in {"key_id", "event_id", "account_id"}:
            found = read_id(text)
            if found is None:
                raise NotFound
            ids[name] = found
    return ids


async def _currency(edge: Edge, caller: Caller, write: Write[Any], ids: Mapping[str, UUID]) -> str:
    """The currency of the deal, which never changes; refuses an unknown subject."""
    subject = write.subject
    if subject is None or not write.needs_currency:
        return ""
    named = ids[subject.parameter]
    currency = await edge.read(
        caller.tenant,
        lambda connection: store.find_currency(
            connection, subject.kind, named, sees_only=caller.sees_only
        ),
    )
    if currency is None:
        raise subject.unknown(**{subject.parameter: str(named)})
    return currency


def _query(read: Read, request: Request) -> Any:  # noqa: ANN401  an instance of the read's model
    """The parameters as the read's model; one given twice is refused, as is an unknown one."""
    pairs: Sequence[tuple[str, str]] = request.query_params.multi_items()
    given = dict(pairs)
    if len(given) != len(pairs):
        raise Invalid(errors=[{"field": "query", "why": "a parameter stands there twice"}])
    if any("\0" in value or "\ufffd" in value for value in given.values()):
        raise Invalid(errors=[{"field": "query", "why": "not a text"}])
    try:
        return read.query.model_validate_strings(given, strict=True)
    except ValidationError as error:
        raise invalid(error) from None


def _bound_to(read: Read, caller: Caller, request: Request) -> bytes:
    """What a cursor of this list belongs to: caller, tenant, list and filters."""
    filters = sorted(
        pair for pair in request.query_params.multi_items() if pair[0] not in {"cursor", "limit"}
    )
    parts = [caller.tenant.name, str(caller.actor.principal_id), str(caller.sees_only)]
    return orjson.dumps([*parts, read.path, request.scope["path"], filters])
