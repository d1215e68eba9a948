"""Many commands in one request: each item succeeds or is refused by itself, once."""

from typing import Any

import pytest

from kernel.ids import new_id
from tests.engine.api.conftest import Api, World, make_deal, make_party, pay


def test_each_item_has_its_own_result(api: Api, world: World) -> None:
    """A refused item does not touch its neighbours; the order of results is that of items."""
    deal = make_deal(api, "10.00", "20.00", "30.00")
    for slot in deal.slots[:2]:
        pay(deal, world, slot)
    unknown = str(new_id())
    items = [{"slot_id": slot} for slot in (deal.slots[0], deal.slots[2], unknown, deal.slots[1])]

    answer = deal.client.post("/v1/slots:approve", {"items": items})

    assert (answer.status, answer.body["done"], answer.body["refused"]) == (200, 2, 2)
    assert [each["status"] for each in answer.body["results"]] == [200, 409, 404, 200]
    assert answer.body["results"][0]["result"]["slot_id"] == deal.slots[0]
    assert answer.body["results"][1]["problem"]["code"] == "escrow.wrong_state"
    assert answer.body["results"][2]["problem"]["code"] == "escrow.unknown_slot"
    world.prove()


def test_a_repeated_request_does_nothing_again(api: Api, world: World) -> None:
    """The key of the request stands for all its items: the same answers, and no new row."""
    deal = make_deal(api, "10.00", "20.00")
    for slot in deal.slots:
        pay(deal, world, slot)
    body = {"items": [{"slot_id": slot} for slot in deal.slots]}
    first = deal.client.post("/v1/slots:approve", body, key="bulk-once")
    before = world.count_rows()

    again = deal.client.post("/v1/slots:approve", body, key="bulk-once")
    fewer = deal.client.post("/v1/slots:approve", {"items": body["items"][:1]}, key="bulk-once")

    assert [each["replayed"] for each in again.body["results"]] == [True, True]
    assert [each["result"] for each in again.body["results"]] == [
        each["result"] for each in first.body["results"]
    ]
    assert fewer.body["results"][0]["problem"]["code"] == "idempotency_mismatch"
    assert world.count_rows() == before


def test_a_subject_is_named_once(api: Api, world: World) -> None:
    """A list that names one slot twice is refused before anything is done."""
    deal = make_deal(api, "10.00")
    pay(deal, world, deal.slots[0])
    before = world.count_rows()

    answer = deal.client.post("/v1/slots:approve", {"items": [{"slot_id": deal.slots[0]}] * 2})

    assert (answer.status, answer.code) == (422, "escrow.subject_twice")
    assert world.count_rows() == before


@pytest.mark.parametrize(
    "body",
    [
        {"items": []},
        {},
        {"items": [{}]},
        {"items": [{"slot_id": "x"}]},
        {"items": [{"slot_id": "0190a0b0-0000-7000-8000-000000000001", "held": 1}]},
        {"items": {"slot_id": "0190a0b0-0000-7000-8000-000000000001"}},
    ],
)
def test_a_malformed_list_is_refused_whole(api: Api, world: World, body: Any) -> None:
    """What is no list of 1 to 1,000 good items does nothing at all."""
    before = world.count_rows()

    answer = api.post("/v1/slots:approve", body)

    assert (answer.status, answer.code) == (422, "request.invalid")
    assert world.count_rows() == before


def test_a_thousand_items_are_taken_and_one_more_is_not(api: Api, world: World) -> None:
    """The limit is 1,000 items; what was taken is written once each."""
    before = world.count_rows()
    items = [{"kind": "client", "reference": f"bulk-{number}"} for number in range(1_001)]

    too_many = api.post("/v1/parties:create", {"items": items})
    made = api.post("/v1/parties:create", {"items": items[:1_000]})

    assert (too_many.status, too_many.code) == (422, "request.invalid")
    assert (made.status, made.body["done"]) == (200, 1_000)
    assert world.count_rows()["party"] - before["party"] == 1_000
    assert len({each["result"]["id"] for each in made.body["results"]}) == 1_000


def test_an_item_that_makes_no_command_is_refused_alone(api: Api) -> None:
    """An amount that cannot be read refuses its own offer, not the one beside it."""
    client, payee = make_party(api, "client"), make_party(api, "freelancer")
    offers = [
        {
            "client_id": client,
            "payee_id": payee,
            "currency": "EUR",
            "milestones": [{"amount": {"amount": amount, "currency": "EUR"}}],
        }
        for amount in ("10.00", "-1", "20.00")
    ]

    answer = api.as_party(client).post("/v1/contracts:propose", {"items": offers})

    assert [each["status"] for each in answer.body["results"]] == [201, 422, 201]
    assert answer.body["results"][1]["problem"]["code"] == "money.malformed_amount"


def test_the_key_of_a_list_leaves_room_for_its_items(api: Api) -> None:
    """Each item's key is the request's with a number: 250 characters at most."""
    answer = api.post("/v1/parties:create", {"items": [{"kind": "client"}]}, key="k" * 251)
    good = api.post("/v1/parties:create", {"items": [{"kind": "client"}]}, key="k" * 250)

    assert (answer.status, answer.code) == (400, "request.idempotency_key")
    assert good.status == 200
