"""The OpenAPI document says all that there is: every route, its scope, its bodies, its statuses."""

import json
import re
from typing import Any

from starlette.routing import Route

from engine.api.access import Scope
from engine.api.app import READS, operations
from engine.api.doors import DOORS
from engine.api.writes import WRITES
from tests.engine.api.conftest import Api


def test_every_route_is_documented_and_every_document_served(app: Any) -> None:
    """The paths and methods of the application are those of the document, no more, no less."""
    served = {
        (route.path, method)
        for route in app.routes
        if isinstance(route, Route) and route.path != "/v1/openapi.json"
        for method in (route.methods or ())
        if method != "HEAD"
    }
    told = {
        (path, method.upper())
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }

    assert served == told


def test_every_write_names_a_service_that_there_is() -> None:
    """No call ends in a door that is not in the table, and no door is without a call."""
    named = {write.service for write in WRITES}

    assert named == set(DOORS)


def test_every_operation_has_a_name_and_a_scope(app: Any) -> None:
    """Names are unique; what is no health check and no webhook wants a key."""
    drawn = [
        (path, operation)
        for path, methods in app.openapi()["paths"].items()
        for operation in methods.values()
    ]

    names = [operation["operationId"] for _, operation in drawn]
    assert len(set(names)) == len(names)
    for path, operation in drawn:
        if path in {"/healthz", "/readyz"} or path.startswith("/webhooks/"):
            assert operation["security"] == []
        else:
            assert operation["x-scope"] in set(Scope)
            assert operation["security"] == [{"api_key": []}]


def test_what_is_paper_or_a_table_is_named(app: Any) -> None:
    """Documents and extracts say in which forms they come."""
    paths = app.openapi()["paths"]
    media = {
        path: set(paths[path]["get"]["responses"]["200"]["content"])
        for path in ("/v1/invoices/{number}/pdf", "/v1/parties/{party_id}/extracts/{month}")
    }

    assert list(media.values()) == [
        {"application/pdf"},
        {"application/json", "text/csv", "application/pdf"},
    ]


def test_every_scope_is_used() -> None:
    """A scope that no call asks for would be a promise of nothing; one is for acting only."""
    used = {each.scope for each in operations()}

    assert set(Scope) - used == {Scope.ACT_FOR_PARTIES}


def test_every_reference_leads_somewhere(app: Any) -> None:
    """No schema refers to one that is missing, and every body forbids unknown fields."""
    document = app.openapi()
    text = json.dumps(document)
    schemas = document["components"]["schemas"]

    assert set(re.findall(r"#/components/schemas/(\w+)", text)) <= set(schemas)
    for write in WRITES:
        assert schemas[write.body.__name__]["additionalProperties"] is False


def test_reads_and_writes_do_not_share_a_scope() -> None:
    """A key that may only read cannot write."""
    reading = {read.scope for read in READS}
    writing = {write.scope for write in WRITES}

    assert not reading & writing


def test_the_document_is_served_without_a_key(api: Api) -> None:
    """Programs that generate clients fetch it as it is; no page of it loads from elsewhere."""
    answer = api.with_key("").call("GET", "/v1/openapi.json")

    assert answer.body["openapi"] == "3.1.0"
    assert api.get("/docs").status == 404
