"""Fee schedules by HTTP: drawn up by one person, approved by another, and what a contract tells."""

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine

from kernel.principals import PrincipalKind
from tests.engine.api.conftest import Answer, Api, World, make_key, make_party


@dataclass
class People:
    """Two people of finance."""

    ann: Api
    bob: Api


@pytest.fixture(scope="module")
def people(api: Api, api_engine: Engine) -> People:
    given: dict[str, Any] = {"kind": PrincipalKind.PERSON, "is_operator": True}
    return People(*(api.with_key(make_key(api_engine, **given)) for _ in range(2)))


def money(amount: str, currency: str) -> dict[str, str]:
    return {"amount": amount, "currency": currency}


def tiers(currency: str, *ends: str) -> dict[str, Any]:
    """Twenty, ten and five in a hundred."""
    return {
        "currency": currency,
        "bands": [
            {"up_to": money(ends[0], currency), "rate_bps": 2_000},
            {"up_to": money(ends[1], currency), "rate_bps": 1_000},
            {"rate_bps": 500},
        ],
        "per_transaction": money("1", currency),
    }


def body(name: str, **more: Any) -> dict[str, Any]:
    flat = {"currency": "EUR", "bands": [{"rate_bps": 1_000}]}
    return {"name": name, "side": "payee", "tariffs": [flat], **more}


def codes(*answers: Answer) -> list[str | int]:
    return [each.status if each.status < 400 else each.code for each in answers]


def test_a_schedule_from_its_drawing_up_to_its_end(people: People) -> None:
    """Two people for its beginning, two for its end; each alone is refused by name."""
    ann, bob = people.ann, people.bob
    prices = [tiers("EUR", "500.00", "10000.00"), tiers("JPY", "50000", "1000000")]
    prices.append(tiers("KWD", "500.000", "10000.000"))

    prepared = ann.post("/v1/fee_schedules", body("tiers", tariffs=prices, scope={"plan": "a"}))
    path = f"/v1/fee_schedules/{prepared.body['schedule_id']}"
    own = ann.post(f"{path}/approve")
    approved = bob.post(f"{path}/approve")
    again = bob.post(f"{path}/approve")
    late = ann.post(f"{path}/withdraw")
    ending = ann.post(f"{path}/endings", {"ends_at": "2026-06-01T00:00:00Z"})
    end = f"/v1/fee_endings/{ending.body['ending_id']}"
    alone = ann.post(f"{end}/approve")
    ended = bob.post(f"{end}/approve")

    assert codes(prepared, own, approved, again, late) == [
        *(201, "fees.same_person", 200),
        *("fees.wrong_state", "fees.wrong_state"),
    ]
    assert codes(ending, alone, ended) == [201, "fees.same_person", 200]
    shown = bob.get(path).body
    assert (shown["state"], shown["version"], shown["level"]) == ("approved", 1, "plan")
    assert shown["valid_to"].startswith("2026-06-01T00:00:00")
    assert {each["currency"]: each["bands"][0]["up_to"]["amount"] for each in shown["tariffs"]} == {
        "EUR": "500.00",
        "JPY": "50000",
        "KWD": "500.000",
    }
    assert [each["state"] for each in bob.get(f"{path}/endings").body["items"]] == ["approved"]
    listed = bob.get("/v1/fee_schedules", name="tiers", state="approved").body["items"]
    assert [each["schedule_id"] for each in listed] == [shown["schedule_id"]]


