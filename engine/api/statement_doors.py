"""Statements as they are, and runs of matching: both run beside the group commit.

Neither asks for a key: a file is known by its bytes, and a second run finds nothing more.
"""

from collections.abc import Awaitable, Callable
from datetime import date
from functools import partial
from typing import Annotated, Final

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from engine.api import gate
from engine.api.access import Caller, Scope
from engine.api.answers_breaks import CertificateMade
from engine.api.answers_reconciliation import MatchingDone, TakenFileAnswer
from engine.api.document import Operation
from engine.api.edge import Edge, json_body, outcome_response, validated
from engine.api.models import Request
from engine.api.refusals import Invalid, PlatformOnly
from engine.api.writes_reconciliation import PlaceName, RailAccount
from kernel import clock
from kernel.commands import Outcome
from kernel.database import transaction
from rails.statements.model import LARGEST_BYTES
from reconciliation import service, service_breaks, service_certificates, service_matching
from reconciliation.commands import RunMatching, TakeFile
from reconciliation.commands_breaks import MakeCertificate
from reconciliation.store_matches import list_places

STATEMENTS: Final = "/v1/reconciliation/statements"
RUNS: Final = "/v1/reconciliation/runs"
CERTIFICATES: Final = "/v1/certificates"

_LONGEST_NAME: Final = 200

Endpoint = Callable[[HttpRequest], Awaitable[Response]]


def _day(told: object) -> date | None:
    if told is None:
        return None
    try:
        if isinstance(told, str) and len(told) == 10:
            return date.fromisoformat(told)
    except ValueError:
        pass
    raise PydanticCustomError("day", "a day as YYYY-MM-DD")


def _needed_day(told: object) -> date:
    found = _day(told)
    if found is None:
        raise PydanticCustomError("day", "a day as YYYY-MM-DD")
    return found


_Day = Annotated[
    date | None,
    BeforeValidator(_day, json_schema_input_type=str),
]


class MatchingRunBody(Request):
    """What to match: a place of the books and, if not all, the days of it."""

    place: PlaceName
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    rail_account: RailAccount = ""
    from_on: _Day = None
    to_on: _Day = None
    dry_run: bool = False


class CertificateBody(Request):
    """Which day is certified, in which currency."""

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    on: Annotated[date, BeforeValidator(_needed_day, json_schema_input_type=str)]


def routes(edge: Edge) -> dict[tuple[str, str], Endpoint]:
    """The three routes."""
    return {
        ("POST", STATEMENTS): partial(take, edge),
        ("POST", RUNS): partial(run, edge),
        ("POST", CERTIFICATES): partial(certify, edge),
    }


def operations() -> tuple[Operation, ...]:
    """The same, for the document."""
    return (
        Operation(
            method="POST",
            path=STATEMENTS,
            summary="Bring a statement: the file itself is the body; Holdfast-File is its name",
            scope=Scope.RAILS_WRITE,
            answer=TakenFileAnswer,
            needs_key=False,
        ),
        Operation(
            method="POST",
            path=RUNS,
            summary="Match what is open of a place, or only say what would come of it",
            scope=Scope.RAILS_WRITE,
            body=MatchingRunBody,
            answer=MatchingDone,
            needs_key=False,
        ),
        Operation(
            method="POST",
            path=CERTIFICATES,
            summary="Find the breaks, and certify a day: ledger, processors and bank",
            scope=Scope.RAILS_WRITE,
            body=CertificateBody,
            answer=CertificateMade,
            needs_key=False,
        ),
    )


async def take(edge: Edge, request: HttpRequest) -> Response:
    """Take a file in, whatever its content type; its format is known by what it holds."""
    caller = await _platform(edge, request)
    name = gate.single_header(request, b"holdfast-file") or ""
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise Invalid(errors=[{"field": "Holdfast-File", "why": "not a file's name"}])
    data = await gate.read_raw(request, largest=LARGEST_BYTES, timeout_s=edge.body_timeout_s)
    wish = TakeFile(actor=caller.actor, name=name, data=data)
    return outcome_response(await edge.call(lambda: _take(edge, caller, wish)), 200)


async def run(edge: Edge, request: HttpRequest) -> Response:
    """Run the rules once."""
    caller = await _platform(edge, request)
    raw, _ = await json_body(edge, request)
    body = validated(MatchingRunBody, raw)
    wish = RunMatching(
        actor=caller.actor,
        place=body.place,
        currency=body.currency,
        rail_account=body.rail_account,
        from_on=body.from_on,
        to_on=body.to_on,
        is_dry=body.dry_run,
    )
    return outcome_response(await edge.call(lambda: _run(edge, caller, wish)), 200)


async def certify(edge: Edge, request: HttpRequest) -> Response:
    """Make breaks of what is left over, then the certificate."""
    caller = await _platform(edge, request)
    raw, _ = await json_body(edge, request)
    body = validated(CertificateBody, raw)
    wish = MakeCertificate(actor=caller.actor, currency=body.currency, on=body.on)
    return outcome_response(await edge.call(lambda: _certify(edge, caller, wish)), 200)


async def _platform(edge: Edge, request: HttpRequest) -> Caller:
    caller = await edge.admit(request, Scope.RAILS_WRITE)
    if caller.sees_only is not None:
        raise PlatformOnly
    return caller


def _take(edge: Edge, caller: Caller, wish: TakeFile) -> Outcome:
    with transaction(edge.engine, caller.tenant) as connection:
        (outcome,) = service.take_files(connection, [wish], at=clock.now(connection))
    return outcome


def _run(edge: Edge, caller: Caller, wish: RunMatching) -> Outcome:
    with transaction(edge.engine, caller.tenant) as connection:
        (outcome,) = service_matching.run_matching(connection, [wish], at=clock.now(connection))
    return outcome


def _certify(edge: Edge, caller: Caller, wish: MakeCertificate) -> Outcome:
    with transaction(edge.engine, caller.tenant) as connection:
        at = clock.now(connection)
        places = list_places(connection)
        service_breaks.take_breaks(connection, places, actor=caller.actor, at=at)
        (outcome,) = service_certificates.make(connection, [wish], at=at)
    return outcome
