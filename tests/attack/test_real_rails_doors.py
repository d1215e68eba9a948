"""Doors to rails: who may see the secret with which a client pays."""

import pytest

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
