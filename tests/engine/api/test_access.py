"""Who may call what: every call wants a live key with its scope, and a party's key sees its own.

Numbers are lines of domain/audit-and-reliability.md 4.3.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from sqlalchemy import Engine

from engine.api.access import Scope
from engine.api.app import make_app, operations
from engine.api.doors import TenantDoors
from kernel import keys
from kernel.database import Tenant
from kernel.ids import new_id
from kernel.keys import KeyRing
from migrations import runner
from tests.engine.api.conftest import ALL, Api, Deal, World, make_deal, make_key, make_party, pay
from tests.fixtures.databases import TENANT, TestDatabase

OPERATIONS: Final = [each for each in operations() if each.scope is not None]
OTHER: Final = Tenant("other")


def _path(template: str) -> str:
    numbers = template.replace("{account_id}", "1").replace("{event_id}", "16384")
    named = numbers.replace("{key_id}", "0" * 32).replace("{rail}", "simulated")
    return re.sub(r"{\w+}", str(new_id()), named)


@pytest.fixture(scope="module")
def deal(api: Api, world: World) -> Deal:
    """A paid slot whose work lies before the client."""
    made = make_deal(api, "100.00")
    pay(made, world, made.slots[0])
    made.payee.post(f"/v1/slots/{made.slots[0]}/submit", {"message_ref": "m"})
    return made


@pytest.fixture(scope="module")
def other_tenant(api: Api, api_database: TestDatabase) -> Api:
    """An operator of another marketplace on the same server."""
    runner.create_tenant(api_database.owner_url, OTHER)
    return api.with_key(make_key(api.engine, OTHER, is_operator=True))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")
def test_every_call_wants_a_key_and_its_scope(api: Api, operation: Any) -> None:
    """Without a key 401, with all scopes but the right one 403, on every call there is."""
    path = _path(operation.path)
    others = [scope for scope in ALL if scope != operation.scope]
    wrong = api.with_key(make_key(api.engine, scopes=others, is_operator=True))

    nobody = api.with_key("").call(operation.method, path)
    short = wrong.call(operation.method, path)

    assert (nobody.status, nobody.code) == (401, "auth.unauthenticated")
    assert nobody.headers["www-authenticate"].startswith("Bearer")
    assert (short.status, short.code) == (403, "auth.scope_missing")
    assert short.body["facts"] == {"scope": operation.scope.value}


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic aGY6aGY=",
        "hf_" + "A" * 43,
        "Bearer hf_" + "A" * 43,
        "Bearer hf_" + "A" * 42,
        "Bearer hf_" + "A" * 10_000,
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
        "Bearer ' OR 1=1 --",
    ],
)
def test_what_is_no_live_key_opens_nothing(api: Api, authorization: str) -> None:
    """Line 39: a made-up key, another scheme, an unsigned token: 401, all alike."""
    headers = {"Authorization": authorization} if authorization else {}

    answer = api.with_key("").call("GET", "/v1/clock", headers=headers)

    assert (answer.status, answer.code, answer.body["facts"]) == (401, "auth.unauthenticated", {})


def test_two_authorizations_are_one_too_many(api: Api) -> None:
    """A header that stands there twice could be read in two ways: 400."""
    answer = api.call("GET", "/v1/clock", headers=[("Authorization", f"Bearer {api.secret}")])

    assert (answer.status, answer.code) == (400, "request.header")


def test_a_key_ends_when_it_says(api: Api) -> None:
    """Line 39: expired by a second is expired."""
    ended = datetime.now(UTC) - timedelta(seconds=1)
    answer = api.with_key(make_key(api.engine, expires_at=ended)).get("/v1/clock")

    assert answer.status == 401


def test_a_revoked_key_is_felt_within_seconds(api: Api) -> None:
    """Line 40: what a process trusts, it trusts for 3 s at most; then it asks again."""
    ticks = [0.0]
    doors = TenantDoors(api.engine)
    app = make_app(
        api.engine,
        doors,
        ring=KeyRing(api.engine, ticks=lambda: ticks[0]),
        logs_access=False,
    )
    with api.engine.begin() as connection:
        made = keys.create(connection, TENANT, scopes=ALL)
    caller = Api(app, api.engine, made.secret)
    assert caller.get("/v1/clock").status == 200
    with api.engine.begin() as connection:
        keys.revoke(connection, TENANT, made.key.id)

    ticks[0] = 2.9
    still = caller.get("/v1/clock")
    ticks[0] = 3.1
    gone = caller.get("/v1/clock")
    doors.close()

    assert (still.status, gone.status) == (200, 401)


def test_another_tenants_things_are_unknown(deal: Deal, other_tenant: Api) -> None:
    """Line 35: a slot of another tenant answers like one that never was, to the byte."""
    paths = [
        f"/v1/slots/{deal.slots[0]}",
        f"/v1/contracts/{deal.contract_id}",
        f"/v1/contracts/{deal.contract_id}/slots",
        f"/v1/parties/{deal.client_id}",
        "/v1/accounts/1",
    ]
    for path in paths:
        theirs = other_tenant.get(path)
        unknown = other_tenant.get(re.sub(r"[0-9a-f-]{36}|1$", str(new_id()), path))
        assert (theirs.status, theirs.body) == (404, unknown.body), path

    acted = other_tenant.post(f"/v1/slots/{deal.slots[0]}/cancel")
    assert (acted.status, acted.code) == (404, "escrow.unknown_slot")


def test_a_stranger_is_told_what_an_unknown_id_is_told(api: Api, deal: Deal) -> None:
    """A party outside the deal cannot tell a slot that is not his from one that is not there."""
    stranger = api.as_party(make_party(api, "client"))
    slot, unknown = deal.slots[0], str(new_id())

    for verb in ("approve", "submit", "release_part", "cancel"):
        body: dict[str, Any] = {"message_ref": "m"} if verb == "submit" else {}
        if verb == "release_part":
            body = {"amount": {"amount": "1.00", "currency": "EUR"}}
        theirs = stranger.post(f"/v1/slots/{slot}/{verb}", body)
        nothing = stranger.post(f"/v1/slots/{unknown}/{verb}", body)

        assert theirs.status == nothing.status == 404, verb
        assert str(theirs.body).replace(slot, unknown) == str(nothing.body)

    parties = {"states": {"kyc_state": "pending"}, "payout_methods": {"token": "t"}}
    for verb, body in (*parties.items(), ("payouts/resume", {})):
        theirs = stranger.post(f"/v1/parties/{deal.client_id}/{verb}", body)
        nothing = stranger.post(f"/v1/parties/{unknown}/{verb}", body)

        assert theirs.status == nothing.status == 404, verb
        assert str(theirs.body).replace(deal.client_id, unknown) == str(nothing.body)

    for path in ("", "/actions", "/submissions"):
        assert stranger.get(f"/v1/slots/{slot}{path}").status == 404
    assert stranger.get(f"/v1/contracts/{deal.contract_id}").status == 404
    assert stranger.get("/v1/contracts").body["items"] == []


def test_the_wrong_side_of_a_deal_is_told_so(deal: Deal) -> None:
    """Who is in the deal knows the slot: 403, not 404."""
    answer = deal.payee.post(f"/v1/slots/{deal.slots[0]}/approve")

    assert (answer.status, answer.code) == (403, "escrow.not_yours")


def test_a_partys_key_acts_for_its_party_alone(api: Api, deal: Deal) -> None:
    """The header may repeat the key's own party; naming another one is refused."""
    own = make_key(api.engine, party_id=deal.client_id)
    mine = Api(api.app, api.engine, own)

    assert mine.get(f"/v1/slots/{deal.slots[0]}").status == 200
    assert mine.as_party(deal.client_id).get(f"/v1/slots/{deal.slots[0]}").status == 200
    refused = mine.as_party(deal.payee_id).get(f"/v1/slots/{deal.slots[0]}")
    assert (refused.status, refused.code) == (403, "auth.party_not_allowed")


