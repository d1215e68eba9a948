"""What can be looked at of invoices and of the tax on fees: a party sees its own documents."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import Connection
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from engine.api.access import Scope
from engine.api.answers_tax import InvoiceAnswer, SupplierAnswer, VatAnswer
from engine.api.calls import Look, Page, PageQuery, Read, after_id, by_id, declare
from engine.api.document import Operation
from engine.api.edge import Edge
from engine.api.models import Id, Request, Time
from engine.api.refusals import NotFound
from kernel import clock
from tax import service_invoice, service_report, store_invoice, store_profile
from tax.model_invoice import DocumentKind, Invoice
from tax.pdf import draw
from tax.service_profile import supplier_facts

PDF: Final = "/v1/invoices/{number}/pdf"

_PAST: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_FUTURE: Final = datetime.fromisoformat("2200-01-01T00:00:00+00:00")


class InvoicesQuery(PageQuery):
    """Which documents: issued from `since` until before `until`."""

    party_id: Id | None = None
    series: Annotated[str, Field(pattern="^[A-Z]{1,8}[0-9]{4}$")] | None = None
    kind: DocumentKind | None = None
    since: Time | None = None
    until: Time | None = None


class VatQuery(Request):
    """Of which time: from `since` until before `until`, by when the books knew it."""

    since: Time | None = None
    until: Time | None = None


def _invoices(connection: Connection, look: Look) -> Page:
    query = look.query
    if look.sees_only is not None and query.party_id not in {None, look.sees_only}:
        return Page([], None)
    rows = store_invoice.list_invoices(
        connection,
        after=after_id(look),
        limit=query.limit + 1,
        party_id=look.sees_only or query.party_id,
        series=query.series,
        kind=query.kind,
        since=query.since,
        until=query.until,
    )
    shown = rows[: query.limit]
    goes_on = len(rows) > query.limit
    return Page(service_invoice.as_json(connection, shown), by_id(shown[-1]) if goes_on else None)


def _invoice(connection: Connection, look: Look) -> dict[str, Any] | None:
    found = _own(connection, look.texts["number"], look.sees_only)
    return None if found is None else service_invoice.as_json(connection, [found])[0]


def _own(connection: Connection, number: str, sees_only: object) -> Invoice | None:
    found = None if "\0" in number else store_invoice.find_invoice(connection, number)
    return found if found and sees_only in {None, found.party_id} else None


def _supplier(connection: Connection, look: Look) -> dict[str, Any] | None:
    if look.sees_only is not None:
        return None
    found = store_profile.find_supplier(connection, at=clock.now(connection))
    return None if found is None else supplier_facts(found)


def _vat(connection: Connection, look: Look) -> dict[str, Any] | None:
    if look.sees_only is not None:
        return None
    query = look.query
    return service_report.vat(connection, since=query.since or _PAST, until=query.until or _FUTURE)


async def show_pdf(edge: Edge, request: HttpRequest) -> Response:
    """A document as PDF: drawn from what is stored, the same bytes on every reading."""
    caller = await edge.admit(request, Scope.CONTRACTS_READ)
    number = request.path_params["number"]

    def look(connection: Connection) -> dict[str, Any] | None:
        found = _own(connection, number, caller.sees_only)
        return None if found is None else service_invoice.as_json(connection, [found])[0]

    shown = await edge.read(caller.tenant, look)
    if shown is None:
        raise NotFound
    drawn = await edge.call(partial(draw, shown))
    headers = {"Content-Disposition": f'attachment; filename="{shown["number"]}.pdf"'}
    return Response(drawn, 200, headers, "application/pdf")


def operations() -> list[Operation]:
    """The PDF, for the document."""
    return [
        Operation(
            method="GET",
            path=PDF,
            summary="An invoice, receipt or credit note as PDF",
            scope=Scope.CONTRACTS_READ,
            answer=InvoiceAnswer,
            media=("application/pdf",),
        )
    ]


TAX_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/invoices",
        Scope.CONTRACTS_READ,
        _invoices,
        InvoiceAnswer,
        summary="Invoices, receipts and credit notes for fees, oldest first",
        query=InvoicesQuery,
        pages=True,
    ),
    declare(
        "/v1/invoices/{number}",
        Scope.CONTRACTS_READ,
        _invoice,
        InvoiceAnswer,
        summary="An invoice, receipt or credit note",
    ),
    declare(
        "/v1/tax/supplier",
        Scope.LEDGER_READ,
        _supplier,
        SupplierAnswer,
        summary="Who supplies, for the tax on fees",
    ),
    declare(
        "/v1/tax/vat",
        Scope.LEDGER_READ,
        _vat,
        VatAnswer,
        summary="The tax owed on fees per country: fees, documents and ledger side by side",
        query=VatQuery,
    ),
)
"""Every look at documents and the tax on fees."""
