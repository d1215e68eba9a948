"""What stands before a payout, over HTTP: policy, methods, the second person, payees' accounts."""

import pytest

from kernel.principals import PrincipalKind
from tests.engine.api.conftest import Api, World, advance, make_deal, make_key, make_party, pay


@pytest.fixture(scope="module")
def operators(api: Api) -> tuple[Api, Api]:
    """Two operators in person."""
    keys = (make_key(api.engine, is_operator=True, kind=PrincipalKind.PERSON) for _ in range(2))
    first, second = (api.with_key(key) for key in keys)
    return first, second


@pytest.fixture(scope="module")
def payee_id(api: Api, world: World) -> str:
    """A payee with 90.00 EUR available."""
    deal = make_deal(api, "100.00")
    pay(deal, world, deal.slots[0])
    deal.payee.post(f"/v1/slots/{deal.slots[0]}/submit", {"message_ref": "m"})
    deal.client.post(f"/v1/slots/{deal.slots[0]}/approve", {"submission_no": 1})
    advance(api, world, days=6)
    world.settle_day()
    advance(api, world, days=1)
    return deal.payee_id


def set_limits(operators: tuple[Api, Api]) -> None:
    """Above 50.00 EUR a second person; at least 5.00: prepared by one, approved by the other."""
    first, second = operators
    prepared = first.post(
        "/v1/payout_policies/limits",
        {
            "currency": "EUR",
            "valid_from": first.get("/v1/clock").body["now"],
            "approval_above": {"amount": "50.00", "currency": "EUR"},
            "minimum": {"amount": "5.00", "currency": "EUR"},
        },
    )
    assert prepared.status == 201, prepared.body
    approve = f"/v1/payout_policies/{prepared.body['id']}/approve"
    assert first.post(approve, {}).code == "payouts.second_person"
    assert second.post(approve, {}).status == 200
    shown = second.get("/v1/payout_policies").body
    assert shown["items"][0]["approval_above"] == {"amount": "50.00", "currency": "EUR"}


def test_a_payout_above_the_limit_takes_two_people(
    api: Api, world: World, payee_id: str, operators: tuple[Api, Api]
) -> None:
    """A policy by two, a payout by two; what can be done and what comes by itself is said."""
    first, second = operators
    payee = api.as_party(payee_id)
    set_limits(operators)
    method = payee.post(f"/v1/parties/{payee_id}/payout_methods", {"token": "bank_de_1"}).body
    assert (method["rail"], method["state"]) == ("simulated", "active")
    wish = {"method_id": method["method_id"], "payee_id": payee_id}
    small = {**wish, "amount": {"amount": "4.99", "currency": "EUR"}}
    assert payee.post("/v1/payouts", small).code == "payouts.below_minimum"
    big = {**wish, "amount": {"amount": "60.00", "currency": "EUR"}}
    asked = first.post("/v1/payouts", big)
    assert (asked.status, asked.body["state"]) == (201, "screening")
    payout = f"/v1/payouts/{asked.body['id']}"

    actions = second.get(f"{payout}/actions").body
    calls = {each["trigger"]: (each["open"], each["call"]) for each in actions["actions"]}
    assert calls["approve"] == (True, "POST /v1/payouts/{payout_id}/approve")
    assert calls["refuse"] == (True, "POST /v1/payouts/{payout_id}/refuse")
    assert actions["if_nothing_happens"] == []
    assert first.post(f"{payout}/approve", {}).code == "payouts.second_person"
    assert payee.post(f"{payout}/approve", {}).code == "payouts.not_yours"
    assert second.post(f"{payout}/approve", {}).body["state"] == "approved"

    (ahead,) = payee.get(f"{payout}/actions").body["if_nothing_happens"]
    assert (ahead["kind"], ahead["leads_to"]) == ("payouts.submit", "submitted")
    assert ahead["blocked_by"] == []
    assert first.post(f"{payout}/submit", {}).status == 200
    world.settle()
    advance(api, world, days=3)
    paid = payee.get(payout).body
    assert (paid["state"], paid["paid_from"], paid["rail"]) == ("paid", "", "simulated")
    world.prove()


def test_a_method_is_verified_by_somebody_else(api: Api, operators: tuple[Api, Api]) -> None:
    """A policy that asks for it: unverified, cooling, and an operator's word."""
    first, second = operators
    now = first.get("/v1/clock").body["now"]
    body = {"valid_from": now, "cooling_days": 3, "needs_verifying": True}
    careful = first.post("/v1/payout_policies/methods", body).body
    second.post(f"/v1/payout_policies/{careful['id']}/approve", {})
    payee_id = make_party(api, "freelancer")
    payee = api.as_party(payee_id)

    named = payee.post(f"/v1/parties/{payee_id}/payout_methods", {"token": "t", "rail": "paypal"})
    assert (named.body["rail"], named.body["state"]) == ("paypal", "unverified")
    verify = f"/v1/payout_methods/{named.body['method_id']}/verify"
    assert payee.post(verify, {}).code == "payouts.operator_only"
    assert first.post(verify, {}).body["state"] == "active"
    (shown,) = payee.get(f"/v1/parties/{payee_id}/payout_methods").body["items"]
    assert shown["verified_at"] is not None
    assert shown["usable_from"] == named.body["usable_from"]
    unknown = {"token": "t", "rail": "no_such_rail"}
    assert payee.post(f"/v1/parties/{payee_id}/payout_methods", unknown).code == "rail.unknown"

    at_once = {"valid_from": now, "cooling_days": 0, "needs_verifying": False}
    free = first.post("/v1/payout_policies/methods", at_once).body
    assert second.post(f"/v1/payout_policies/{free['id']}/approve", {}).status == 200


def test_an_account_at_a_rail_is_opened_and_shown(api: Api) -> None:
    """Asked of the rail; a link is given for an open one only; strangers see nothing."""
    payee_id = make_party(api, "freelancer")
    payee, stranger = api.as_party(payee_id), api.as_party(make_party(api, "freelancer"))
    accounts = f"/v1/parties/{payee_id}/payee_accounts"

    opened = payee.post(accounts, {"rail": "stripe"})

    assert (opened.status, opened.body["state"]) == (201, "opening"), opened.body
    assert payee.post(accounts, {"rail": "stripe"}).code == "payouts.payee_account_exists"
    assert payee.post(accounts, {"rail": "paypal"}).code == "rail.not_offered"
    account = f"/v1/payee_accounts/{opened.body['id']}"
    assert payee.get(account).body == opened.body
    assert stranger.get(account).status == 404
    assert stranger.get(accounts).status == 404
    links = {"return_url": "https://shop.example/done", "refresh_url": "https://shop.example/x"}
    assert payee.post(f"{account}/link", links).code == "payouts.unknown_payee_account"
    assert stranger.post(f"{account}/link", links).status == 404
    for bad in ("javascript:alert(1)", "https://", "shop.example", "https://a b"):
        assert payee.post(f"{account}/link", {**links, "return_url": bad}).status == 422


def test_limits_are_of_one_currency(operators: tuple[Api, Api]) -> None:
    """An amount in another currency than the policy's is refused by its field."""
    body = {
        "currency": "EUR",
        "valid_from": "2026-03-01T00:00:00Z",
        "minimum": {"amount": "5", "currency": "JPY"},
    }

    answer = operators[0].post("/v1/payout_policies/limits", body)

    assert (answer.status, answer.code) == (422, "request.invalid")
