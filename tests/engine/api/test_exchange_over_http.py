"""Exchange over HTTP: rates, a policy by two people, a quote, a conversion, its fill."""

import pytest
from sqlalchemy import Engine

from kernel.database import transaction
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from ledger.chart import account
from tests.engine.api.conftest import START, Api, World, make_deal, make_party, pay
from tests.escrow.stage_fx import post_lines
from tests.fixtures.databases import TENANT

DAY = START.date().isoformat()
RATES = {
    "source": "ecb",
    "origin": "a test",
    "rates": [
        {"sold": "EUR", "bought": "USD", "rate": "1.1000", "as_of": DAY},
        {"sold": "EUR", "bought": "JPY", "rate": "160.5", "as_of": DAY},
    ],
}


@pytest.fixture
def payee(api: Api, api_engine: Engine) -> str:
    """A payee who may withdraw 100.00 EUR, at the rates of the day."""
    assert api.post("/v1/fx/rates", RATES).status == 201
    party = make_party(api, "freelancer")
    operator = Actor(new_id(), PrincipalKind.PERSON, None, True)
    lines = (
        (account("custody.bank", "EUR"), 10_000),
        (account("custody.earned_available", "EUR", party), -10_000),
    )
    with transaction(api_engine, TENANT) as connection:
        post_lines(connection, "EUR", lines, actor=operator, at=START)
    return party


def test_a_payee_exchanges_at_a_quote_and_the_provider_fills_it(api: Api, payee: str) -> None:
    """100.00 EUR at the mid of 1.1000: nobody has decided on a margin."""
    body = {"party_id": payee, "sold": "EUR", "bought": "USD"}
    quoted = api.post("/v1/fx/quotes", body | {"amount": {"amount": "100.00", "currency": "EUR"}})

    assert quoted.status == 201
    assert quoted.body["bought"] == {"amount": "110.00", "currency": "USD"}
    assert api.get(f"/v1/fx/quotes/{quoted.body['quote_id']}").body["state"] == "open"
    made = api.post("/v1/conversions", {"quote_id": quoted.body["quote_id"]})
    assert made.status == 201
    twice = api.post("/v1/conversions", {"quote_id": quoted.body["quote_id"]})
    assert (twice.status, twice.code) == (409, "fx.quote_used")
    open_now = {row["currency"]: row for row in api.get("/v1/fx/exposure").body["currencies"]}
    assert open_now["USD"]["open"]["amount"] == "110.00"
    assert open_now["USD"]["explained"]
    fill = {"conversion_id": made.body["conversion_id"], "provider": "house", "provider_ref": "f-1"}
    in_euros = api.post("/v1/fx/fills", fill | {"amount": {"amount": "1.00", "currency": "EUR"}})
    assert (in_euros.status, in_euros.code) == (422, "fx.fill_in_another_currency")
    filled = api.post("/v1/fx/fills", fill | {"amount": {"amount": "109.67", "currency": "USD"}})
    assert filled.status == 201
    assert filled.body["fill"]["gap"]["amount"] == "-0.33"
    shown = api.get(f"/v1/conversions/{made.body['conversion_id']}").body
    assert shown == filled.body
    listed = api.get("/v1/conversions").body["items"]
    assert made.body["conversion_id"] in [each["conversion_id"] for each in listed]


def test_a_fixed_bought_side_and_what_a_quote_refuses(api: Api, payee: str) -> None:
    """The amount's currency says which side is fixed; another currency is none of both."""
    body = {"party_id": payee, "sold": "EUR", "bought": "USD"}
    fixed = api.post("/v1/fx/quotes", body | {"amount": {"amount": "110.00", "currency": "USD"}})
    other = api.post("/v1/fx/quotes", body | {"amount": {"amount": "110", "currency": "JPY"}})
    nobody = body | {"party_id": str(new_id()), "amount": {"amount": "1.00", "currency": "EUR"}}

    assert (fixed.body["fixed"], fixed.body["sold"]["amount"]) == ("buy", "100.00")
    assert (other.status, other.code) == (422, "fx.quote_does_not_fit")
    assert api.post("/v1/fx/quotes", nobody).code == "fx.unknown_party"
    unknown = api.post("/v1/conversions", {"quote_id": str(new_id())})
    assert (unknown.status, unknown.code) == (404, "fx.unknown_quote")


