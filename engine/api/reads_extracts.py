"""A party's transaction history, and its account extracts as JSON, CSV and PDF.

What others call a statement of account is an account extract here. A party sees its own alone.
"""

import io
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import Connection
from starlette.background import BackgroundTask
from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse

from engine.api.access import Caller, Scope
from engine.api.answers_extracts import ExtractAnswer, TransactionAnswer
from engine.api.calls import Look, Page, PageQuery, Read, declare
from engine.api.document import Operation
from engine.api.edge import Edge, json_response, path_ids, query_of
from engine.api.models import Request, Time
from engine.api.reads_reports import AsOf, Currency
from engine.api.refusals import BadCursor, NotFound
from engine.extracts import csv_file, pdf_file
from engine.extracts.shown import Extract, extract_json, lines_of, movement_json, of_month
from escrow.model_extract import Spot
from escrow.rules_extract import Kind
from escrow.service_extract import movements, open_book, page_of_kinds
from ledger import parties
from ledger.known import resolve
from ledger.reports import Span, time_text

EXTRACT: Final = "/v1/parties/{party_id}/extracts/{month}"

_IN_MEMORY_BYTES: Final = 2**20
_CHUNK_BYTES: Final = 2**16


class Format(StrEnum):
    """How an extract is written."""

    JSON = "json"
    CSV = "csv"
    PDF = "pdf"


_MEDIA: Final = {Format.CSV: "text/csv; charset=utf-8", Format.PDF: "application/pdf"}


class TransactionsQuery(PageQuery):
    """Which lines: those that count from `effective_from` until before `effective_at`."""

    effective_from: Time | None = None
    effective_at: Time | None = None
    currency: Currency | None = None
    kind: Kind | None = None
    as_of: AsOf | None = None


class ExtractQuery(Request):
    """In which form, of which currency alone, and as it was known when."""

    format: Format = Format.JSON
    currency: Currency | None = None
    as_of: AsOf | None = None


def _transactions(connection: Connection, look: Look) -> Page | None:
    party_id = look.ids["party_id"]
    if look.sees_only not in {None, party_id}:
        return None
    if party_id not in parties.find_many(connection, [party_id]):
        return None
    query = look.query
    book = open_book(
        connection,
        party_id,
        known=resolve(connection, query.as_of),
        span=Span(query.effective_from, query.effective_at),
        currency=query.currency,
        after=_spot(look),
    )
    kinds = () if query.kind is None else (query.kind,)
    lines, spot = page_of_kinds(connection, book, kinds, limit=query.limit)
    return Page([movement_json(each) for each in lines], spot and _position(spot))


def _position(spot: Spot) -> tuple[str | int, ...]:
    return (time_text(spot.recorded_at) or "", *spot[1:])


def _spot(look: Look) -> Spot | None:
    """Where the page before ended; refuses a cursor whose position is none of a line."""
    if look.after is None:
        return None
    at, *numbers = look.after if len(look.after) == 4 else [None]
    if not isinstance(at, str) or not all(type(each) is int for each in numbers):
        raise BadCursor
    try:
        return Spot(datetime.fromisoformat(at), *numbers)
    except ValueError:
        raise BadCursor from None


async def show_extract(edge: Edge, request: HttpRequest) -> Response:
    """A party's extract of a month: JSON without its lines, or all of it as CSV or PDF."""
    caller = await edge.admit(request, Scope.PARTIES_READ)
    party_id = path_ids(request)["party_id"]
    if caller.sees_only not in {None, party_id}:
        raise NotFound
    query = _query(caller, request)
    month = request.path_params["month"]

    def look(connection: Connection) -> dict[str, Any] | SpooledTemporaryFile[bytes] | None:
        known = resolve(connection, query.as_of)
        extract = of_month(connection, party_id, month, known=known, currency=query.currency)
        if extract is None:
            return None
        if query.format is Format.JSON:
            return extract_json(extract)
        return _written(connection, extract, query.format)

    found = await edge.read(caller.tenant, look)
    if found is None:
        raise NotFound
    if isinstance(found, dict):
        return json_response(found, 200)
    return _file(found, query.format, party_id, month)


def _query(caller: Caller, request: HttpRequest) -> ExtractQuery:
    read = Read(
        path=EXTRACT,
        scope=Scope.PARTIES_READ,
        fetch=lambda _connection, _look: None,
        answer=ExtractAnswer,
        summary="",
        query=ExtractQuery,
    )
    return cast("ExtractQuery", query_of(read, caller, request)[0])


def _written(connection: Connection, extract: Extract, form: Format) -> SpooledTemporaryFile[bytes]:
    """The extract in a file, on disk where it is long: the snapshot ends before it is sent."""
    # Closed once it is sent; until then it belongs to the answer.
    file: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115
    if form is Format.PDF:
        pdf_file.write(file, extract, partial(lines_of, connection, extract))
    else:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        csv_file.write(text, extract, movements(connection, extract.book))
        text.flush()
        text.detach()
    return file


def _file(
    file: SpooledTemporaryFile[bytes], form: Format, party_id: UUID, month: str
) -> StreamingResponse:
    size = file.tell()
    file.seek(0)
    name = f"extract-{party_id}-{month}.{form.value}"
    return StreamingResponse(
        _chunks(file),
        media_type=_MEDIA[form],
        headers={
            "Content-Length": str(size),
            "Content-Disposition": f'attachment; filename="{name}"',
        },
        background=BackgroundTask(file.close),
    )


def _chunks(file: SpooledTemporaryFile[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk


def operations() -> list[Operation]:
    """The extract, for the document."""
    return [
        Operation(
            method="GET",
            path=EXTRACT,
            summary="A party's account extract (statement) of a month: JSON, or format=csv, pdf",
            scope=Scope.PARTIES_READ,
            answer=ExtractAnswer,
            query=ExtractQuery,
            media=("application/json", "text/csv", "application/pdf"),
        )
    ]


EXTRACT_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/parties/{party_id}/transactions",
        Scope.PARTIES_READ,
        _transactions,
        TransactionAnswer,
        summary="A party's transaction history: every line on its accounts, oldest first",
        query=TransactionsQuery,
        pages=True,
    ),
)
"""The look at what came and went."""
