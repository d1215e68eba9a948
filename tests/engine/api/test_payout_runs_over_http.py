"""Payout runs, schedules, instant payouts and bank files over HTTP."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from engine.payout_runs import step
from kernel import clock
from kernel.database import transaction
from kernel.principals import PrincipalKind
from tests.engine.api.conftest import Answer, Api, World, advance, make_key, make_party
from tests.engine.api.test_plans_over_http import make_payee
from tests.fixtures.databases import TENANT
from tests.payouts.bank_stage import OURS, PAYEES


@pytest.fixture
def people(api: Api, api_engine: Engine) -> tuple[Api, Api]:
    """Two operators in person."""
    given: dict[str, Any] = {"kind": PrincipalKind.PERSON, "is_operator": True}
    return api.with_key(make_key(api_engine, **given)), api.with_key(make_key(api_engine, **given))


def today(engine: Engine) -> str:
    with transaction(engine, TENANT) as connection:
        return clock.now(connection).date().isoformat()


def paid_payee(api: Api, engine: Engine) -> tuple[str, str]:
    """A verified payee with 50.00 EUR and a method."""
    party_id = make_payee(api, engine)
    states = api.post(f"/v1/parties/{party_id}/states", {"kyc_state": "verified"})
    assert states.status == 200, states.body
    method = api.post(f"/v1/parties/{party_id}/payout_methods", {"token": "payout"})
    assert method.status == 201, method.body
    return party_id, str(method.body["method_id"])


def set_cadence(own: Api, engine: Engine, cadence: str) -> Answer:
    """A party's own setting from today on."""
    body = {"currency": "EUR", "valid_from_on": today(engine), "cadence": cadence}
    return own.post("/v1/payout_schedules", {**body, "minimum": "10.00"})


@pytest.fixture
def scheduled(
    api: Api, api_engine: Engine, people: tuple[Api, Api]
) -> Iterator[tuple[str, str, Api]]:
    """A payee who is paid daily: party, method and his own key. No open run is there or left."""
    give_up_runs(people[0])
    party_id, method_id = paid_payee(people[0], api_engine)
    own = api.with_key(make_key(api_engine, party_id=UUID(party_id)))
    assert set_cadence(own, api_engine, "daily").status == 201
    yield party_id, method_id, own
    set_cadence(own, api_engine, "manual")
    give_up_runs(people[0])


def give_up_runs(one: Api) -> None:
    """Withdraw what other tests of this database have left open."""
    for run in one.get("/v1/payout_runs", state="prepared").body["items"]:
        assert one.post(f"/v1/payout_runs/{run['run_id']}/withdraw").status == 200


def test_a_run_from_its_preview_to_its_end(
    api_engine: Engine, people: tuple[Api, Api], scheduled: tuple[str, str, Api]
) -> None:
    """Previewed, prepared, seen, approved by another, paid by the worker, told with its sums."""
    one, other = people
    party_id = scheduled[0]
    body = {"currency": "EUR", "kind": "scheduled", "cut_off_on": today(api_engine)}

    preview = one.get("/v1/payout_run_preview", **body)
    made = one.post("/v1/payout_runs", body)
    run = f"/v1/payout_runs/{made.body['run_id']}"
    mine = one.post(f"{run}/approve", {"content": made.body["content"]})
    unseen = other.post(f"{run}/approve", {"content": "0" * 64})
    approved = other.post(f"{run}/approve", {"content": made.body["content"]})
    started = one.post(f"{run}/start")
    while not step(api_engine, TENANT, UUID(made.body["run_id"])).is_over:
        pass
    shown = one.get(run)
    items = one.get(f"{run}/items", state="requested")

    assert preview.body["code"] == "done"
    assert [item["state"] for item in preview.body["items"] if item["payee_id"] == party_id] == [
        "planned"
    ]
    assert (mine.status, mine.body["code"]) == (403, "payouts.run_takes_two")
    assert unseen.body["code"] == "payouts.run_changed"
    assert (approved.status, started.body["state"]) == (200, "executing")
    assert shown.body["state"] == "done"
    assert shown.body["progress"]["requested"]["count"] == len(items.body["items"])
    (mine_item,) = [item for item in items.body["items"] if item["payee_id"] == party_id]
    payout = one.get(f"/v1/payouts/{mine_item['payout_id']}")
    assert payout.body["amount"] == {"amount": "50.00", "currency": "EUR"}


