"""`POST /v1/quotes` tells the whole price before anyone signs, and what is posted is the same."""

from typing import Any

import pytest

from tests.engine.api.conftest import Api, World, make_deal, make_party, pay


def money(amount: str, currency: str = "EUR") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


def ask(caller: Api, **body: Any) -> Any:
    return caller.call("POST", "/v1/quotes", json=body)


def test_a_quote_is_what_the_release_answers(api: Api, world: World) -> None:
    """Asked by the client before he offers, and under the contract by the payee."""
    deal = make_deal(api, "100.00")
    parties = {"client_id": deal.client_id, "payee_id": deal.payee_id, "currency": "EUR"}

    before = ask(deal.client, **parties, amount=money("100.00"))
    under = ask(deal.payee, contract_id=deal.contract_id, amount=money("100.00"))
    pay(deal, world, deal.slots[0])
    deal.payee.post(f"/v1/slots/{deal.slots[0]}/submit", {"message_ref": "message-1"})
    released = deal.client.post(f"/v1/slots/{deal.slots[0]}/approve", {}).body

    assert (before.status, under.status) == (200, 200)
    for quoted in (before.body, under.body):
        assert quoted["payee_gets"] == released["payee_gets"]
        assert quoted["commission"]["fee"] == released["commission"]
        assert quoted["client"]["pays"] == money("103.00")
    assert (before.body["contract_id"], under.body["contract_id"]) == (None, deal.contract_id)


def test_a_net_is_solved_for(api: Api) -> None:
    """90.01 net of ten in a hundred needs 100.01: the fee of 100.01 is 10.00."""
    deal = make_deal(api, "100.00")

    found = ask(deal.payee, contract_id=deal.contract_id, net_guaranteed=money("90.01")).body

    assert (found["amount"], found["payee_gets"]) == (money("100.01"), money("90.01"))


def test_a_stranger_learns_nothing(api: Api) -> None:
    """Neither of a contract nor of a pair of parties."""
    deal = make_deal(api, "100.00")
    stranger = api.as_party(make_party(api, "client"))
    parties = {"client_id": deal.client_id, "payee_id": deal.payee_id, "currency": "EUR"}

    assert ask(stranger, contract_id=deal.contract_id, amount=money("1.00")).status == 404
    assert ask(stranger, **parties, amount=money("1.00")).code == "escrow.unknown_party"


def test_many_questions_have_answers_of_their_own(api: Api) -> None:
    """A refused one leaves its neighbours theirs, in the order given."""
    deal = make_deal(api, "100.00")
    items = [
        {"contract_id": deal.contract_id, "amount": money("100.00")},
        {"contract_id": deal.contract_id, "amount": money("100.00", "USD")},
        {"contract_id": deal.contract_id, "amount": money("1.001")},
        {"contract_id": deal.contract_id, "kind": "bonus", "amount": money("10.00")},
    ]

    found = api.call("POST", "/v1/quotes:bulk", json={"items": items}).body

    assert (found["done"], found["refused"]) == (2, 2)
    codes = [each["problem"] and each["problem"]["code"] for each in found["results"]]
    assert codes == [None, "fees.bad_quote", "money.too_many_decimals", None]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "fees.bad_quote"),
        ({"amount": money("0.00")}, "money.not_positive"),
        ({"amount": money("1.00"), "colour": "red"}, "request.invalid"),
        ({"amount": money("1.00"), "currency": "XXX"}, "money.unknown_currency"),
        ({"amount": money("1.00"), "kind": "any"}, "request.invalid"),
        ({"minutes": 90, "hourly_rate": money("1.00"), "kind": "milestone"}, "fees.bad_quote"),
    ],
)
def test_a_bad_question_is_refused(api: Api, body: dict[str, Any], code: str) -> None:
    """One clear refusal, and nothing is written."""
    found = ask(api, **body)

    assert (found.status, found.code) == (422, code)


def test_hours_of_an_offer_with_another_currency_for_the_payee(api: Api) -> None:
    """Without a rate a release would be refused, and so is the quote."""
    client_id, payee_id = make_party(api, "client"), make_party(api, "freelancer")

    found = ask(
        api,
        client_id=client_id,
        payee_id=payee_id,
        currency="EUR",
        kind="hourly",
        minutes=90,
        hourly_rate=money("40.01"),
        terms={"payee_currency": "JPY", "origin": "direct", "category": "design"},
    )

    assert found.code == "fx.no_rate"
