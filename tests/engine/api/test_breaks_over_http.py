"""Breaks and certificates over HTTP: listed, spoken of, written off by two, certified, signed."""

from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from kernel.database import transaction
from kernel.principals import PrincipalKind
from tests.engine.api.conftest import Api, make_key, make_party
from tests.fixtures.databases import TENANT
from tests.reconciliation.desk import IBAN, camt, entry

ON = date(2026, 3, 2)
TODAY = "2026-03-02"


@pytest.fixture(scope="module")
def second(app: Any, api_engine: Engine) -> Api:
    """Another person of the platform."""
    return _person(app, api_engine)


@pytest.fixture(scope="module")
def first(app: Any, api_engine: Engine) -> Api:
    """A person of the platform."""
    return _person(app, api_engine)


def _person(app: Any, engine: Engine) -> Api:
    return Api(app, engine, make_key(engine, kind=PrincipalKind.PERSON, is_operator=True))


def test_a_break_is_written_off_and_the_day_certified(
    api: Api, first: Api, second: Api, api_engine: Engine
) -> None:
    """The whole way by HTTP: an unknown receipt, words, two people, a clean certificate."""
    account = {"reference": IBAN, "currency": "EUR", "place": "custody_bank"}
    assert api.post("/v1/reconciliation/accounts", account).status == 201
    data = camt(0, 2_500, [entry(2_500, ref="NX-22010001", text="J DOE", on=ON)], on=ON)
    taken = api.post_raw("/v1/reconciliation/statements", data, Content_Type="text/xml")
    assert taken.status == 200, taken.body
    wish = {"currency": "EUR", "on": TODAY}

    made = api.post("/v1/certificates", wish)
    (found,) = api.get("/v1/breaks").body["items"]
    at = f"/v1/breaks/{found['id']}"
    said = api.post(f"{at}/comments", {"told": "asked the bank"})
    assigned = api.post(f"{at}/assign", {"owner_id": found["id"]})
    explained = api.post(f"{at}/explain", {"told": "an old deposit of ours"})
    signed = second.post(
        f"/v1/certificates/{made.body['certificate_id']}/sign", {"remark": "one receipt open"}
    )
    program = api.post(f"{at}/write_offs", {"told": "by itself"})
    proposed = first.post(f"{at}/write_offs", {"told": "the bank keeps silent"})
    write_off = f"/v1/write_offs/{proposed.body['write_off_id']}"
    alone = first.post(f"{write_off}/approve")
    approved = second.post(f"{write_off}/approve", {"reason": "asked twice"})
    again = second.post(f"{write_off}/reject")
    trail = api.get(f"{at}/notes").body["notes"]
    now = _today(api_engine)
    last = api.post("/v1/certificates", {"currency": "EUR", "on": now})
    same = api.post("/v1/certificates", {"currency": "EUR", "on": now})

    assert (made.status, made.body["certificate"]["state"]) == (200, "breaks")
    assert (found["kind"], found["amount"]["amount"]) == ("unknown", "25.00")
    assert [each.status for each in (said, assigned, explained, signed, proposed)] == [200] * 5
    assert (program.status, program.code) == (403, "write_off.people_decide")
    assert (alone.status, alone.code) == (403, "write_off.other_person")
    assert (approved.status, again.code) == (200, "write_off.decided_already")
    assert [each["kind"] for each in trail] == [
        *("opened", "comment", "assigned", "explained", "write_off_proposed", "written_off")
    ]
    assert api.get("/v1/breaks").body["items"] == []
    assert last.body["certificate"]["state"] == "clean"
    assert last.body["certificate"]["figures"]["c_bank"]["amount"] == "25.00"
    assert same.body == last.body
    listed = api.get("/v1/certificates").body["items"]
    assert {each["digest"] for each in listed} >= {made.body["digest"], last.body["digest"]}
    whole = api.get(f"/v1/certificates/{made.body['certificate_id']}").body
    assert whole["certificate"] == made.body["certificate"]
    assert whole["signatures"][0]["remark"] == "one receipt open"


def _today(engine: Engine) -> str:
    with transaction(engine, TENANT) as connection:
        return str(connection.exec_driver_sql("SELECT clock_now()::date").scalar_one())


def test_what_is_refused(api: Api, first: Api) -> None:
    """Unknown names, days that are none, hours that are none."""
    nobody = uuid4()

    assert api.post("/v1/certificates", {"currency": "EUR", "on": "soon"}).status == 422
    assert api.post("/v1/certificates", {"currency": "EUR"}).status == 422
    late = api.post("/v1/certificates", {"currency": "EUR", "on": "2999-01-01"})
    assert (late.status, late.code) == (409, "certificate.day_not_over")
    assert api.post(f"/v1/breaks/{nobody}/comments", {"told": "x"}).code == "break.unknown"
    assert first.post(f"/v1/write_offs/{nobody}/approve").code == "write_off.unknown"
    assert first.post(f"/v1/certificates/{nobody}/sign").code == "certificate.unknown"
    assert api.get(f"/v1/certificates/{nobody}").status == 404
    assert api.get(f"/v1/breaks/{nobody}/notes").status == 404
    assert api.post("/v1/safeguarding/hour", {"hour": 24}).status == 422
    assert api.post("/v1/safeguarding/hour", {"hour": 3}).body["hour"] == 3


def test_it_is_the_platforms_business(api: Api, app: Any, api_engine: Engine) -> None:
    """A party sees nothing of it and does nothing."""
    party = make_party(api, "client")
    theirs = Api(app, api_engine, make_key(api_engine, party_id=party))

    statuses = [
        theirs.get("/v1/breaks").status,
        theirs.get("/v1/certificates").status,
        theirs.post("/v1/certificates", {"currency": "EUR", "on": TODAY}).status,
        theirs.post(f"/v1/breaks/{party}/comments", {"told": "x"}).status,
    ]

    assert statuses == [403] * 4