def test_a_payee_sees_when_he_is_paid_and_what_it_comes_to(
    api_engine: Engine, scheduled: tuple[str, str, Api]
) -> None:
    """His own setting, the next day, and one sentence; and no runs."""
    party_id, _, own = scheduled

    made = set_cadence(own, api_engine, "daily")
    wrong = set_cadence(own, api_engine, "weekly")
    shown = own.get(f"/v1/parties/{party_id}/payout_schedule")
    runs = own.get("/v1/payout_runs")

    assert (made.status, made.body["party_id"]) == (201, party_id)
    assert wrong.body["code"] == "payouts.bad_schedule"
    (euro,) = [item for item in shown.body["items"] if item["currency"] == "EUR"]
    with transaction(api_engine, TENANT) as connection:
        tomorrow = (clock.now(connection) + timedelta(days=1)).date().isoformat()
    assert euro["next_run_on"] == tomorrow
    assert euro["consequence"].endswith(f"{tomorrow}, about 50.00 EUR if it stays as it is.")
    assert runs.status == 403


def test_an_instant_payout_costs_what_was_quoted(
    api_engine: Engine, people: tuple[Api, Api]
) -> None:
    """Refused at another fee and for a method that cannot, then requested at the quote."""
    one = people[0]
    party_id, method_id = paid_payee(one, api_engine)
    with transaction(api_engine, TENANT) as connection:
        now = clock.now(connection).isoformat().replace("+00:00", "Z")
    fee = {"currency": "EUR", "valid_from": now, "rate_bps": 150, "smallest": "0.50"}
    one.post("/v1/instant_payout_fees", fee)
    quote = one.get("/v1/instant_payout_quote", amount="40.00", currency="EUR")
    wish = {
        "payee_id": party_id,
        "method_id": method_id,
        "amount": {"amount": "40.00", "currency": "EUR"},
        "fee": quote.body["fee"]["amount"],
    }

    unable = one.post("/v1/instant_payouts", wish)
    one.post(f"/v1/payout_methods/{method_id}/instant", {"allowed": True})
    cheaper = one.post("/v1/instant_payouts", {**wish, "fee": "0.10"})
    made = one.post("/v1/instant_payouts", wish)

    assert quote.body["fee"] == {"amount": "0.60", "currency": "EUR"}
    assert unable.body["code"] == "payouts.no_instant"
    assert cheaper.body["code"] == "payouts.instant_fee_changed"
    assert made.status == 201, made.body
    assert (made.body["is_instant"], made.body["fee"]) == (True, quote.body["fee"])


def test_a_bank_account_is_shown_by_four_characters(
    api: Api, api_engine: Engine, people: tuple[Api, Api]
) -> None:
    """What came in whole is never given out again; a file needs orders, and an operator."""
    one = people[0]
    party_id, _ = paid_payee(one, api_engine)
    body = {"party_id": party_id, "name": "Zoë Payee", "iban": PAYEES}

    added = one.post("/v1/bank_accounts", body)
    listed = one.get("/v1/bank_accounts", party_id=party_id)
    wrong = one.post("/v1/bank_accounts", {**body, "iban": OURS[:-1] + "1"})
    empty = one.post("/v1/bank_files", {"currency": "USD", "execute_on": today(api_engine)})
    stranger = api.with_key(make_key(api_engine, party_id=UUID(make_party(api, "freelancer"))))

    assert (added.status, added.body["last4"]) == (201, "4300")
    assert PAYEES not in str(added.body) + str(listed.body)
    assert "Zo" not in str(added.body) + str(listed.body)
    assert wrong.body["code"] == "bank.bad_account"
    assert OURS[:-1] not in str(wrong.body)
    assert empty.body["code"] == "bank.no_own_account"
    assert stranger.get("/v1/bank_accounts", party_id=party_id).body["items"] == []


def test_a_scheduled_run_waits_for_a_person(
    api: Api, world: World, people: tuple[Api, Api], scheduled: tuple[str, str, Api]
) -> None:
    """When its day has come the clock prepares a run; without a limit it waits to be approved."""
    one = people[0]

    advance(api, world, days=1)
    runs = one.get("/v1/payout_runs", state="prepared").body["items"]

    found = [
        item["state"]
        for run in runs
        for item in one.get(f"/v1/payout_runs/{run['run_id']}/items").body["items"]
        if item["payee_id"] == scheduled[0]
    ]
    assert {run["kind"] for run in runs} == {"scheduled"}
    assert found == ["planned"]
