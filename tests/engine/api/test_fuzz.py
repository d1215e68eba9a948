"""Requests drawn from the document itself, whole and broken: never a fault, never a surprise.

`Api.call` checks every answer against the document: its status is named there, its body has the
shape that is promised.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from engine.api.app import make_app, operations
from engine.api.document import Operation
from engine.api.doors import TenantDoors
from engine.signer import open_signer
from tests.engine.api.conftest import Api, Deal, World, make_deal, pay

WRITES: Final = [each for each in operations() if each.method == "POST"]
READS: Final = [each for each in operations() if each.method == "GET"]

KNOWN: Final = {
    "account_id": "1",
    "event_id": "16384",
    "rail": "simulated",
    "key_id": "0" * 32,
}
PLACES: Final = {
    "journal_no": ["1", "2", "0", "-1", "9" * 18, "9" * 30, "x"],
    "month": ["2026-02", "2026-03", "2026-13", "0000-00", "9" * 30, "x"],
    "period": ["2026-02", "2026-03", "2026-13", "0000-00", "9" * 30, "x"],
}
"""Parts of a path that are no ids: some that there are, some that there cannot be."""

ODD: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=20)
    | st.sampled_from(["", "0", "-1", "1e9", "EUR", "\u202e", "' OR 1=1", "0" * 300]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def app(
    api_engine: Engine, world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """The application with a signer at hand."""
    doors = TenantDoors(api_engine)
    signer = open_signer(tmp_path_factory.mktemp("signer"))
    yield make_app(
        api_engine, doors, find_rail=world.find_rail, ask_signer=signer.answer, logs_access=False
    )
    doors.close()


@pytest.fixture(scope="module")
def deal(api: Api, world: World) -> Deal:
    """Ids that there are, and events of which some are sealed."""
    made = make_deal(api, "100.00", "50.00", "25.00")
    for slot in made.slots[:2]:
        pay(made, world, slot)
        assert api.call("POST", "/v1/log/checkpoint", json={}).status == 200
    return made


def _drawn(document: dict[str, Any], schema: dict[str, Any], ids: list[str]) -> Any:
    """A strategy for values of a schema, with ids that there are."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _drawn(document, document["components"]["schemas"][name], ids)
    if "anyOf" in schema:
        return st.one_of([_drawn(document, each, ids) for each in schema["anyOf"]])
    if schema.get("type") == "object":
        return _object(document, schema, ids)
    if schema.get("type") == "array":
        items = _drawn(document, schema.get("items", {}), ids)
        return st.lists(items, min_size=schema.get("minItems", 0), max_size=3)
    return _plain(schema, ids)


def _plain(schema: dict[str, Any], ids: list[str]) -> Any:
    """A strategy for a value without parts."""
    of_kind = {
        "integer": st.integers(schema.get("minimum", -5), min(schema.get("maximum", 99), 99)),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    of_format = {"uuid": st.sampled_from(ids), "date-time": st.just("2026-03-02T09:00:00Z")}
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("format") in of_format:
        return of_format[schema["format"]]
    words = ["EUR", "10.00", "1", "JPY", "message-1", "x" * 500, "1.005", "slot:" + ids[0]]
    fitting = [word for word in words if len(word) <= schema.get("maxLength", 999)]
    return of_kind.get(schema.get("type", ""), st.sampled_from(fitting))


def _object(document: dict[str, Any], schema: dict[str, Any], ids: list[str]) -> Any:
    required = set(schema.get("required", ()))
    drawn = {name: _drawn(document, s, ids) for name, s in schema.get("properties", {}).items()}
    return st.fixed_dictionaries(
        {name: each for name, each in drawn.items() if name in required},
        optional={name: each for name, each in drawn.items() if name not in required},
    )


def _ids(deal: Deal) -> list[str]:
    unknown = "0190a0b0-0000-7000-8000-000000000001"
    return [*deal.slots, deal.contract_id, deal.client_id, deal.payee_id, unknown]


def _path(template: str, ids: list[str], data: st.DataObject) -> str:
    path = template
    while "{" in path:
        name = path[path.index("{") + 1 : path.index("}")]
        value = KNOWN.get(name) or data.draw(st.sampled_from(PLACES.get(name, ids)))
        path = path.replace("{" + name + "}", value, 1)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("operation", WRITES, ids=lambda each: each.path)
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_no_write_ends_in_a_fault(
    api: Api, deal: Deal, operation: Operation, data: st.DataObject
) -> None:
    """Bodies of the right shape and broken ones: done, or refused with a reason."""
    ids = _ids(deal)
    caller = data.draw(st.sampled_from([api, deal.client, deal.payee]))
    path = _path(operation.path, ids, data)
    drawn = caller.app.openapi()["paths"][operation.path]["post"].get("requestBody")
    schema = drawn["content"]["application/json"]["schema"] if drawn else {"type": "object"}
    body = data.draw(_drawn(caller.app.openapi(), schema, ids))
    if data.draw(st.booleans()) and isinstance(body, dict):
        broken = data.draw(st.sampled_from([*body, "unknown"]))
        body = {**body, broken: data.draw(ODD)}

    answer = caller.post(path, body)

    assert answer.status < 500, (path, json.dumps(body), answer.body)


@pytest.mark.slow
@pytest.mark.parametrize("operation", READS, ids=lambda each: each.path)
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_no_read_ends_in_a_fault(
    api: Api, deal: Deal, operation: Operation, data: st.DataObject
) -> None:
    """Parameters of any kind: an answer of the documented shape, or a refusal."""
    caller = data.draw(st.sampled_from([api, deal.client, deal.payee]))
    path = _path(operation.path, _ids(deal), data)
    fields = operation.query.model_fields if operation.query else {}
    names = [field.alias or name for name, field in fields.items()]
    text = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
        [
            *("1", "2", "9" * 18, "active", "EUR", "custody.escrow", "custody", "client"),
            *(deal.slots[0], f"slot:{deal.slots[0]}", "2026-03", "2026-03-02T09:00:00Z", "true"),
        ]
    )
    query = data.draw(
        st.dictionaries(st.sampled_from(names), text, max_size=3) if names else st.just({})
    )

    answer = caller.get(path, **query)

    assert answer.status < 500, (path, query, answer.body)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(body=st.binary(max_size=60) | ODD.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_end_in_a_fault(api: Api, body: bytes) -> None:
    """Whatever a body is made of: 4xx, or 201 for what happened to be a party."""
    answer = api.post_raw("/v1/parties", body)

    assert answer.status < 500
