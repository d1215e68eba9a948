"""Disputes over HTTP: each side sees the clocks and what follows, and every cent is split."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from kernel.principals import PrincipalKind
from tests.engine.api.conftest import (
    Api,
    Deal,
    World,
    advance,
    make_deal,
    make_key,
    make_party,
    pay,
)


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def person(api: Api) -> Api:
    """An operator in person."""
    given: dict[str, Any] = {"kind": PrincipalKind.PERSON, "is_operator": True}
    return api.with_key(make_key(api.engine, **given))


@pytest.fixture
def deal(api: Api, world: World) -> Deal:
    """A paid slot whose work lies before the client."""
    made = make_deal(api, "100.00")
    pay(made, world, made.slots[0])
    shown = made.payee.post(f"/v1/slots/{made.slots[0]}/submit", {"message_ref": "message-1"})
    assert shown.status == 200
    return made


def opened(deal: Deal, **given: Any) -> str:
    answer = deal.client.post(
        f"/v1/slots/{deal.slots[0]}/disputes", {"reason": "not as agreed", **given}
    )
    assert answer.status == 201, answer.body
    return f"/v1/disputes/{answer.body['dispute_id']}"


def test_a_small_claim_from_opening_to_split(api: Api, world: World, deal: Deal) -> None:
    """Open, serve, reply, mediate, file, propose, approve: 70 : 30, and the books are proved."""
    first, second = person(api), person(api)
    path = opened(deal)
    frozen = deal.client.get(f"/v1/slots/{deal.slots[0]}").body
    assert (frozen["state"], frozen["disputed"]) == ("disputed", eur("100.00"))
    assert deal.client.get(path).body["if_nothing"] == []

    served = first.post(f"{path}/serve", {"channel": "email", "proof": "delivery-1"})
    assert served.body["state"] == "awaiting_reply"
    seen = deal.payee.get(path).body
    (clock,) = seen["if_nothing"]
    assert (clock["step"], clock["leads_to"]) == ("default", "defaulted")
    assert datetime.fromisoformat(clock["due_at"]) > datetime.fromisoformat(seen["served_at"])
    mine = {each["trigger"]: each for each in seen["options"] if each["yours"]}
    assert mine["concede"]["blocked_by"] == []
    theirs = {each["trigger"]: each for each in deal.client.get(path).body["options"]}
    assert theirs["concede"]["blocked_by"] == ["dispute.only_respondent"]

    assert deal.payee.post(f"{path}/reply", {"payee": eur("90.00")}).body["state"] == "negotiation"
    assert deal.client.post(f"{path}/offers", {"payee": eur("0.00")}).status == 201
    assert deal.client.post(f"{path}/mediate").body["state"] == "arbitration"
    for side in (deal.client, deal.payee):
        filed = side.post(f"{path}/evidence", {"sha256": "ab" * 32, "reference": "chat log"})
        assert filed.status == 201
    award = {"payee": eur("70.00"), "client": eur("30.00"), "award_ref": "award-1"}
    version = first.get(path).body["version"]
    proposed = first.post(f"{path}/decisions", {**award, "version": version})
    assert proposed.status == 201, proposed.body
    late = second.post(
        f"{path}/decisions", {**award, "payee": eur("0"), "client": eur("100"), "version": version}
    )
    assert (late.status, late.code) == (409, "dispute.decision_stands")
    assert late.body["facts"]["payee"] == eur("70.00")
    now = {"version": version + 1}
    assert first.post(f"{path}/approve", now).code == "dispute.same_person"
    done = second.post(f"{path}/approve", now)
    assert (done.status, done.body["state"]) == (200, "executed")
    assert done.body["payee_gets"] == eur("63.00")
    assert done.body["refunded"] == eur("30.00")

    advance(api, world, days=6)
    whole = deal.client.get(path).body
    assert [each["approved_by"] is not None for each in whole["decisions"]] == [True]
    balances = deal.payee.get(f"/v1/parties/{deal.payee_id}/balances").body["balances"]
    assert balances[0]["earned_available"] == eur("63.00")
    world.prove()


def test_withdrawn_all_is_as_before(world: World, deal: Deal) -> None:
    """Whoever opened withdraws; nothing is frozen any more, and another dispute may come."""
    path = opened(deal, amount=eur("40.00"))
    again = deal.payee.post(f"/v1/slots/{deal.slots[0]}/disputes", {"reason": "me too"})
    assert again.code == "escrow.wrong_state"
    assert deal.payee.post(f"{path}/withdraw").code == "dispute.only_opener"
    assert deal.client.post(f"{path}/withdraw").body["state"] == "withdrawn"

    listed = deal.client.get(f"/v1/slots/{deal.slots[0]}/disputes").body["items"]
    assert [each["state"] for each in listed] == ["withdrawn"]
    assert deal.client.post(f"/v1/slots/{deal.slots[0]}/approve").body["state"] == "released"
    world.prove()


def test_released_money_is_disputed_and_appealed(api: Api, world: World, deal: Deal) -> None:
    """After release the client disputes what is pending; silence is appealed once."""
    slot = f"/v1/slots/{deal.slots[0]}"
    opening = {"reason": "work was done", "amount": eur("40.00")}
    lost = deal.payee.post(f"{slot}/disputes", opening)
    path = f"/v1/disputes/{lost.body['dispute_id']}"
    assert api.post(f"{path}/serve", {"channel": "email", "proof": "p"}).status == 200
    advance(api, world, days=8)
    default = deal.payee.get(path).body
    assert default["resolution"] == "defaulted"
    appeal_until = datetime.fromisoformat(default["appeal_until"])
    assert appeal_until - datetime.fromisoformat(default["ended_at"]) == timedelta(days=7)
    assert deal.payee.post(f"{path}/appeal", {"reason": "x"}).code == "dispute.only_respondent"
    assert deal.client.post(f"{path}/appeal", {}).status == 422
    options = {each["trigger"]: each for each in deal.client.get(path).body["options"]}
    assert options["appeal"]["blocked_by"] == []

    appealed = deal.client.post(f"{path}/appeal", {"reason": "I was away"})

    assert (appealed.status, appealed.body["state"]) == (201, "negotiation")
    again = deal.client.get(f"/v1/disputes/{appealed.body['dispute_id']}").body
    assert (again["appeal_of"], again["reserved"]) == (lost.body["dispute_id"], eur("36.00"))
    assert deal.client.get(slot).body["contested"] == eur("40.00")
    release = deal.client.get(f"/v1/releases/{again['release_id']}").body
    assert (release["net"], release["taken"]) == (eur("36.00"), eur("36.00"))
    assert deal.client.post(f"{path}/appeal", {"reason": "x"}).code == "dispute.appealed_already"
    twice = deal.client.post(
        f"{slot}/disputes", {"reason": "this too", "release_id": again["release_id"]}
    )
    assert twice.code == "dispute.open_already"
    world.prove()
    open_ones = [each["id"] for each in api.get("/v1/disputes", state="negotiation").body["items"]]
    assert again["id"] in open_ones
    assert lost.body["dispute_id"] not in open_ones
    own = [each["id"] for each in deal.payee.get("/v1/disputes").body["items"]]
    assert own == [lost.body["dispute_id"], again["id"]]
    stranger = api.as_party(make_party(api, "client"))
    assert stranger.get("/v1/disputes").body["items"] == []
    assert api.get("/v1/disputes", state="lost").status == 422


def test_e15_a_decision_approved_twice_is_carried_out_once(
    api: Api, world: World, deal: Deal
) -> None:
    """E15: the same key gets the first answer again; another body under it is refused."""
    first, second = person(api), person(api)
    path = opened(deal)
    assert deal.payee.post(f"{path}/reply", {}).status == 200
    assert deal.client.post(f"{path}/mediate").status == 200
    for side in (deal.client, deal.payee):
        filed = side.post(f"{path}/evidence", {"sha256": "cd" * 32, "reference": "log"})
        assert filed.status == 201
    version = first.get(path).body["version"]
    award = {"payee": eur("1"), "client": eur("99"), "award_ref": "a", "version": version}
    assert first.post(f"{path}/decisions", award).status == 201
    approval = {"version": version + 1}

    answers = [second.post(f"{path}/approve", approval, key="twice") for _ in range(2)]

    assert [each.status for each in answers] == [200, 200]
    assert answers[0].body == answers[1].body
    other = second.post(f"{path}/approve", {"version": version + 2}, key="twice")
    assert (other.status, other.code) == (422, "idempotency_mismatch")
    world.prove()


def test_e16_an_offer_is_taken_as_it_was_looked_at(deal: Deal) -> None:
    """E16: who accepts while the other makes a new offer, or names an old version, is refused."""
    path = opened(deal)
    seen = deal.payee.post(f"{path}/reply", {"payee": eur("90.00")}).body["version"]
    assert deal.payee.post(f"{path}/offers", {"payee": eur("95.00")}).status == 201

    late = deal.client.post(f"{path}/accept", {"offer_no": 1})
    stale = deal.client.post(f"{path}/accept", {"offer_no": 2, "version": seen})

    assert (late.status, late.code) == (409, "dispute.no_such_offer")
    assert (stale.status, stale.code) == (409, "escrow.stale_version")
    assert deal.client.get(path).body["state"] == "negotiation"


def test_e37_shares_are_in_the_contracts_currency(api: Api, deal: Deal) -> None:
    """E37: a dispute is split in the contract's currency; shares in another are refused."""
    path = opened(deal)
    assert api.post(f"{path}/serve", {"channel": "email", "proof": "p"}).status == 200
    dollars = {"amount": "10.00", "currency": "USD"}

    assert deal.payee.post(f"{path}/reply", {"payee": dollars}).code == "money.currency_mismatch"
    award = {"payee": eur("1"), "client": dollars, "award_ref": "a", "version": 2}
    assert person(api).post(f"{path}/decisions", award).code == "money.currency_mismatch"
    assert deal.payee.get(path).body["state"] == "awaiting_reply"