def test_acting_for_parties_needs_the_right(api: Api, deal: Deal) -> None:
    """A key that is neither an operator's nor good for it cannot name a party."""
    scopes = [scope for scope in ALL if scope != Scope.ACT_FOR_PARTIES]
    plain = Api(api.app, api.engine, make_key(api.engine, scopes=scopes))
    allowed = Api(api.app, api.engine, make_key(api.engine, scopes=ALL))

    refused = plain.as_party(deal.client_id).get("/v1/clock")
    taken = allowed.as_party(deal.client_id).get("/v1/clock")

    assert (refused.status, refused.code) == (403, "auth.party_not_allowed")
    assert taken.status == 200


@pytest.mark.parametrize("party", ["x", "", "0190A0B0-0000-7000-8000-000000000001", "' OR 1=1"])
def test_a_party_that_is_no_id_is_refused(api: Api, party: str) -> None:
    """The header holds an id or is not there."""
    answer = api.as_party(party).get("/v1/clock")

    assert (answer.status, answer.code) == (422, "request.invalid")


def test_an_unknown_party_cannot_be_acted_for(api: Api) -> None:
    """A platform's key acts for parties that there are."""
    answer = api.as_party(str(new_id())).get("/v1/clock")

    assert (answer.status, answer.code) == (403, "auth.party_not_allowed")


