"""Plans and products over HTTP: two people sell, a party takes, and sees its own alone."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from commissions.model import Side
from escrow.movements_plans import purse
from kernel.database import transaction
from kernel.ids import new_id
from kernel.principals import SYSTEM, PrincipalKind
from ledger.chart import account
from ledger.entries import custody
from ledger.model import Draft, Posted
from ledger.service import post
from tests.engine.api.conftest import START, Answer, Api, World, advance, make_key, make_party
from tests.fixtures.databases import TENANT


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


@pytest.fixture
def people(api: Api, api_engine: Engine) -> tuple[Api, Api]:
    """Two operators in person."""
    given: dict[str, Any] = {"kind": PrincipalKind.PERSON, "is_operator": True}
    return api.with_key(make_key(api_engine, **given)), api.with_key(make_key(api_engine, **given))


def make_payee(api: Api, engine: Engine, amount_minor: int = 5_000) -> str:
    """A payee who may spend what he has earned."""
    party_id = make_party(api, "freelancer")
    entries = custody(
        "EUR",
        (account("custody.bank", "EUR"), amount_minor),
        (purse(Side.PAYEE, UUID(party_id), "EUR"), -amount_minor),
    )
    with transaction(engine, TENANT) as connection:
        (answer,) = post(connection, [Draft("test.earned", "", SYSTEM, START, entries)])
    assert isinstance(answer, Posted)
    return party_id


def prepare(operator: Api, **fields: Any) -> Answer:
    given = {
        "kind": "plan",
        "name": f"pro-{str(new_id())[-12:]}",
        "side": "payee",
        "prices": [{"every": "month", "price": eur("14.99")}],
        "reason": "what the market bears",
        **fields,
    }
    return operator.post("/v1/offerings", given)


def sell(people: tuple[Api, Api], **fields: Any) -> str:
    """The name of what was prepared by one and approved by another."""
    made = prepare(people[0], **fields)
    assert made.status == 201, made.body
    assert people[1].post(f"/v1/offerings/{made.body['offering_id']}/approve").status == 200
    return str(made.body["name"])


def test_a_plan_from_its_approval_to_its_end(
    api: Api, api_engine: Engine, world: World, people: tuple[Api, Api]
) -> None:
    """Subscribed by the party's own key, charged, earned by the clock, ended, and out."""
    plan = sell(people)
    party_id = make_payee(api, api_engine)
    own = api.with_key(make_key(api_engine, party_id=UUID(party_id)))
    body = {"plan": plan, "currency": "EUR", "every": "month"}

    taken = own.post("/v1/subscriptions", body, key=f"sub-{party_id}")
    again = own.post("/v1/subscriptions", body, key=f"sub-{party_id}")

    assert (taken.status, taken.body["state"]) == (201, "active")
    assert again.body["subscription_id"] == taken.body["subscription_id"]
    second = own.post("/v1/subscriptions", body)
    assert (second.status, second.code) == (409, "plans.subscribed")
    paid = own.get("/v1/purchases").body["items"]
    assert [each["total"] for each in paid] == [eur("14.99")]
    path = f"/v1/subscriptions/{taken.body['subscription_id']}"
    assert own.post(f"{path}/cancel").body["state"] == "ending"
    advance(api, world, days=32)
    assert own.get(path).body["state"] == "cancelled"
    earned = own.get(f"/v1/purchases/{paid[0]['purchase_id']}").body
    assert (earned["state"], earned["earned"]) == ("earned", eur("14.99"))
    world.prove()


def test_a_sandbox_that_leaps_charges_every_month(
    api: Api, api_engine: Engine, world: World, people: tuple[Api, Api]
) -> None:
    """Moved on by more than three months at once: four charges, and three are all earned."""
    own = api.as_party(make_payee(api, api_engine, 100_000))
    taken = own.post(
        "/v1/subscriptions", {"plan": sell(people), "currency": "EUR", "every": "month"}
    )
    assert taken.status == 201

    advance(api, world, days=100)

    states = [each["state"] for each in own.get("/v1/purchases").body["items"]]
    assert states == ["earned", "earned", "earned", "earning"]
    world.prove()


