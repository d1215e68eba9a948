"""Doors to rails: who sees the secret with which a client pays, and that he pays real money."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from engine.api.app import make_app
from engine.api.doors import TenantDoors
from tests.engine.api.conftest import Api, World, make_deal, make_party


@pytest.mark.parametrize(
    ("who", "answers"),
    [("client", "rail.not_offered"), ("payee", "not_found"), ("stranger", "not_found")],
)
def test_only_the_client_is_led_to_where_he_pays(
    api: Api, world: World, who: str, answers: str
) -> None:
    """The payee sees the funding, and never its page: the secret there is its payer's alone.

    The simulated rail has no page, which it says to the client alone.
    """
    del world
    deal = make_deal(api, "100.00")
    paid = deal.client.post(f"/v1/slots/{deal.slots[0]}/fundings", {"method": "bank_transfer"})
    funding = f"/v1/fundings/{paid.body['funding_id']}"
    callers = {
        "client": deal.client,
        "payee": deal.payee,
        "stranger": api.as_party(make_party(api, "freelancer")),
    }

    page = callers[who].get(f"{funding}/payment")

    assert page.code == answers
    assert callers["payee"].get(funding).status == 200


def test_where_a_rail_of_the_world_serves_nobody_pays_in_play_money(
    api: Api, api_engine: Engine, world: World
) -> None:
    """A client names the simulated rail himself: it would fund his deal at once, with nothing.

    Nor may a payee be paid by it: his money would be gone in the books, and nowhere else.
    """
    deal = make_deal(api, "100.00")
    doors = TenantDoors(api_engine)
    app = make_app(
        api_engine,
        doors,
        find_rail=world.find_rail,
        default_rail=lambda _tenant: "stripe",
        logs_access=False,
    )
    client, payee = replace(deal.client, app=app), replace(deal.payee, app=app)
    fundings = f"/v1/slots/{deal.slots[0]}/fundings"
    methods = f"/v1/parties/{deal.payee_id}/payout_methods"
    before = world.count_rows()
    tip = {"amount": {"amount": "5.00", "currency": "EUR"}, "method": "card", "rail": "simulated"}

    answers = [
        client.post(fundings, {"method": "card", "rail": "simulated"}),
        client.post(f"/v1/contracts/{deal.contract_id}/tips", tip),
        client.post("/v1/wallets/top_ups", {**tip, "client_id": deal.client_id}),
        payee.post(methods, {"token": "t", "rail": "simulated"}),
    ]

    assert [(each.status, each.code) for each in answers] == [(422, "rail.unknown")] * 4
    assert world.count_rows()["event"] == before["event"]
    paid = client.post(fundings, {"method": "card"})
    assert client.get(f"/v1/fundings/{paid.body['funding_id']}").body["rail_account"] == "stripe"
    doors.close()
