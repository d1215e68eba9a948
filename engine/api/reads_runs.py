"""What can be looked at of payout runs, schedules, instant payouts and bank files."""

from typing import Any, Final

from sqlalchemy import Connection
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from engine.api import answers_runs as shapes
from engine.api.access import Scope
from engine.api.calls import Look, Page, PageQuery, Read, after_id, by_id, declare, page_of
from engine.api.document import Operation
from engine.api.edge import Edge
from engine.api.models import Currency, Id, Request, read_id
from engine.api.refusals import NotFound, PlatformOnly
from engine.api.writes_runs import Day, Least, least_minor
from kernel import clock
from kernel.ids import new_id
from kernel.principals import PrincipalKind
from ledger import parties
from payouts import (
    service_bank,
    service_instant,
    service_runs,
    store_runs,
    store_schedules,
)
from payouts.commands_runs import PrepareRun
from payouts.model_runs import Item, ItemState, RunKind, RunState, item_json, progress_of, run_json
from payouts.model_schedules import as_json as schedule_json
from payouts.service_schedules import show as show_schedules
from rails.bank import store as bank
from rails.bank.model import FileFormat, account_json, file_json

CONTENT: Final = "/v1/bank_files/{file_id}/content"

_MEDIA: Final = {FileFormat.CSV: "text/csv; charset=utf-8"}


class RunsQuery(PageQuery):
    """Which runs."""

    state: RunState | None = None


class ItemsQuery(PageQuery):
    """Which items."""

    state: ItemState | None = None


class PreviewQuery(Request):
    """As the body of POST /v1/payout_runs."""

    currency: Currency
    kind: RunKind
    cut_off_on: Day
    due_from_on: Day | None = None


class PartyQuery(PageQuery):
    """Whose."""

    party_id: Id | None = None


class InstantQuery(Request):
    """How much, in which currency."""

    amount: Least
    currency: Currency


def _check_platform(look: Look) -> None:
    if look.sees_only is not None:
        raise PlatformOnly


def _runs(connection: Connection, look: Look) -> Page:
    _check_platform(look)
    query = look.query
    state = query.state and query.state.value
    rows = store_runs.list_runs(
        connection, after=after_id(look), limit=query.limit + 1, state=state
    )
    return page_of(rows, query.limit, show=run_json, key=by_id)


def _run(connection: Connection, look: Look) -> dict[str, Any] | None:
    _check_platform(look)
    found = store_runs.find_runs(connection, [look.ids["run_id"]]).get(look.ids["run_id"])
    return None if found is None else service_runs.totals(connection, found)


def _items(connection: Connection, look: Look) -> Page:
    _check_platform(look)
    query, run_id = look.query, look.ids["run_id"]
    run = store_runs.find_runs(connection, [run_id]).get(run_id)
    if run is None:
        return Page([], None)
    rows = store_runs.list_items(
        connection,
        run_id,
        after=after_id(look),
        limit=query.limit + 1,
        state=query.state and query.state.value,
    )
    return page_of(
        rows, query.limit, show=lambda item: item_json(item, run.currency), key=_by_payee
    )


def _by_payee(item: Item) -> tuple[str]:
    return (str(item.payee_id),)


def _preview(connection: Connection, look: Look) -> dict[str, Any]:
    _check_platform(look)
    query = look.query
    command = PrepareRun(
        actor=look.actor,
        run_id=new_id(),
        currency=query.currency,
        kind=query.kind,
        due_from_on=query.due_from_on or query.cut_off_on,
        cut_off_on=query.cut_off_on,
    )
    at = clock.now(connection)
    outcome, run, items = service_runs.preview(connection, command, at=at)
    return {
        "code": outcome.code,
        "run": run_json(run, progress_of(items)) if run else None,
        "items": [item_json(item, query.currency) for item in items],
    }


def _schedules(connection: Connection, look: Look) -> Page:
    query = look.query
    party_id = look.sees_only or query.party_id
    rows = store_schedules.list_page(
        connection, party_id=party_id, after=after_id(look), limit=query.limit + 1
    )
    return page_of(rows, query.limit, show=schedule_json, key=by_id)


def _party_schedules(connection: Connection, look: Look) -> dict[str, Any] | None:
    party_id = look.ids["party_id"]
    if look.sees_only not in {None, party_id} or not parties.find_many(connection, [party_id]):
        return None
    items = show_schedules(connection, party_id, at=clock.now(connection))
    return {"party_id": str(party_id), "items": items}