def test_what_one_can_do_now(
    api: Api, api_engine: Engine, world: World, people: tuple[Api, Api]
) -> None:
    """A party reads how its plan ends and when it is charged; a stranger reads nothing."""
    own = api.as_party(make_payee(api, api_engine))
    prices = [{"every": "once", "price": eur("9.90")}]
    products = {"kind": "product", "prices": prices, "days": 7}
    keeps, gives = sell(people), sell(people, refund="pro_rata")
    fixed, loose = sell(people, **products), sell(people, refund="pro_rata", **products)

    for plan, step, leads_to in ((keeps, "cancel", "ending"), (gives, "cancel_now", "cancelled")):
        body = {"plan": plan, "currency": "EUR", "every": "month"}
        taken = own.post("/v1/subscriptions", body).body
        path = f"/v1/subscriptions/{taken['subscription_id']}"
        seen = own.get(f"{path}/actions").body
        (mine,) = [each for each in seen["actions"] if each["yours"]]
        assert (mine["trigger"], mine["open"], mine["leads_to"]) == (step, True, leads_to)
        assert mine["call"] == "POST /v1/subscriptions/{subscription_id}/cancel"
        (charge,) = seen["if_nothing_happens"]
        assert charge["due_at"] == taken["period_to"]
        assert "is charged" in charge["consequence"]
        assert own.post(f"{path}/cancel").body["state"] == leads_to
        if leads_to == "ending":
            advance(api, world, days=32)

    for product, blocked in ((fixed, ["plans.keeps"]), (loose, [])):
        bought = own.post("/v1/purchases", {"product": product, "currency": "EUR"}).body
        path = f"/v1/purchases/{bought['purchase_id']}/actions"
        (mine,) = [each for each in own.get(path).body["actions"] if each["yours"]]
        assert (mine["trigger"], mine["blocked_by"]) == ("give_back", blocked)
        assert api.as_party(make_party(api, "client")).get(path).status == 404


def test_one_person_sells_nothing(api: Api, people: tuple[Api, Api]) -> None:
    """A key prepares nothing, a preparer approves nothing, and what waits is not for parties."""
    refused = prepare(api)
    assert (refused.status, refused.code) == (403, "plans.in_person_only")
    made = prepare(people[0])
    path = f"/v1/offerings/{made.body['offering_id']}"
    alone = people[0].post(f"{path}/approve")
    assert (alone.status, alone.code) == (403, "plans.second_person")
    party = api.as_party(make_party(api, "client"))
    assert party.get(path).status == 404
    assert party.post(f"{path}/approve").status == 404
    assert made.body["offering_id"] not in str(party.get("/v1/offerings").body)
    assert people[0].post(f"{path}/reject").body["state"] == "rejected"


def test_a_stranger_learns_nothing(api: Api, api_engine: Engine, people: tuple[Api, Api]) -> None:
    """Another party's plan is unknown to a stranger, whatever he tries."""
    plan = sell(people)
    party_id = make_payee(api, api_engine)
    stranger = api.as_party(make_party(api, "freelancer"))
    body = {"plan": plan, "currency": "EUR", "every": "month", "party_id": party_id}
    assert stranger.post("/v1/subscriptions", body).code == "plans.not_yours"
    taken = api.post("/v1/subscriptions", body)
    path = f"/v1/subscriptions/{taken.body['subscription_id']}"

    assert stranger.get(path).status == 404
    assert stranger.post(f"{path}/cancel").code == "plans.unknown_subscription"
    assert stranger.get("/v1/subscriptions").body["items"] == []
    assert stranger.get("/v1/purchases").body["items"] == []
    paid = api.as_party(party_id).get("/v1/purchases").body["items"][0]
    assert stranger.get(f"/v1/purchases/{paid['purchase_id']}").status == 404
    gone = stranger.post(f"/v1/purchases/{paid['purchase_id']}/return")
    assert gone.code == "plans.unknown_purchase"


def test_a_product_is_bought_and_given_back(
    api: Api, api_engine: Engine, people: tuple[Api, Api]
) -> None:
    """At once given back it is whole; twice for one profile it is refused."""
    prices = [{"every": "once", "price": eur("9.90")}]
    product = sell(people, kind="product", prices=prices, days=7, refund="pro_rata")
    party = api.as_party(make_payee(api, api_engine))
    body = {"product": product, "currency": "EUR", "about": "profile:7"}

    bought = party.post("/v1/purchases", body)

    assert (bought.status, bought.body["net"]) == (201, eur("9.90"))
    assert party.post("/v1/purchases", body).code == "plans.running"
    path = f"/v1/purchases/{bought.body['purchase_id']}"
    stale = party.post(f"{path}/return", {"version": 9})
    assert (stale.status, stale.code) == (409, "plans.stale_version")
    back = party.post(f"{path}/return")
    assert (back.body["state"], back.body["refunded"]) == ("refunded", eur("9.90"))
    assert party.post("/v1/purchases", body).status == 201


def test_bad_input_is_one_refusal(api: Api, people: tuple[Api, Api]) -> None:
    """Fields that cannot be, prices that do not fit, and nobody to sell to: nothing is written."""
    for wrong in ({"name": "Pro Plan"}, {"days": 0}, {"prices": "free"}, {"side": "both"}):
        assert prepare(people[0], **wrong).status == 422
    once = [{"every": "once", "price": eur("9.90")}]
    assert prepare(people[0], prices=once).code == "plans.bad_offering"
    assert prepare(people[0], days=7).code == "plans.bad_offering"
    body = {"plan": "no-such-plan", "currency": "EUR", "every": "month"}
    nobody = api.post("/v1/subscriptions", body)
    assert (nobody.status, nobody.code) == (422, "request.invalid")
    party = api.as_party(make_party(api, "client"))
    assert party.post("/v1/subscriptions", body).code == "plans.not_sold"
