"""API keys by API: made, rotated, revoked and listed; never more than their maker has."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kernel import keys
from tests.engine.api.conftest import Api, World, make_key, make_party
from tests.fixtures.databases import TENANT


def test_a_secret_is_shown_once_and_kept_nowhere(api: Api, world: World) -> None:
    """The answer has the secret, its replay has not, and no table holds it."""
    body = {"scopes": ["ledger:read"], "label": "reports"}

    made = api.post("/v1/keys", body, key="make-a-key")
    again = api.post("/v1/keys", body, key="make-a-key")

    secret = made.body["secret"]
    assert secret.startswith(made.body["prefix"])
    assert len(secret) == 46
    assert again.body == made.body | {"secret": None}
    assert again.headers["idempotent-replayed"] == "true"
    assert api.with_key(secret).get("/v1/trial_balance").status == 200
    with world.engine.begin() as connection:
        rows = connection.exec_driver_sql("SELECT api_key::text FROM holdfast.api_key").scalars()
        assert not [row for row in rows if secret in row]
    listed = api.get("/v1/keys", limit=500).body["items"]
    assert [each["secret"] for each in listed if each["id"] == made.body["id"]] == [None]


def test_a_key_that_is_made_is_an_event(api: Api) -> None:
    """Who gave out a key, rotated it or ended it stands in the tenant's log."""
    made = api.post("/v1/keys", {"scopes": ["ledger:read"]}).body
    api.post(f"/v1/keys/{made['id']}/revoke")

    events = []
    cursor: dict[str, Any] = {}
    while True:
        page = api.get("/v1/events", limit=500, **cursor).body
        events += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    about = [e["kind"] for e in events if e["detail"].get("key_id") == made["id"]]
    assert about == ["key.created", "key.revoked"]


def test_a_revoked_key_opens_nothing_any_more(api: Api) -> None:
    """In the process that revoked it at once; ending it again is no mistake."""
    made = api.post("/v1/keys", {"scopes": ["events:read"]}).body
    caller = api.with_key(made["secret"])
    assert caller.get("/v1/clock").status == 200

    first = api.post(f"/v1/keys/{made['id']}/revoke")
    second = api.post(f"/v1/keys/{made['id']}/revoke")
    rotated = api.post(f"/v1/keys/{made['id']}/rotate")

    assert caller.get("/v1/clock").status == 401
    assert first.body["revoked_at"] == second.body["revoked_at"]
    assert (rotated.status, rotated.code) == (409, "key.over")


def test_two_keys_live_side_by_side_while_they_are_changed(api: Api) -> None:
    """Rotation leaves the old key alive for the overlap, and ends it after that."""
    made = api.post("/v1/keys", {"scopes": ["events:read"]}).body

    rotated = api.post(f"/v1/keys/{made['id']}/rotate", {"overlap_hours": 2}).body
    at_once = api.post(f"/v1/keys/{rotated['id']}/rotate", {"overlap_hours": 0}).body

    assert api.with_key(made["secret"]).get("/v1/clock").status == 200
    assert api.with_key(at_once["secret"]).get("/v1/clock").status == 200
    assert api.with_key(rotated["secret"]).get("/v1/clock").status == 401
    assert {made["principal_id"]} == {rotated["principal_id"], at_once["principal_id"]}


@pytest.mark.parametrize(
    "body",
    [
        {"scopes": ["money:write"]},
        {"scopes": ["keys:write", "money:write"]},
        {"scopes": ["keys:write"], "is_operator": True},
    ],
)
def test_nobody_gives_what_he_has_not(api: Api, body: dict[str, Any]) -> None:
    """A key cannot make one with more scopes or an operator's rights."""
    small = api.with_key(make_key(api.engine, scopes=["keys:write"]))

    answer = small.post("/v1/keys", body)

    assert (answer.status, answer.code) == (403, "auth.scope_missing")


def test_a_partys_key_makes_keys_of_its_party(api: Api) -> None:
    """Whoever acts for a party makes and sees only that party's keys."""
    mine, other = make_party(api, "agency"), make_party(api, "agency")
    caller = api.as_party(mine)

    made = caller.post("/v1/keys", {"scopes": ["contracts:read"]})
    foreign = caller.post("/v1/keys", {"scopes": ["contracts:read"], "party_id": other})
    platforms = api.post("/v1/keys", {"scopes": ["contracts:read"]}).body
    revoked = caller.post(f"/v1/keys/{platforms['id']}/revoke")

    assert made.body["party_id"] == mine
    assert foreign.status == 404
    assert (revoked.status, revoked.code) == (404, "key.unknown")
    assert [each["id"] for each in caller.get("/v1/keys").body["items"]] == [made.body["id"]]


@pytest.mark.parametrize("key_id", ["0" * 32, "x", "0" * 31, "' OR 1=1", "0" * 64])
def test_an_unknown_key_is_unknown(api: Api, key_id: str) -> None:
    """There is nothing to be learnt from an id that is none."""
    answer = api.post(f"/v1/keys/{key_id}/revoke")

    assert (answer.status, answer.code) == (404, "key.unknown")


def test_keys_are_listed_in_pages(api: Api) -> None:
    """Pages of two are the same list as one of all."""
    for _ in range(3):
        api.post("/v1/keys", {"scopes": ["events:read"]})
    everything = api.get("/v1/keys", limit=500).body["items"]

    pages: list[Any] = []
    cursor: dict[str, Any] = {}
    while True:
        page = api.get("/v1/keys", limit=2, **cursor).body
        pages += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert pages == everything


def test_a_secret_stands_in_no_repr(api: Api) -> None:
    """A key that was just made can be logged by mistake without harm."""
    with api.engine.begin() as connection:
        made = keys.create(
            connection, TENANT, scopes=["x"], expires_at=datetime.now(UTC) + timedelta(days=1)
        )

    assert made.secret not in repr(made)