BAD: dict[str, tuple[dict[str, Any], int]] = {
    "above the amount": ({"tariffs": [{"currency": "EUR", "bands": [{"rate_bps": 10_001}]}]}, 422),
    "falling bands": (
        {
            "tariffs": [
                {
                    "currency": "EUR",
                    "bands": [
                        {"up_to": money("5.00", "EUR"), "rate_bps": 1},
                        {"up_to": money("4.00", "EUR"), "rate_bps": 1},
                        {"rate_bps": 1},
                    ],
                }
            ]
        },
        422,
    ),
    "another currency": (
        {
            "tariffs": [
                {"currency": "EUR", "bands": [{"rate_bps": 1}], "floor": money("1.00", "USD")}
            ]
        },
        422,
    ),
    "finer than the currency": (
        {
            "tariffs": [
                {"currency": "JPY", "bands": [{"rate_bps": 1}], "floor": money("1.5", "JPY")}
            ]
        },
        422,
    ),
    "the past": ({"valid_from": "2026-01-01T00:00:00Z"}, 409),
    "an unknown field": ({"colour": "red"}, 422),
    "an unknown client": ({"scope": {"client_id": "0190a5d0-0000-7000-8000-000000000000"}}, 422),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_meant_is_refused(people: People, name: str) -> None:
    """One clear refusal, and nothing is written."""
    spoiled, status = BAD[name]
    before = people.ann.get("/v1/fee_schedules").body["items"]

    refused = people.ann.post("/v1/fee_schedules", body("bad", **spoiled))

    assert refused.status == status
    assert people.ann.get("/v1/fee_schedules").body["items"] == before


def test_an_overlap_and_a_tie_are_refused_by_name(people: People) -> None:
    """Nobody is left to find out at release which of two schedules holds."""
    first = people.ann.post("/v1/fee_schedules", body("one", scope={"category": "design"}))

    overlap = people.ann.post("/v1/fee_schedules", body("two", scope={"category": "design"}))
    tie = people.bob.post("/v1/fee_schedules", body("three", scope={"country": "DE"}))

    assert codes(first, overlap, tie) == [201, "fees.overlap", "fees.tie"]
    assert overlap.body["facts"]["other"] == first.body["schedule_id"]


def test_schedules_are_the_platforms_own(api: Api) -> None:
    """A party sees none and keeps none; a program of the platform keeps none either."""
    party = api.as_party(make_party(api, "client"))

    answers = (
        party.get("/v1/fee_schedules"),
        party.post("/v1/fee_schedules", body("mine")),
        api.post("/v1/fee_schedules", body("mine")),
    )

    assert codes(*answers) == ["auth.platform_only", "fees.finance_only", "fees.finance_only"]


def in_force(people: People, name: str, **more: Any) -> str:
    """A schedule that two people put in force; its id."""
    made = people.ann.post("/v1/fee_schedules", body(name, **more))
    schedule_id = made.body["schedule_id"]
    assert people.bob.post(f"/v1/fee_schedules/{schedule_id}/approve").status == 200
    return str(schedule_id)


def offered(api: Api, currency: str, amount: str) -> tuple[Api, Api, str]:
    """A deal that its payee proposed: client, payee, and its address."""
    client, payee = make_party(api, "client"), make_party(api, "freelancer")
    offer = {
        "client_id": client,
        "payee_id": payee,
        "currency": currency,
        "milestones": [{"title": "all", "amount": money(amount, currency)}],
    }
    proposed = api.as_party(payee).post("/v1/contracts", offer)
    path = f"/v1/contracts/{proposed.body['contract_id']}"
    return api.as_party(client), api.as_party(payee), path


def test_a_contract_tells_its_fees_in_plain_words(api: Api, people: People) -> None:
    """Both parties see what was pinned and why; a stranger does not. A promotion is named first."""
    in_force(people, "plain", tariffs=[tiers("KWD", "500.000", "10000.000")])
    in_force(
        people,
        "spring",
        tariffs=[{"currency": "KWD", "bands": [{"rate_bps": 250}]}],
        scope={"promotion": "spring"},
        promotion={"applies_until": "2026-09-01T00:00:00Z"},
    )
    client, payee, path = offered(api, "KWD", "100.000")

    unknown = client.post(f"{path}/promotion", {"promotion": "autumn"})
    named = client.post(f"{path}/promotion", {"promotion": "spring"})
    accepted = client.post(f"{path}/accept")
    late = payee.post(f"{path}/promotion", {"promotion": "spring"})

    assert codes(unknown, named, accepted, late) == [
        *("fees.unknown_promotion", 200, 200, "fees.promotion_named"),
    ]
    shown = payee.get(f"{path}/fees").body
    assert [each["part"] for each in shown["choices"]] == ["payee", "promotion"]
    assert shown["choices"][0]["prices"] == [
        "20 % from 0.000 KWD to 500.000 KWD",
        "10 % from 500.000 KWD to 10000.000 KWD",
        "5 % above 10000.000 KWD, counted over all that client and payee ever billed",
        "plus 1.000 KWD per payment",
    ]
    pinned, kept = shown["choices"][0]["words"]
    assert pinned == (
        "The fee taken from what the payee earns is plain version 1, pinned on 2026-03-02"
        " when the deal was accepted."
    )
    assert kept == "plain version 1, for everybody (default): holds."
    until = shown["choices"][1]["words"][1]
    assert until == "It counts for releases before 2026-09-01T00:00:00+00:00."
    assert shown == client.get(f"{path}/fees").body
    assert api.as_party(make_party(api, "client")).get(f"{path}/fees").status == 404


def test_running_contracts_move_downwards(api: Api, people: People, world: World) -> None:
    """A dry run says who moves and why not; two people begin it, and it runs by itself."""
    ann, bob = people.ann, people.bob
    deals = [offered(api, "JPY", "10000") for _ in range(2)]
    for client, _, path in deals:
        assert client.post(f"{path}/accept").status == 200
    ids = [path.rpartition("/")[2] for _, _, path in deals]
    prices = [{"currency": "JPY", "bands": [{"rate_bps": 900}]}]
    cheaper = in_force(people, "cheaper", tariffs=prices, scope={"origin": "marketplace"})

    both = ann.post(
        "/v1/fee_moves",
        {"schedule_id": cheaper, "contract_ids": ids, "accepted_before": "2026-03-03T00:00:00Z"},
    )
    prepared = ann.post("/v1/fee_moves", {"schedule_id": cheaper, "contract_ids": ids})
    move = f"/v1/fee_moves/{prepared.body['move_id']}"
    dry = bob.get(f"{move}/contracts").body["items"]
    alone, begun = ann.post(f"{move}/approve"), bob.post(f"{move}/approve")
    world.settle()

    assert codes(both, prepared, alone, begun) == [
        *("request.invalid", 201, "fees.same_person", 200),
    ]
    assert {each["contract_id"]: each["moves"] for each in dry} == dict.fromkeys(ids, True)
    done = bob.get(move).body
    assert (done["state"], done["moved_count"], done["skipped_count"]) == ("done", 2, 0)
    fees = deals[0][0].get(f"{deals[0][2]}/fees").body
    assert fees["payee_schedule_id"] == cheaper
    assert [each["why"] for each in fees["choices"]] == ["migration"]
    assert done in bob.get("/v1/fee_moves").body["items"]
    assert bob.get(f"{move}/contracts").body["items"] == []
