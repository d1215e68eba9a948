"""Refusals and faults as RFC 9457 problem documents; nothing of our inside is shown."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
import structlog
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from engine.api.refusals import (
    BodyTooLarge,
    BodyTooSlow,
    Fault,
    MethodNotAllowed,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unreadable,
)
from engine.group_commit import Closed
from engine.refusals import sentence, words
from kernel.errors import RailTrouble, Refusal

MEDIA_TYPE: Final = "application/problem+json"

_CLOSES: Final = frozenset({BodyTooLarge.code, BodyTooSlow.code})

_log = structlog.get_logger(__name__)


def document(code: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """A refusal as a problem document: `type`, `title`, `status`, `detail`, `code`, `facts`."""
    told = words(code)
    return {
        "type": f"urn:holdfast:problem:{code}",
        "title": told.title,
        "status": told.status,
        "detail": sentence(code, facts),
        "code": code,
        "facts": facts,
    }


def problem(
    code: str, facts: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
) -> Response:
    """A refusal as its answer, with the headers that its status asks for."""
    told = words(code)
    more = dict(headers or {})
    if code == Unauthenticated.code:
        more["WWW-Authenticate"] = 'Bearer realm="holdfast"'
    if told.status == 503:
        more["Retry-After"] = "1"
    if code in _CLOSES:
        # The rest of the body is not read, so the connection cannot be used again.
        more["Connection"] = "close"
    return Response(orjson.dumps(document(code, facts)), told.status, more, MEDIA_TYPE)


def add_handlers(app: Starlette) -> None:
    """Let every error that leaves a route end as a problem."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _http)
    for trouble in (OperationalError, InterfaceError, PoolTimeout, Closed, RailTrouble):
        app.add_exception_handler(trouble, _unavailable)
    app.add_exception_handler(Exception, _fault)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return problem(error.code, error.facts)


async def _http(_request: Request, error: Exception) -> Response:
    """What the router itself says: no such path, or not with this method."""
    assert isinstance(error, HTTPException)
    code = {404: NotFound.code, 405: MethodNotAllowed.code}.get(error.status_code, Unreadable.code)
    return problem(code, {}, headers=error.headers)


async def _unavailable(_request: Request, error: Exception) -> Response:
    _log.warning("api.unavailable", error=type(error).__name__)
    return problem(Unavailable.code, {})


async def _fault(_request: Request, error: Exception) -> Response:
    """The outermost frame: it is logged by its type; the server logs where it came from."""
    _log.error("api.fault", error=type(error).__name__)
    return problem(Fault.code, {})
