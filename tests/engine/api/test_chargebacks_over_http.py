"""Chargebacks over HTTP: the bank of a sandbox, what both sides see, and the evidence."""

from typing import Any

import pytest

from kernel.ids import new_id
from tests.engine.api.conftest import Api, Deal, World, advance, make_deal, make_party, pay


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


class Case:
    """A payment of 103.00 whose work was shown, and the client's bank."""

    def __init__(self, api: Api, world: World) -> None:
        self.api, self.world = api, world
        self.deal: Deal = make_deal(api, "100.00")
        (self.slot,) = self.deal.slots
        pay(self.deal, world, self.slot)
        listed = api.get(f"/v1/contracts/{self.deal.contract_id}/fundings").body["items"]
        self.funding_id = listed[0]["id"]
        shown = {"message_ref": "message:1"}
        assert self.deal.payee.post(f"/v1/slots/{self.slot}/submit", shown).status == 200
        self.ref = f"dp_{new_id().hex[-12:]}"

    def bank(self, **act: Any) -> None:
        given = {"funding_id": self.funding_id, "chargeback": self.ref, "amount": eur("103.00")}
        done = self.api.post("/v1/rails/simulated/bank", given | act)
        assert done.status == 200, done.body
        self.world.settle()

    def takes(self, **more: Any) -> None:
        act = {"direction": "withdrawn", "movement": f"{self.ref}_1", "network_fee": eur("15.00")}
        self.bank(**(act | more))

    def shown(self, api: Api | None = None) -> dict[str, Any]:
        listed = (api or self.api).get("/v1/chargebacks", limit="500").body["items"]
        mine = [each for each in listed if each["rail_ref"] == self.ref]
        found: dict[str, Any] = (
            (api or self.api).get(f"/v1/chargebacks/{mine[0]['chargeback_id']}").body
        )
        return found


@pytest.fixture
def case(api: Api, world: World) -> Case:
    return Case(api, world)


def test_a_chargeback_from_the_first_word_to_the_money_back(case: Case) -> None:
    """The bank asks, takes, hears both and gives back; the slot goes on."""
    case.bank(status="needs_response")
    case.takes(twice=True)

    found = case.shown()
    assert (found["state"], found["is_settled"]) == ("needs_response", False)
    assert [each["moved"] for each in found["movements"]] == [eur("103.00")]
    assert found["pieces"][0]["source"] == "held"
    slot = case.api.get(f"/v1/slots/{case.slot}").body
    assert (slot["held"], slot["recalled"]) == (eur("0.00"), eur("100.00"))
    path = f"/v1/chargebacks/{found['chargeback_id']}"
    early = case.api.post(f"{path}/submit", {})
    assert (early.status, early.code) == (409, "chargeback.payee_not_heard")
    assert case.deal.payee.post(f"{path}/submit", {}).status == 403
    told = case.api.post(f"{path}/tell_payee", {"channel": "email", "proof": "delivery:1"})
    assert told.status == 200
    answer = {"reference": "chat 17", "sha256": "ab" * 32}
    assert case.deal.payee.post(f"{path}/statements", answer).status == 201
    assert case.deal.client.post(f"{path}/statements", answer).status == 403
    sent = case.api.post(f"{path}/submit", {})
    assert (sent.status, sent.body["state"]) == (200, "under_review")
    case.world.settle()
    case.bank(direction="reinstated", movement=f"{case.ref}_2")
    case.bank(status="won")
    assert case.shown()["is_settled"]
    assert case.api.get(f"/v1/slots/{case.slot}").body["held"] == eur("100.00")
    case.world.prove()


