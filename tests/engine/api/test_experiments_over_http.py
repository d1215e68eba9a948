"""Experiments by HTTP: two people, a deal that joins by being accepted, and what comes of it."""

from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from commissions.experiments import Arm, Experiment, assign
from commissions.model_experiments import UnitKind, unit_key
from kernel.principals import PrincipalKind
from tests.engine.api.conftest import Answer, Api, make_key, make_party

LAUNCH = Experiment("launch", (Arm("control", 5_000), Arm("low", 5_000)), 1_000)


@pytest.fixture(scope="module")
def people(api: Api, api_engine: Engine) -> tuple[Api, Api]:
    """Two people of finance."""
    given: dict[str, Any] = {"kind": PrincipalKind.PERSON, "is_operator": True}
    ann, bob = (api.with_key(make_key(api_engine, **given)) for _ in range(2))
    return ann, bob


def body(name: str = "launch", **more: Any) -> dict[str, Any]:
    arms = [{"name": "control", "share_bps": 5_000}, {"name": "low", "share_bps": 5_000}]
    return {"name": name, "unit": "pair", "arms": arms, "stop_after_units": 1_000, **more}


def codes(*answers: Answer) -> list[str | int]:
    return [each.status if each.status < 400 else each.code for each in answers]


def price(people: tuple[Api, Api], name: str, rate_bps: int, **scope: str) -> None:
    """A schedule that both put in force."""
    tariffs = [{"currency": "EUR", "bands": [{"rate_bps": rate_bps}]}]
    given = {"name": name, "side": "payee", "tariffs": tariffs, "scope": scope}
    made = people[0].post("/v1/fee_schedules", given)
    assert people[1].post(f"/v1/fee_schedules/{made.body['schedule_id']}/approve").status == 200


def test_an_experiment_from_its_drawing_up_to_its_decision(
    api: Api, people: tuple[Api, Api]
) -> None:
    """Drawn up, started by another, joined by a deal, read out, stopped and decided."""
    ann, bob = people
    price(people, "standard", 1_000)
    prepared = ann.post("/v1/experiments", body(reason="is less more?"))
    path = f"/v1/experiments/{prepared.body['id']}"
    unpriced = bob.post(f"{path}/start")
    price(people, "low", 500, arm="launch/low")
    alone = ann.post(f"{path}/start")
    started = bob.post(f"{path}/start")
    assert codes(prepared, unpriced, alone, started) == [
        *(201, "experiment.no_price", "experiment.same_person", 200),
    ]

    joined = [_deal(api) for _ in range(6)]

    counted: Counter[str | None] = Counter()
    for client_id, payee_id, contract_id in joined:
        key = unit_key(UnitKind.PAIR, client_id=UUID(client_id), payee_id=UUID(payee_id))
        fees = api.as_party(payee_id).get(f"/v1/contracts/{contract_id}/fees").body
        shown = bob.get(f"/v1/fee_schedules/{fees['payee_schedule_id']}").body
        assert shown["name"] == ("low" if assign(LAUNCH, key) == "low" else "standard")
        counted[assign(LAUNCH, key)] += 1
    told = ann.get(f"{path}/readout").body
    assert [(each["arm"], each["units"]) for each in told["arms"]] == [
        ("control", counted["control"]),
        ("low", counted["low"]),
    ]
    assert told["would_stop"] is None
    assert ann.post(f"{path}/stop").code == "experiment.reason_missing"
    stopped = ann.post(f"{path}/stop", {"reason": "enough seen"})
    decided = bob.post(f"{path}/decide", {"reason": "nothing gained", "arm": "control"})
    late = bob.post(f"{path}/decide", {"reason": "again"})
    assert codes(stopped, decided, late) == [200, 200, "experiment.wrong_state"]
    shown = bob.get(path).body
    assert (shown["state"], shown["stop_why"], shown["decided_arm"]) == (
        *("decided", "enough seen", "control"),
    )
    listed = ann.get("/v1/experiments", state="decided").body["items"]
    assert [each["id"] for each in listed] == [shown["id"]]


def _deal(api: Api) -> tuple[str, str, str]:
    """Two new parties accept a contract; who they are, and the contract."""
    client_id, payee_id = make_party(api, "client"), make_party(api, "freelancer")
    amount = {"amount": "100.00", "currency": "EUR"}
    offer = {
        "client_id": client_id,
        "payee_id": payee_id,
        "currency": "EUR",
        "milestones": [{"title": "all", "amount": amount}],
    }
    proposed = api.as_party(payee_id).post("/v1/contracts", offer)
    contract_id = proposed.body["contract_id"]
    assert api.as_party(client_id).post(f"/v1/contracts/{contract_id}/accept").status == 200
    return client_id, payee_id, contract_id


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no control": (
        {"arms": [{"name": "a", "share_bps": 1}, {"name": "b", "share_bps": 1}]},
        "fees.bad_experiment",
    ),
    "more than all": (
        {"arms": [{"name": "control", "share_bps": 9_000}, {"name": "b", "share_bps": 1_001}]},
        "fees.bad_experiment",
    ),
    "held out by name": (
        {"arms": [{"name": "control", "share_bps": 9}, {"name": "holdout", "share_bps": 9}]},
        "fees.bad_experiment",
    ),
    "one arm": ({"arms": [{"name": "control", "share_bps": 9}]}, "request.invalid"),
    "a slash": ({"name": "a/b"}, "request.invalid"),
    "no units": ({"stop_after_units": 0}, "request.invalid"),
    "an unknown field": ({"colour": "red"}, "request.invalid"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_experiment_is_refused(people: tuple[Api, Api], name: str) -> None:
    """One clear refusal, and nothing is written."""
    spoiled, code = BAD[name]
    before = people[0].get("/v1/experiments").body["items"]

    refused = people[0].post("/v1/experiments", body("bad") | spoiled)

    assert refused.code == code
    assert people[0].get("/v1/experiments").body["items"] == before


def test_experiments_are_the_platforms_own(api: Api, people: tuple[Api, Api]) -> None:
    """A party sees none and keeps none; a program of the platform keeps none either."""
    party = api.as_party(make_party(api, "client"))
    made = people[0].post("/v1/experiments", body("house"))
    path = f"/v1/experiments/{made.body['id']}"

    answers = (
        *(party.get("/v1/experiments"), party.get(path), party.get(f"{path}/readout")),
        *(party.post("/v1/experiments", body("mine")), party.post(f"{path}/withdraw")),
        api.post("/v1/experiments", body("mine")),
    )

    assert codes(*answers) == ["auth.platform_only"] * 3 + ["experiment.people_only"] * 3
    assert people[1].post(f"{path}/withdraw").body["state"] == "withdrawn"
    unknown = "/v1/experiments/0190a5d0-0000-7000-8000-000000000000"
    assert codes(people[0].get(f"{unknown}/readout"), people[0].post(f"{unknown}/stop")) == [
        *("not_found", "experiment.unknown"),
    ]
