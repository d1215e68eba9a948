"""Webhooks of rails over HTTP: the raw bytes are verified and kept, then answered; never worked."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from engine.api.app import make_app
from engine.api.doors import TenantDoors
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from rails import events
from rails.simulated.service import SimulatedRail
from rails.store_events import list_events
from tests.engine.api.conftest import ALL, START, Answer, Api, make_key
from tests.fixtures.databases import TENANT
from tests.rails.hinting import HintingRail, event, sign

PATH = "/webhooks/test/stripe/platform"


@pytest.fixture(scope="module")
def rail() -> HintingRail:
    """A rail that sends events."""
    return HintingRail()


@pytest.fixture(scope="module")
def hooked(api_engine: Engine, rail: HintingRail) -> Iterator[Api]:
    """The platform's own key, where the tenant `test` has a rail that sends events."""
    doors = TenantDoors(api_engine)

    def find(tenant: Tenant, name: str) -> Any:
        return rail if (tenant.name, name) == ("test", "stripe") else None

    app = make_app(api_engine, doors, find_rail=find, logs_access=False)
    yield Api(app, api_engine, make_key(api_engine, scopes=ALL, is_operator=True))
    doors.close()


def _send(api: Api, body: bytes, *, path: str = PATH, signature: str | None = None) -> Answer:
    headers = {"Signature": sign(body) if signature is None else signature}
    return api.with_key("").call("POST", path, content=body, headers=headers)


def _body(event_id: str | None = None, *, about: str = "pi_1") -> bytes:
    return b'{"id": "%s",  "about": "%s"}' % ((event_id or str(new_id())).encode(), about.encode())


def _count(api: Api) -> int:
    with transaction(api.engine, TENANT) as connection:
        return len(list_events(connection, limit=10_000))


def test_a_webhook_is_kept_to_the_byte_and_answered_after_its_commit(hooked: Api) -> None:
    """200, and the bytes stand there as they came, spaces and all, without any key."""
    body = _body()

    answer = _send(hooked, body)

    assert (answer.status, answer.body) == (200, {"received": True})
    with transaction(hooked.engine, TENANT) as connection:
        assert body in [kept.event.body for kept in list_events(connection, limit=10_000)]


def test_the_same_webhook_again_gets_the_same_answer_and_is_kept_once(hooked: Api) -> None:
    """A duplicate is no error to the rail, or it would send it for days."""
    body = _body()
    before = _count(hooked)

    answers = [_send(hooked, body) for _ in range(3)]

    assert [(each.status, each.body) for each in answers] == [(200, {"received": True})] * 3
    assert _count(hooked) == before + 1


@pytest.mark.parametrize(
    ("body", "signature", "code"),
    [
        (_body("evt_bad"), "00", "rail.bad_signature"),
        (_body("evt_bad"), "", "rail.bad_signature"),
        (_body("evt_bad").replace(b"  ", b" "), sign(_body("evt_bad")), "rail.bad_signature"),
        (b"\x00\xff not json", None, "rail.bad_event"),
    ],
)
def test_what_cannot_be_verified_is_refused_and_nothing_is_written(
    hooked: Api, body: bytes, signature: str | None, code: str
) -> None:
    """400 with a stable code: a made-up signature, none, a body written anew, no JSON at all."""
    before = _count(hooked)

    answer = _send(hooked, body, signature=signature)

    assert (answer.status, answer.code) == (400, code)
    assert _count(hooked) == before


@pytest.mark.parametrize(
    "path",
    [
        "/webhooks/nobody/stripe/platform",
        "/webhooks/test/paypal/platform",
        "/webhooks/UPPER/stripe/platform",
        "/webhooks/test/stripe",
        "/webhooks/test;drop/stripe/platform",
    ],
)
def test_an_unknown_tenant_or_rail_is_not_found(hooked: Api, path: str) -> None:
    """404 and no word of which of them lacks."""
    response = asyncio.run(hooked.with_key("")._send("POST", path, [], {"content": b"{}"}))

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_a_body_without_end_is_refused(hooked: Api) -> None:
    """More than a mebibyte is not read: 413."""
    answer = _send(hooked, b" " * (1 << 20) + b" ")

    assert (answer.status, answer.code) == (413, "request.too_large")


def test_operators_see_events_and_have_one_tried_again(hooked: Api, rail: HintingRail) -> None:
    """An exception is listed with its trouble, retried by an operator, and then worked."""
    about = f"pi_{new_id().hex}"
    with transaction(hooked.engine, TENANT) as connection:
        events.take_in(connection, [event(f"evt_{about}", about)], START)
    for number in range(4):
        events.work_events(
            hooked.engine, TENANT, rail, {}, {}, START + number * timedelta(minutes=10), limit=9_999
        )
    (found,) = [
        each
        for each in hooked.get("/v1/rail_events", state="exception", rail="stripe").body["items"]
        if each["object"] == about
    ]

    no_operator = hooked.with_key(make_key(hooked.engine, scopes=ALL))
    refused = no_operator.post("/v1/rail_events/retry", {"event_no": found["event_no"]})
    retried = hooked.post("/v1/rail_events/retry", {"event_no": found["event_no"]})
    unknown = hooked.post("/v1/rail_events/retry", {"event_no": "999999"})

    assert "nothing that we know" in found["trouble"]
    assert "body" not in found
    assert (refused.status, refused.code) == (403, "rail.operator_only")
    assert (retried.status, retried.body["state"]) == (200, "parked")
    assert (unknown.status, unknown.code) == (409, "rail.event_not_waiting")


def test_the_rails_in_use_and_what_they_can_do(hooked: Api, api: Api) -> None:
    """Each rail of the tenant with its flags; the simulated one where nothing else serves."""
    (found,) = hooked.get("/v1/rails").body["rails"]
    (simulated,) = api.get("/v1/rails").body["rails"]

    assert (found["name"], found["resolve_by"], found["webhook_auth"]) == (
        "stripe",
        "listing",
        "hmac",
    )
    assert found["hold_deadline_days"]["US"] == 730
    assert simulated["name"] == "simulated"


def test_the_list_begins_where_clients_pay(api_engine: Engine, rail: HintingRail) -> None:
    """As `holdfast rails list` has it: the simulated rail stands behind one with a key."""
    simulated = SimulatedRail(api_engine, "test")
    doors = TenantDoors(api_engine)
    serving: dict[str, Any] = {"simulated": simulated, "stripe": rail}
    app = make_app(
        api_engine, doors, find_rail=lambda _, name: serving.get(name), logs_access=False
    )
    ours = Api(app, api_engine, make_key(api_engine, scopes=ALL, is_operator=True))

    found = [each["name"] for each in ours.get("/v1/rails").body["rails"]]
    doors.close()

    assert found == ["stripe", "simulated"]


def test_a_party_sees_nothing_of_rails(hooked: Api) -> None:
    """What rails said is the platform's alone."""
    party = hooked.post("/v1/parties", {"kind": "client"}).body["id"]
    theirs = hooked.as_party(party)

    for path in ("/v1/rails", "/v1/rail_events", "/v1/rail_exceptions"):
        assert theirs.get(path).status == 403, path