def test_who_sees_what(case: Case, api: Api) -> None:
    """The payee sees the evidence, the client that there is a case, a stranger nothing."""
    case.bank(status="needs_response")
    case.takes()
    chargeback_id = case.shown()["chargeback_id"]
    path = f"/v1/chargebacks/{chargeback_id}"
    assert case.deal.payee.post(f"{path}/statements", {"reference": "chat"}).status == 201

    assert case.shown(case.deal.payee)["statements"][0]["filed_by"] == "payee"
    assert case.shown(case.deal.client)["statements"] == []
    pack = case.deal.payee.get(f"{path}/evidence").body
    assert pack["submissions"][0]["message_ref"] == "message:1"
    assert "contract.accepted" in [each["kind"] for each in pack["history"]]
    assert case.deal.client.get(f"{path}/evidence").status == 404
    stranger = api.as_party(make_party(api, "freelancer"))
    assert stranger.get(path).status == 404
    assert stranger.get(f"{path}/evidence").status == 404
    assert chargeback_id not in str(stranger.get("/v1/chargebacks").body)
    assert api.get("/v1/chargebacks", state="lost", settled="false").body["items"] == []
    assert api.get("/v1/chargebacks", state="gone").status == 422
    assert api.get(f"/v1/chargebacks/{new_id()}").status == 404


def test_a_webhook_asks_and_moves_nothing_by_its_words(case: Case) -> None:
    """Whatever a webhook says of a case, what the rail says is booked, once."""
    body = {
        "funding_id": case.funding_id,
        "chargeback": case.ref,
        "amount": eur("103.00"),
        "direction": "withdrawn",
        "movement": f"{case.ref}_1",
        "delay_days": 2,
    }
    assert case.api.post("/v1/rails/simulated/bank", body).status == 200
    hint = {
        "notice_id": f"evt_{case.ref}",
        "kind": "chargeback_funds",
        "operation_id": case.funding_id,
        "currency": "EUR",
        "occurred_at": "2026-03-02T09:00:00Z",
    }

    first = case.api.post("/v1/rails/simulated/notices", {"notices": [hint]})
    again = case.api.post("/v1/rails/simulated/notices", {"notices": [hint, hint]})

    assert (first.body["new"], again.body["new"]) == (1, 0)
    assert len(case.shown()["movements"]) == 1
    advance(case.api, case.world, days=3)
    assert len(case.shown()["movements"]) == 1
    case.world.prove()


def test_a_case_told_before_its_payment_was_heard_of_waits(case: Case) -> None:
    """E4: a hint on a payment that is not ours is left to the rail's own feed."""
    hint = {
        "notice_id": f"evt_{new_id()}",
        "kind": "chargeback_changed",
        "operation_id": str(new_id()),
        "currency": "EUR",
        "occurred_at": "2026-03-02T09:00:00Z",
    }

    told = case.api.post("/v1/rails/simulated/notices", {"notices": [hint]})

    assert (told.status, told.body["new"]) == (200, 0)


def test_what_the_bank_of_a_sandbox_cannot_do(case: Case, api: Api) -> None:
    """A payment that is not there, a word nobody knows, another currency, another rail, a party."""
    path = "/v1/rails/simulated/bank"
    body = {
        "funding_id": case.funding_id,
        "chargeback": case.ref,
        "amount": eur("1.00"),
        "status": "lost",
    }

    assert api.post(path, body | {"funding_id": str(new_id())}).code == "rail.unknown_payment"
    assert api.post(path, body | {"status": "maybe"}).code == "rail.bad_act"
    other = {"amount": {"amount": "1.00", "currency": "USD"}}
    assert api.post(path, body | other).code == "rail.bad_act"
    assert api.post(path, body | {"direction": "withdrawn"}).code == "rail.bad_act"
    assert api.post("/v1/rails/other/bank", body).status == 404
    assert case.deal.client.post(path, body).status == 403
    assert api.post(path, {"amount": 1}).status == 422


def test_a_debit_that_a_bank_takes_back(api: Api, world: World) -> None:
    """The slot awaits funding again; the payment is reversed."""
    deal = make_deal(api, "100.00")
    paid = deal.client.post(f"/v1/slots/{deal.slots[0]}/fundings", {"method": "bank_debit"})
    world.settle()
    body = {
        "funding_id": paid.body["funding_id"],
        "amount": eur("103.00"),
        "status": "returned",
    }

    assert api.post("/v1/rails/simulated/bank", body).status == 200
    world.settle()

    assert api.get(f"/v1/slots/{deal.slots[0]}").body["state"] == "awaiting_funding"
    assert api.get(f"/v1/fundings/{paid.body['funding_id']}").body["state"] == "reversed"
    world.prove()
