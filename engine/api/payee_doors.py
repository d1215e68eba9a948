"""The address where a payee tells a rail about himself: asked of the rail, and told once."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from sqlalchemy import Connection
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from engine.api.access import Scope
from engine.api.answers_payouts import PayeeLinkAnswer
from engine.api.document import Operation
from engine.api.edge import Edge, json_body, json_response, path_ids, validated
from engine.api.models import Request
from engine.api.notices import RailFinder
from engine.api.refusals import NotFound
from payouts import store_payees
from payouts.model_payees import AccountState, PayeeAccount
from payouts.refusals import UnknownPayeeAccount
from rails.port import PayeeRail
from rails.refusals import NotOffered

LINK: Final = "/v1/payee_accounts/{payee_account_id}/link"


def _web_address(text: str) -> str:
    """An address that a browser may be sent to; never a script."""
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise PydanticCustomError("address", "an address that begins with https://")
    return text


Address = Annotated[
    str,
    Field(max_length=500, pattern=r"^https?://[!-~]+$", examples=["https://shop.example/done"]),
    AfterValidator(_web_address),
]


class PayeeLinkBody(Request):
    """Where the rail sends the payee when he is through, and when the link has run out."""

    return_url: Address
    refresh_url: Address


def endpoints(
    edge: Edge, find_rail: RailFinder
) -> dict[tuple[str, str], Callable[[HttpRequest], Awaitable[Response]]]:
    """The route by method and path."""
    return {("POST", LINK): partial(_link, edge, find_rail)}


async def _link(edge: Edge, find_rail: RailFinder, request: HttpRequest) -> Response:
    """Asked of the rail after the snapshot that says whose account it is; kept by nobody."""
    caller = await edge.admit(request, Scope.PAYOUTS_WRITE)
    account_id = path_ids(request)["payee_account_id"]
    raw, _ = await json_body(edge, request)
    body = validated(PayeeLinkBody, raw)

    def look(connection: Connection) -> PayeeAccount | None:
        return store_payees.find_accounts(connection, [account_id]).get(account_id)

    account = await edge.read(caller.tenant, look)
    if account is None or caller.sees_only not in {None, account.party_id}:
        raise NotFound
    if account.state is not AccountState.OPEN:
        raise UnknownPayeeAccount(account_id=str(account_id), state=account.state.value)
    rail = find_rail(caller.tenant, account.rail)
    if not isinstance(rail, PayeeRail):
        raise NotOffered(rail=account.rail)
    url = await edge.call(
        lambda: rail.payee_link(
            account.account_ref, return_url=body.return_url, refresh_url=body.refresh_url
        )
    )
    return json_response(PayeeLinkAnswer(url=url).model_dump(), 200)


def operations() -> Sequence[Operation]:
    """What stands behind this door, for the document."""
    return (
        Operation(
            method="POST",
            path=LINK,
            summary="Where a payee tells the rail about himself",
            scope=Scope.PAYOUTS_WRITE,
            body=PayeeLinkBody,
            answer=PayeeLinkAnswer,
            needs_key=False,
        ),
    )
