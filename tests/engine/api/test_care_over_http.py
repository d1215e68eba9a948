"""Money at rest over HTTP: wallets, the treasury, sanctions, and unclaimed money."""

from uuid import UUID

import pytest
from sqlalchemy import Engine

from kernel import clock
from kernel.database import transaction
from kernel.principals import PrincipalKind
from payouts import service_dormant
from tests.engine.api.conftest import Api, World, advance, make_key, make_party
from tests.fixtures.databases import TENANT


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def filled(api: Api, world: World, amount: str = "100.00") -> str:
    """A verified client with money in the wallet, paid in by a card."""
    client = make_party(api, "client")
    made = api.post("/v1/wallets/top_ups", {"client_id": client, "amount": eur(amount)})
    assert (made.status, made.body["state"]) == (201, "submitted")
    world.settle()
    return client


def test_a_wallet_is_filled_emptied_and_closed(api: Api, world: World) -> None:
    """Paid in by card, 40.00 taken out by the same card, the rest given back at the end."""
    client = filled(api, world)

    out = api.post("/v1/wallets/withdrawals", {"party_id": client, "amount": eur("40.00")})
    over = api.post("/v1/wallets/withdrawals", {"party_id": client, "amount": eur("60.01")})
    seen = api.get(f"/v1/wallets/{client}").body
    closed = api.post(f"/v1/wallets/{client}/close", {})

    assert [each["way"] for each in out.body["parts"]] == ["refund"]
    assert (over.status, over.code) == (409, "wallet.short")
    assert (seen["balances"], seen["top_ups"][0]["refunded"]) == ([eur("60.00")], eur("40.00"))
    assert (closed.body["left"], closed.body["may_erase"]) == ([], False)
    assert api.get(f"/v1/wallets/{client}").body["balances"] == []
    world.prove()


def test_the_treasury_tells_what_settles_next(api: Api, world: World) -> None:
    """A row is set once for a time; what is where is told by currency and account."""
    body = {
        "rail_account": "simulated",
        "currency": "EUR",
        "mode": "land",
        "floor": "5.00",
        "valid_from": "2100-01-01T00:00:00Z",
    }
    filled(api, world)

    first, again = [api.post("/v1/treasury/rules", each) for each in (body, body)]
    bad = api.post("/v1/treasury/rules", {"rail_account": "nowhere", "mode": "land"})
    page = api.get("/v1/treasury").body
    (row,) = [each for each in page["currencies"] if each["currency"] == "EUR"]

    assert (first.status, again.code) == (201, "treasury.rule_stands")
    assert bad.code == "rail.unknown"
    assert [each["rail_account"] for each in row["places"]] == ["simulated"]
    assert row["payouts_stopped"] is False


def test_a_match_blocks_and_two_people_release(api: Api, world: World, api_engine: Engine) -> None:
    """`hit` blocks the wallet; `clear` is refused; two people with a licence give it back."""
    client = filled(api, world)
    first, second = (
        api.with_key(make_key(api_engine, is_operator=True, kind=PrincipalKind.PERSON))
        for _ in range(2)
    )

    hit = api.post(f"/v1/parties/{client}/states", {"sanction_state": "hit", "reason": "SDN"})
    clear = api.post(f"/v1/parties/{client}/states", {"sanction_state": "clear"})
    blocks = api.get("/v1/sanctions/blocks", standing="true", party_id=client).body["items"]
    licence = {"licence_ref": "L-1", "reason": "licensed"}
    made = first.post(f"/v1/parties/{client}/blocked/release", licence)
    path = f"/v1/sanctions/releases/{made.body['release_id']}/approve"
    alone = first.post(path)
    both = second.post(path)

    assert (hit.status, clear.code) == (200, "sanctions.blocked_money")
    assert [(each["from"], each["amount"]) for each in blocks] == [
        ("custody.wallet", eur("100.00"))
    ]
    assert (made.status, alone.code, both.status) == (201, "sanctions.second_person", 200)
    assert api.get(f"/v1/wallets/{client}").body["balances"] == [eur("100.00")]
    world.prove()


def test_a_silent_owner_is_unclaimed_and_turns_up(
    api: Api, world: World, api_engine: Engine
) -> None:
    """By the rule of where he lives: the letter, the money, and back again when he asks."""
    rule = {
        "jurisdiction": "US-TX",
        "owner": "client",
        "valid_from": "2020-01-01",
        "years": 1,
        "notice_days": 60,
        "source": "Tex. Prop. Code 72.101",
    }
    assert api.post("/v1/unclaimed/rules", rule).status == 201
    assert api.post("/v1/unclaimed/rules", rule).code == "unclaimed.bad_rule"
    client = filled(api, world)
    home = {"jurisdiction": "US-TX", "since": "2020-01-01"}
    assert api.post(f"/v1/parties/{client}/residence", home).status == 201

    with transaction(api_engine, TENANT) as connection:
        service_dormant.watch(connection, at=clock.now(connection))
    advance(api, world, days=310)
    advance(api, world, days=61)
    (found,) = [
        each for each in api.get("/v1/unclaimed").body["items"] if each["party_id"] == client
    ]
    back = api.post(f"/v1/parties/{client}/unclaimed/reactivate", {})

    assert (found["state"], found["amount"]) == ("held", eur("100.00"))
    assert back.status == 200
    assert api.get(f"/v1/wallets/{client}").body["balances"] == [eur("100.00")]
    world.prove()


@pytest.mark.parametrize(
    "path", ["/v1/treasury", "/v1/sanctions/blocks", "/v1/remittances", "/v1/unclaimed/rules"]
)
def test_a_party_sees_none_of_the_platforms_pages(api: Api, api_engine: Engine, path: str) -> None:
    """What all parties have is not for one of them."""
    party_id = make_party(api, "client")

    found = api.with_key(make_key(api_engine, party_id=UUID(party_id))).get(path)

    assert found.code == "auth.platform_only"
