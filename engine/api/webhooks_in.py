"""Webhooks of rails: the raw bytes are verified and kept, and answered once they are committed.

No key is asked for: what proves a webhook is the rail's own signature, or, where a rail signs
nothing, an address that nobody can guess; then it is only a hint. Nothing is worked here. What
cannot be verified is refused with a stable code, and nothing of it is written.

Source: domain/rails.md 1.5, rule 4; domain/audit-and-reliability.md 4.1.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from engine.api import gate, store
from engine.api.access import Scope
from engine.api.answers_rails import RailsAnswer, TakenIn
from engine.api.document import Operation
from engine.api.edge import Edge, json_response
from engine.api.notices import RailFinder
from engine.api.reads_rails import shown
from engine.api.refusals import NotFound, PlatformOnly
from kernel import clock, due
from kernel.database import BadTenantName, Tenant, transaction
from rails import events
from rails.capabilities import BANK, CAPABILITIES, SIMULATED
from rails.port import Rail, WebhookRail
from rails.refusals import BadSignature

WEBHOOK: Final = "/webhooks/{tenant}/{rail}/{endpoint}"
RAILS: Final = "/v1/rails"

_LAST: Final = (SIMULATED.rail_account, BANK.rail_account)
"""Where clients pay only if no other rail serves: a list of rails begins with where they do."""

_TAKEN: Final = {"received": True}

Endpoint = Callable[[Request], Awaitable[Response]]


def routes(edge: Edge, find_rail: RailFinder) -> dict[tuple[str, str], Endpoint]:
    """The two routes that need the rails themselves."""
    return {
        ("POST", WEBHOOK): partial(take, edge, find_rail),
        ("GET", RAILS): partial(show_rails, edge, find_rail),
    }


def operations() -> tuple[Operation, ...]:
    """The same, for the document."""
    return (
        Operation(
            method="POST",
            path=WEBHOOK,
            summary="Where a rail sends its events; the body is taken as it comes",
            answer=TakenIn,
            needs_key=False,
            refuses=(400, 404, 408, 413),
        ),
        Operation(
            method="GET",
            path=RAILS,
            summary="The rails in use and what each can do; clients pay at the first",
            scope=Scope.LEDGER_READ,
            answer=RailsAnswer,
        ),
    )


async def take(edge: Edge, find_rail: RailFinder, request: Request) -> Response:
    """Verify and keep one webhook; the answer is the same for a new event and for an old one."""
    path = request.path_params
    rail, tenant = await _rail_at(edge, find_rail, path["tenant"], path["rail"])
    body = await gate.read_raw(request, timeout_s=edge.body_timeout_s)
    headers = dict(request.headers.items())
    await edge.call(lambda: _keep(edge, tenant, rail, body, headers, path["endpoint"]))
    return json_response(_TAKEN, 200)


async def show_rails(edge: Edge, find_rail: RailFinder, request: Request) -> Response:
    """What each rail of the tenant can do."""
    caller = await edge.admit(request, Scope.LEDGER_READ)
    if caller.sees_only is not None:
        raise PlatformOnly
    names = [*(name for name in CAPABILITIES if name not in _LAST), *_LAST]
    found = [find_rail(caller.tenant, name) for name in names]
    return json_response({"rails": [shown(rail) for rail in found if rail is not None]}, 200)


async def _rail_at(
    edge: Edge, find_rail: RailFinder, tenant_name: str, rail_name: str
) -> tuple[WebhookRail, Tenant]:
    """The tenant's rail; the same refusal whether the tenant, the rail or its webhooks lack."""
    try:
        tenant = Tenant(tenant_name)
    except BadTenantName:
        raise NotFound from None
    if not await edge.call(lambda: _is_tenant(edge, tenant)):
        raise NotFound
    rail: Rail | None = await edge.call(lambda: find_rail(tenant, rail_name))
    if not isinstance(rail, WebhookRail):
        raise NotFound
    return rail, tenant


def _is_tenant(edge: Edge, tenant: Tenant) -> bool:
    with edge.engine.begin() as connection:
        return store.is_tenant(connection, tenant.name)


def _keep(
    edge: Edge,
    tenant: Tenant,
    rail: WebhookRail,
    body: bytes,
    headers: Mapping[str, str],
    endpoint: str,
) -> None:
    """Verify outside any transaction, commit what came, and say that there is work.

    Rails sign with the real time; a sandbox's may live by the sandbox's clock.
    """
    with transaction(edge.engine, tenant) as connection:
        at, real_at = clock.now(connection), clock.real_now(connection)
        is_sandbox = clock.get_mode(connection) is clock.Mode.SANDBOX
    try:
        came = rail.open_event(body, headers, endpoint=endpoint, at=real_at)
    except BadSignature:
        if not is_sandbox:
            raise
        came = rail.open_event(body, headers, endpoint=endpoint, at=at)
    with transaction(edge.engine, tenant) as connection:
        events.take_in(connection, came, at)
    with edge.engine.begin() as connection:
        due.hint_now(connection, [tenant.name])