def test_another_partys_dispute_is_not_there(api: Api, deal: Deal) -> None:
    """A stranger neither sees nor moves it."""
    path = opened(deal)
    stranger = api.as_party(make_party(api, "client"))

    assert stranger.get(path).status == 404
    assert stranger.post(f"{path}/concede").status == 404
    assert stranger.get(f"/v1/slots/{deal.slots[0]}/disputes").status == 404
    assert stranger.post(f"/v1/slots/{deal.slots[0]}/disputes", {"reason": "x"}).status == 404


def test_programs_do_not_judge(api: Api, deal: Deal) -> None:
    """The platform's own key serves, but a decision takes people; so do the rules."""
    path = opened(deal)
    assert api.post(f"{path}/serve", {"channel": "email", "proof": "p"}).status == 200
    assert deal.payee.post(f"{path}/reply", {}).status == 200
    assert deal.client.post(f"{path}/mediate").status == 200
    version = api.get(path).body["version"]
    award = {"payee": eur("100"), "client": eur("0"), "award_ref": "a", "version": version}
    assert api.post(f"{path}/decisions", award).code == "dispute.in_person_only"
    limit = {"amount": "50.00", "currency": "USD"}
    rules = {"currency": "USD", "small_claim": limit, "fee_bps": 300}
    assert api.post("/v1/dispute_rules", rules).code == "dispute.in_person_only"
    assert person(api).post("/v1/dispute_rules", rules).status == 200
