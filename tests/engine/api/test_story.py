"""A deal over HTTP, from the first offer to the money in the payee's bank."""

from tests.engine.api.conftest import Api, World, advance, make_deal, pay


def test_a_deal_runs_from_offer_to_payout(api: Api, world: World) -> None:
    """Offer, accept, pay, submit, approve, wait, pay out: every step by API, books proven."""
    deal = make_deal(api, "100.00", "50.00")
    first, second = deal.slots

    pay(deal, world, first)
    submitted = deal.payee.post(f"/v1/slots/{first}/submit", {"message_ref": "message-1"})
    approved = deal.client.post(f"/v1/slots/{first}/approve", {"submission_no": 1})

    assert submitted.body["state"] == "submitted"
    assert approved.status == 200
    assert approved.body["state"] == "released"
    assert approved.body["payee_gets"] == {"amount": "90.00", "currency": "EUR"}

    advance(api, world, days=6)
    world.settle_day()
    advance(api, world, days=1)
    balances = deal.payee.get(f"/v1/parties/{deal.payee_id}/balances").body["balances"]
    assert balances[0]["earned_available"] == {"amount": "90.00", "currency": "EUR"}

    method = deal.payee.post(f"/v1/parties/{deal.payee_id}/payout_methods", {"token": "bank_de_1"})
    asked = deal.payee.post(
        "/v1/payouts",
        {
            "method_id": method.body["method_id"],
            "amount": {"amount": "90.00", "currency": "EUR"},
        },
    )
    assert asked.status == 201, asked.body
    payout = f"/v1/payouts/{asked.body['id']}"
    assert api.post(f"{payout}/submit").status == 200
    world.settle()
    advance(api, world, days=3)
    assert deal.payee.get(payout).body["state"] == "paid"

    unpaid = deal.client.get(f"/v1/slots/{second}").body
    assert unpaid["state"] == "awaiting_funding"
    assert unpaid["unpaid"] == {"amount": "50.00", "currency": "EUR"}
    trial = api.get("/v1/trial_balance").body
    assert trial["totals"]
    assert all(total["balanced"] for total in trial["totals"])
    world.prove()