def _quote(connection: Connection, look: Look) -> dict[str, Any]:
    query = look.query
    amount_minor = least_minor(query.amount, currency=query.currency)
    return service_instant.quote(
        connection,
        amount_minor=amount_minor,
        currency=query.currency,
        at=clock.now(connection),
    )


def _accounts(connection: Connection, look: Look) -> Page:
    query = look.query
    party_id = look.sees_only or query.party_id
    rows = bank.list_accounts(
        connection, party_id=party_id, after=after_id(look), limit=query.limit + 1
    )
    return page_of(rows, query.limit, show=account_json, key=by_id)


def _files(connection: Connection, look: Look) -> Page:
    _check_platform(look)
    limit = look.query.limit
    rows = bank.list_files(connection, after=after_id(look), limit=limit + 1)
    return page_of(rows, limit, show=file_json, key=by_id)


def _file(connection: Connection, look: Look) -> dict[str, Any] | None:
    _check_platform(look)
    found = bank.find_file(connection, look.ids["file_id"])
    return None if found is None else file_json(found)


async def show_content(edge: Edge, request: HttpRequest) -> Response:
    """The bytes of a file of payments, the same each time; for operators in person alone."""
    caller = await edge.admit(request, Scope.PAYOUTS_WRITE)
    file_id = read_id(request.path_params["file_id"])
    if not caller.actor.is_operator or caller.actor.kind is not PrincipalKind.PERSON:
        raise PlatformOnly

    def look(connection: Connection) -> tuple[bytes, str, str] | None:
        found = bank.find_file(connection, file_id) if file_id else None
        if found is None:
            return None
        written = service_bank.export_file(connection, found)
        return written, found.message_id, _MEDIA.get(found.format, "application/xml")

    shown = await edge.read(caller.tenant, look)
    if shown is None:
        raise NotFound
    written, name, media = shown
    ending = "csv" if media.startswith("text/csv") else "xml"
    headers = {"Content-Disposition": f'attachment; filename="{name}.{ending}"'}
    return Response(written, 200, headers, media)


def operations() -> list[Operation]:
    """The file's bytes, for the document."""
    return [
        Operation(
            method="GET",
            path=CONTENT,
            summary="The bytes of a file of payments (operator, in person)",
            scope=Scope.PAYOUTS_WRITE,
            answer=shapes.BankFileAnswer,
            media=("application/xml", "text/csv"),
        )
    ]


_S: Final = Scope.PAYOUTS_READ

RUN_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/payout_runs",
        _S,
        _runs,
        shapes.PayoutRunAnswer,
        summary="Payout runs, newest first",
        query=RunsQuery,
        pages=True,
    ),
    declare("/v1/payout_runs/{run_id}", _S, _run, shapes.PayoutRunAnswer, summary="A run"),
    declare(
        "/v1/payout_runs/{run_id}/items",
        _S,
        _items,
        shapes.PayoutRunItemAnswer,
        summary="Whom a run pays, and whom not and why",
        query=ItemsQuery,
        pages=True,
    ),
    declare(
        "/v1/payout_run_preview",
        _S,
        _preview,
        shapes.PreviewAnswer,
        summary="What a run would plan now; nothing is written",
        query=PreviewQuery,
    ),
    declare(
        "/v1/payout_schedules",
        _S,
        _schedules,
        shapes.PayoutScheduleAnswer,
        summary="When payees are paid by themselves",
        query=PartyQuery,
        pages=True,
    ),
    declare(
        "/v1/parties/{party_id}/payout_schedule",
        _S,
        _party_schedules,
        shapes.PartySchedulesAnswer,
        summary="When a party is next paid, and what that comes to",
    ),
    declare(
        "/v1/instant_payout_quote",
        _S,
        _quote,
        shapes.InstantQuoteAnswer,
        summary="What an instant payout costs now",
        query=InstantQuery,
    ),
    declare(
        "/v1/bank_accounts",
        _S,
        _accounts,
        shapes.BankAccountAnswer,
        summary="Bank accounts, by their last four characters",
        query=PartyQuery,
        pages=True,
    ),
    declare(
        "/v1/bank_files",
        _S,
        _files,
        shapes.BankFileAnswer,
        summary="Files of payments, newest first",
        query=PageQuery,
        pages=True,
    ),
    declare("/v1/bank_files/{file_id}", _S, _file, shapes.BankFileAnswer, summary="A file"),
)
"""Every look at runs, schedules, instant payouts and bank files."""
