"""The doors to rails themselves: their notices, the page where a client pays, a sandbox's bank."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from engine.api import store
from engine.api.access import Scope
from engine.api.answers import Answer
from engine.api.answers_books import NoticesAnswer
from engine.api.answers_chargebacks import BankActed
from engine.api.document import Operation
from engine.api.edge import Edge, json_body, json_response, path_ids, validated
from engine.api.notices import Inbox, NoticesBody, RailFinder, take_in
from engine.api.refusals import NotFound, PlatformOnly
from engine.api.sandbox import BankBody, play_bank
from engine.handlers import RAIL_RESULTS
from kernel.database import Tenant
from rails import service
from rails.model import RailOperation
from rails.port import PaymentPageRail, Rail
from rails.refusals import NotOffered

NOTICES: Final = "/v1/rails/{rail}/notices"
BANK: Final = "/v1/rails/{rail}/bank"
PAYMENT: Final = "/v1/fundings/{funding_id}/payment"


class PaymentPageAnswer(Answer):
    """Where the client pays: an address to send him to, or a secret for the rail's own fields.

    The secret is for his browser alone; nobody keeps it.
    """

    rail: str
    rail_ref: str
    url: str
    client_secret: str


def no_rails(_tenant: Tenant, _name: str) -> Rail | None:
    """No rail is set up."""
    return None


def endpoints(
    edge: Edge, find_rail: RailFinder
) -> dict[tuple[str, str], Callable[[Request], Awaitable[Response]]]:
    """The routes by method and path."""
    return {
        ("POST", NOTICES): partial(_take_notices, edge, find_rail),
        ("POST", BANK): partial(_play_bank, edge, find_rail),
        ("GET", PAYMENT): partial(_show_payment_page, edge, find_rail),
    }


async def _take_notices(edge: Edge, find_rail: RailFinder, request: Request) -> Response:
    caller = await edge.admit(request, Scope.RAILS_WRITE)
    if caller.sees_only is not None:
        raise PlatformOnly
    rail = find_rail(caller.tenant, request.path_params["rail"])
    raw, _ = await json_body(edge, request)
    body = validated(NoticesBody, raw)
    if rail is None:
        raise NotFound
    inbox = Inbox(edge.engine, caller.tenant, rail, RAIL_RESULTS)
    return json_response(await edge.call(lambda: take_in(inbox, body.notices)), 200)


async def _play_bank(edge: Edge, find_rail: RailFinder, request: Request) -> Response:
    caller = await edge.admit(request, Scope.RAILS_WRITE)
    if caller.sees_only is not None:
        raise PlatformOnly
    rail = find_rail(caller.tenant, request.path_params["rail"])
    raw, _ = await json_body(edge, request)
    body = validated(BankBody, raw)
    if rail is None:
        raise NotFound
    tenant = caller.tenant
    done = await edge.call(lambda: play_bank(edge.engine, tenant, rail, body))
    return json_response(done, 200)


async def _show_payment_page(edge: Edge, find_rail: RailFinder, request: Request) -> Response:
    """Asked of the rail each time, after the snapshot that says that it is the client's to make.

    Who is paid sees the funding, but not the secret with which it is paid.
    """
    caller = await edge.admit(request, Scope.CONTRACTS_READ)
    funding_id = path_ids(request)["funding_id"]

    def look(connection: Connection) -> list[RailOperation] | None:
        sees = caller.sees_only
        if sees is not None and not store.is_seen(connection, "payment", funding_id, party_id=sees):
            return None
        return service.list_operations(connection, [funding_id])

    found = await edge.read(caller.tenant, look)
    if not found:
        raise NotFound
    rail = find_rail(caller.tenant, found[0].rail)
    if not isinstance(rail, PaymentPageRail):
        raise NotOffered(rail=found[0].rail)
    page = await edge.call(lambda: rail.payment_page(found[0]))
    answer = PaymentPageAnswer(
        rail=rail.name,
        rail_ref=found[0].rail_ref,
        url=page.url,
        client_secret=page.client_secret,
    )
    return json_response(answer.model_dump(), 200)


def operations() -> Sequence[Operation]:
    """What stands behind these doors, for the document."""
    return (
        Operation(
            method="POST",
            path=NOTICES,
            summary="Notices of a rail; each is unique by its notice_id",
            scope=Scope.RAILS_WRITE,
            body=NoticesBody,
            answer=NoticesAnswer,
            needs_key=False,
        ),
        Operation(
            method="POST",
            path=BANK,
            summary="Play the client's bank at the simulated rail of a sandbox",
            scope=Scope.RAILS_WRITE,
            body=BankBody,
            answer=BankActed,
            needs_key=False,
        ),
        Operation(
            method="GET",
            path=PAYMENT,
            summary="Where the client pays: an address of the rail, or a secret for its fields",
            scope=Scope.CONTRACTS_READ,
            answer=PaymentPageAnswer,
            refuses=(409,),
        ),
    )
