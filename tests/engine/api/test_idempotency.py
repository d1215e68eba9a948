"""A key has one effect, for ever: the same answer again, another request refused.

Numbers are lines of domain/audit-and-reliability.md 4.3.
"""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest

from engine.api.app import make_app
from engine.api.doors import TenantDoors
from escrow.store import lock_slots
from kernel.database import transaction
from tests.engine.api.conftest import ALL, Api, World, make_deal, make_key, make_party, pay


def test_the_same_request_gets_the_same_bytes(api: Api, world: World) -> None:
    """Line 30: the first answer comes again, marked as replayed, and nothing is written."""
    first = api.post("/v1/parties", {"kind": "client", "country": "DE"}, key="once")
    before = world.count_rows()

    again = api.post("/v1/parties", {"country": "DE", "kind": "client"}, key="once")

    assert (again.status, again.body) == (first.status, first.body)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert world.count_rows() == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/parties", {"kind": "freelancer"}),
        ("/v1/parties", {"kind": "client", "country": "FR"}),
        ("/v1/clock/advance", {"to": "2026-03-02T09:00:00Z"}),
    ],
)
def test_another_request_under_a_used_key_is_refused(
    api: Api, world: World, path: str, body: Any
) -> None:
    """Line 27: another body or another path under the same key: 422 idempotency_mismatch."""
    api.post("/v1/parties", {"kind": "client"}, key="taken")
    before = world.count_rows()

    answer = api.post(path, body, key="taken")

    assert (answer.status, answer.code) == (422, "idempotency_mismatch")
    assert world.count_rows() == before


def test_another_acting_party_is_another_request(api: Api) -> None:
    """The party that a platform's key acts for is part of what its key stands for."""
    first, second = make_party(api, "client"), make_party(api, "client")
    body = {"kind": "client"}

    api.as_party(first).post("/v1/parties", body, key="for-a-party")
    answer = api.as_party(second).post("/v1/parties", body, key="for-a-party")

    assert (answer.status, answer.code) == (422, "idempotency_mismatch")


def test_a_key_belongs_to_its_principal(api: Api) -> None:
    """Line 28: another principal's use of the same key has its own effect, and no hint."""
    other = api.with_key(make_key(api.engine, scopes=ALL, is_operator=True))

    mine = api.post("/v1/parties", {"kind": "client"}, key="shared-word")
    theirs = other.post("/v1/parties", {"kind": "agency"}, key="shared-word")

    assert (mine.status, theirs.status) == (201, 201)
    assert "idempotent-replayed" not in theirs.headers


def test_a_refusal_that_rests_on_state_is_kept(api: Api, world: World) -> None:
    """Edge case 15: the answer to a key is kept, also where it was no; a new key asks anew."""
    deal = make_deal(api, "100.00")
    slot = f"/v1/slots/{deal.slots[0]}"

    refused = deal.client.post(f"{slot}/approve", key="too-early")
    pay(deal, world, deal.slots[0])
    again = deal.client.post(f"{slot}/approve", key="too-early")
    anew = deal.client.post(f"{slot}/approve", key="now")

    assert (refused.status, refused.code) == (409, "escrow.wrong_state")
    assert (again.status, again.body) == (409, refused.body)
    assert again.headers["idempotent-replayed"] == "true"
    assert anew.status == 200


def test_a_malformed_request_uses_up_no_key(api: Api) -> None:
    """What cannot be read or lacks a field is not kept: the mended request may use its key."""
    wrong = api.post("/v1/parties", {"kind": "nobody"}, key="mend-me")
    mended = api.post("/v1/parties", {"kind": "client"}, key="mend-me")

    assert (wrong.status, mended.status) == (422, 201)


def test_a_double_click_releases_once(api: Api, world: World) -> None:
    """Lines 26 and 31: twins in flight share one effect and one answer; another key is late."""
    deal = make_deal(api, "100.00")
    pay(deal, world, deal.slots[0])
    before = world.count_rows()

    answers = asyncio.run(_at_once(deal.client, deal.slots[0], ["twin"] * 8 + ["late"]))
    twins, late = answers[:8], answers[8]

    assert {answer.status_code for answer in twins} <= {200, 409}
    assert len({answer.content for answer in twins}) == 1
    assert sorted([twins[0].status_code, late.status_code]) == [200, 409]
    after = world.count_rows()
    assert after["event"] - before["event"] == 1
    assert after["idempotency"] - before["idempotency"] == 2
    world.prove()


async def _at_once(caller: Api, slot: str, keys: list[str]) -> list[httpx.Response]:
    transport = httpx.ASGITransport(caller.app)
    headers = {"Authorization": f"Bearer {caller.secret}", "Holdfast-Party": str(caller.party)}
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return list(
            await asyncio.gather(
                *(
                    client.post(
                        f"/v1/slots/{slot}/approve",
                        json={},
                        headers=headers | {"Idempotency-Key": key},
                    )
                    for key in keys
                )
            )
        )


def test_a_rotated_key_still_knows_its_answers(api: Api) -> None:
    """An answer belongs to the principal, who outlives the key: the new key gets it again."""
    made = api.post("/v1/keys", {"scopes": ["parties:write", "keys:write"]})
    first = api.with_key(made.body["secret"])
    party = first.post("/v1/parties", {"kind": "client"}, key="before-rotation")

    rotated = first.post(f"/v1/keys/{made.body['id']}/rotate", {"overlap_hours": 1})
    second = api.with_key(rotated.body["secret"])
    again = second.post("/v1/parties", {"kind": "client"}, key="before-rotation")

    assert rotated.body["principal_id"] == made.body["principal_id"]
    assert again.body == party.body
    assert again.headers["idempotent-replayed"] == "true"


def test_an_answer_that_is_late_is_asked_for_again(api: Api, world: World) -> None:
    """Where no answer comes in time it is 503; the same key tells later what became of it."""
    deal = make_deal(api, "100.00")
    pay(deal, world, deal.slots[0])
    path = f"/v1/slots/{deal.slots[0]}/approve"
    doors = TenantDoors(api.engine)
    app = make_app(api.engine, doors, answer_timeout_s=0.2, logs_access=False)
    hasty = Api(app, api.engine, api.secret, deal.client_id)

    with transaction(world.engine, world.tenant) as connection:
        lock_slots(connection, [UUID(deal.slots[0])])
        late = hasty.post(path, key="late-answer")
        many = hasty.post("/v1/slots:approve", {"items": [{"slot_id": deal.slots[0]}]})
    doors.close()
    again = deal.client.post(path, key="late-answer")

    assert (late.status, late.code) == (503, "request.outcome_unknown")
    assert late.headers["retry-after"] == "1"
    assert (many.status, many.code) == (503, "request.outcome_unknown")
    assert (again.status, again.body["state"]) == (200, "released")
    assert again.headers["idempotent-replayed"] == "true"
    world.prove()


def test_a_key_of_the_keys_is_a_key_like_any_other(api: Api) -> None:
    """Making API keys has its own transaction, and the same rule: another body is refused."""
    api.post("/v1/keys", {"scopes": ["ledger:read"]}, key="make-once")

    other = api.post("/v1/keys", {"scopes": ["events:read"]}, key="make-once")
    elsewhere = api.post("/v1/parties", {"kind": "client"}, key="make-once")

    assert (other.status, other.code) == (422, "idempotency_mismatch")
    assert (elsewhere.status, elsewhere.code) == (422, "idempotency_mismatch")