def test_rates_stand_as_they_were_taken(api: Api, payee: str) -> None:
    """The same again is known; another rate for that day is refused, as is a rate of zero."""
    again = api.post("/v1/fx/rates", RATES)
    other = {**RATES, "rates": [{**RATES["rates"][0], "rate": "1.2"}]}  # type: ignore[dict-item]
    zero = {**RATES, "rates": [{**RATES["rates"][0], "rate": "0"}]}  # type: ignore[dict-item]

    assert (again.body["taken"], again.body["known"]) == (0, 2)
    assert api.post("/v1/fx/rates", other).code == "fx.rate_differs"
    assert api.post("/v1/fx/rates", zero).code == "fx.zero_rate"
    shown = api.get("/v1/fx/rates", on=DAY).body
    assert [each["rate"] for each in shown["rates"]] == ["160.5", "1.1"]
    assert payee


def test_a_policy_is_not_for_programs(api: Api) -> None:
    """People decide on margins; until two have, there is no policy to be seen."""
    body = {"source": "ecb", "margin_bps": 150, "reporting": "EUR", "reason": "a start"}

    refused = api.post("/v1/fx/policies", body)

    assert (refused.status, refused.code) == (403, "fx.second_person")
    assert api.get("/v1/fx/policy").status == 404
    assert api.post(f"/v1/fx/policies/{new_id()}/approve", {}).code == "fx.second_person"


def test_a_day_that_runs_is_not_revalued(api: Api) -> None:
    """And one that was not has nothing to take back."""
    today = api.post("/v1/fx/revaluations", {"on": DAY})
    back = api.post("/v1/fx/revaluations/reverse", {"on": "2026-01-31"})
    empty = api.post("/v1/fx/revaluations", {"on": "2026-01-31"})

    assert (today.status, today.code) == (409, "fx.day_not_over")
    assert (back.status, back.code) == (409, "fx.not_revalued")
    assert empty.body == {"on": "2026-01-31", "reporting": "EUR", "revalued": []}


def test_a_release_at_the_quote_that_the_price_named(api: Api, payee: str, world: World) -> None:
    """What `exchange.promise` says is posted as it stands; the approval names the quote, once."""
    assert payee
    deal = make_deal(api, "100.00", payee_currency="JPY")
    pay(deal, world, deal.slots[0])
    path = f"/v1/slots/{deal.slots[0]}/approve"
    amount = {"amount": "100.00", "currency": "EUR"}
    price = deal.client.post("/v1/quotes", {"contract_id": deal.contract_id, "amount": amount})
    assert price.status == 200, price.body

    quoted = deal.client.post("/v1/fx/quotes", price.body["exchange"]["promise"])

    assert quoted.status == 201, quoted.body
    assert quoted.body["contract_id"] == deal.contract_id
    assert quoted.body["bought"] == price.body["payee_gets"]
    unknown = deal.client.post(path, {"quote_id": str(new_id())})
    assert (unknown.status, unknown.code) == (404, "fx.unknown_quote")
    bound = api.post("/v1/conversions", {"quote_id": quoted.body["quote_id"]})
    assert (bound.status, bound.code) == (422, "fx.quote_does_not_fit")
    released = deal.client.post(path, {"quote_id": quoted.body["quote_id"]})
    assert released.status == 200, released.body
    assert released.body["payee_gets"] == quoted.body["bought"]
    assert released.body["fx_quote_id"] == quoted.body["quote_id"]
    assert api.get(f"/v1/fx/quotes/{quoted.body['quote_id']}").body["state"] == "used"