@pytest.mark.parametrize("path", ["/v1/trial_balance", "/v1/entries", "/v1/events"])
def test_everybodys_books_are_the_platforms(deal: Deal, path: str) -> None:
    """A caller who acts for one party sees neither all entries nor all events."""
    answer = deal.client.get(path)

    assert (answer.status, answer.code) == (403, "auth.platform_only")


def test_a_party_reads_its_own_events_and_accounts(deal: Deal) -> None:
    """What concerns its own deal is shown to a party; another's is an empty list."""
    own = deal.client.get("/v1/events", subject=f"slot:{deal.slots[0]}").body["items"]
    account = deal.client.get("/v1/accounts", subject=deal.slots[0]).body["items"]
    others = deal.client.get("/v1/accounts", subject=deal.payee_id).body["items"]

    assert [event["kind"] for event in own][-1] == "slot.submitted"
    assert account[0]["balance"] == {"amount": "-100.00", "currency": "EUR"}
    assert others == []


def test_only_an_operator_changes_a_party(deal: Deal, world: World) -> None:
    """A client's own key cannot call itself verified, nor place a hold."""
    before = world.count_rows()

    states = deal.client.post(f"/v1/parties/{deal.client_id}/states", {"kyc_state": "rejected"})

    hold = deal.client.post(
        "/v1/holds", {"subject": f"party:{deal.payee_id}", "kind": "tax", "reason": "no"}
    )

    assert (states.status, states.code) == (403, "party.operator_only")
    assert (hold.status, hold.code) == (403, "party.operator_only")
    after = world.count_rows()
    assert (after["event"], after["hold"]) == (before["event"], before["hold"])


def test_a_path_that_is_not_there_is_a_problem(api: Api) -> None:
    """404 and 405 are problem documents too, and 405 names the methods that there are."""
    missing = api.get("/v1/nothing")
    wrong = api.call("DELETE", "/v1/contracts")

    assert (missing.status, missing.code) == (404, "not_found")
    assert (wrong.status, wrong.code) == (405, "method_not_allowed")
    assert {"GET", "POST"} <= set(wrong.headers["allow"].replace(" ", "").split(","))


def test_the_engine_of_the_tests_is_the_programs_own(api_engine: Engine) -> None:
    """The API logs in as the program, never as a superuser."""
    with api_engine.begin() as connection:
        login = connection.exec_driver_sql("SELECT session_user").scalar_one()

    assert login == runner.APP
