"""Reservations over HTTP: an operator sets money aside and posts it, a party sees its own."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from engine.replay.store import list_available
from kernel.database import transaction
from ledger.chart import account
from ledger.model import AccountKey
from ledger.service import post
from tests.engine.api.conftest import Api, World, advance, make_key, make_party
from tests.fixtures.databases import TENANT
from tests.ledger.drafts import fund


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def wallet(party_id: str) -> dict[str, str]:
    return {"kind": "custody.wallet", "subject": party_id}


def fill(engine: Engine, key: AccountKey, amount_minor: int) -> None:
    """Money comes in, with no rail behind it."""
    with transaction(engine, TENANT) as connection:
        post(connection, [fund(amount_minor, key)])


@pytest.fixture
def payer(api: Api, api_engine: Engine) -> str:
    """A client with 100.00 EUR in the wallet."""
    party_id = make_party(api, "client")
    fill(api_engine, account("custody.wallet", "EUR", party_id), 10_000)
    return party_id


def make(api: Api, payer: str, amount: str, **given: Any) -> dict[str, Any]:
    body = {"account": wallet(payer), "amount": eur(amount), "reason": "a deposit"} | given
    made = api.post("/v1/reservations", body)
    assert made.status == 201, made.body
    return dict(made.body)


def balance(api: Api, party_id: str) -> tuple[str, str]:
    """What is free in the wallet, and what is set aside."""
    (found,) = api.get(f"/v1/parties/{party_id}/balances").body["balances"]
    return found["wallet"]["amount"], found["set_aside"]["amount"]


def test_a_reservation_from_making_to_its_end(api: Api, payer: str, world: World) -> None:
    """Set aside, posted in part to another party, the rest given back; the books agree."""
    payee = make_party(api, "freelancer")
    made = make(api, payer, "60.00")
    path = f"/v1/reservations/{made['id']}"
    assert balance(api, payer) == ("40.00", "60.00")

    posted = api.post(
        f"{path}/post", {"targets": [{"account": wallet(payee), "amount": eur("25.00")}]}
    )
    over = api.post(
        f"{path}/post", {"targets": [{"account": wallet(payee), "amount": eur("36.00")}]}
    )
    voided = api.post(f"{path}/void", {"reason": "the rest is not needed"})
    again = api.post(f"{path}/void")

    assert posted.status == 200
    assert (posted.body["state"], posted.body["remaining"]) == ("open", eur("35.00"))
    assert (over.status, over.code) == (409, "reservation.exceeds_remaining")
    assert (voided.body["state"], voided.body["returned"]) == ("voided", eur("35.00"))
    assert (again.status, again.code) == (409, "reservation.already_voided")
    assert api.get(path).body == {k: v for k, v in voided.body.items() if k != "event_id"}
    assert balance(api, payer) == ("75.00", "0.00")
    assert balance(api, payee) == ("25.00", "0.00")
    world.prove()


def test_the_last_posting_returns_the_rest(api: Api, payer: str) -> None:
    """With `is_last` what remains goes back in the same answer."""
    payee = make_party(api, "freelancer")
    made = make(api, payer, "60.00")
    part = {"account": wallet(payee), "amount": eur("50.00")}

    posted = api.post(f"/v1/reservations/{made['id']}/post", {"targets": [part], "is_last": True})

    assert (posted.body["state"], posted.body["returned"]) == ("posted", eur("10.00"))
    assert balance(api, payer) == ("50.00", "0.00")


def test_it_expires_by_the_clock(api: Api, payer: str, world: World) -> None:
    """When its time is over it is posted no more, and its timer gives the money back."""
    now = datetime.fromisoformat(api.get("/v1/clock").body["now"])
    until = (now + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    made = make(api, payer, "60.00", expires_at=until)

    advance(api, world, hours=2)

    late = api.post(f"/v1/reservations/{made['id']}/void")
    assert api.get(f"/v1/reservations/{made['id']}").body["state"] == "expired"
    assert late.code == "reservation.already_expired"
    assert balance(api, payer) == ("100.00", "0.00")
    world.prove()


def test_a_party_sees_what_is_set_aside_of_its_own(
    api: Api, api_engine: Engine, payer: str
) -> None:
    """Its reservations, their events, the reserved account and its extract; and no one else's."""
    made = make(api, payer, "60.00")
    other = make_party(api, "client")
    own = api.with_key(make_key(api_engine, party_id=payer))
    stranger = api.with_key(make_key(api_engine, party_id=other))

    listed = own.get("/v1/reservations").body["items"]
    accounts = {each["subject"]: each for each in own.get("/v1/accounts").body["items"]}
    twin = accounts[f"{payer}:reserved"]
    extract = own.get(f"/v1/accounts/{twin['id']}/extract").body["items"]
    events = own.get("/v1/events", subject=f"reservation:{made['id']}").body["items"]

    assert [each["id"] for each in listed] == [made["id"]]
    assert own.get(f"/v1/reservations/{made['id']}").body == listed[0]
    assert accounts.keys() == {payer, f"{payer}:reserved"}
    assert twin["code"] == f"custody.wallet[{payer}:reserved] EUR"
    assert own.get("/v1/accounts", subject=f"{payer}:reserved").body["items"] == [twin]
    assert [line["amount"]["amount"] for line in extract] == ["-60.00"]
    assert [event["kind"] for event in events] == ["reservation.made"]

    assert stranger.get("/v1/reservations").body["items"] == []
    assert stranger.get("/v1/reservations", subject=payer).body["items"] == []
    assert stranger.get(f"/v1/reservations/{made['id']}").status == 404
    assert stranger.get(f"/v1/accounts/{twin['id']}").status == 404
    assert stranger.get("/v1/accounts", subject=f"{payer}:reserved").body["items"] == []
    assert stranger.get("/v1/events", subject=f"reservation:{made['id']}").body["items"] == []


def test_only_operators_set_money_aside(api: Api, api_engine: Engine, payer: str) -> None:
    """A party's own key, or one acting for a party, neither makes nor posts nor voids."""
    made = make(api, payer, "60.00")
    path = f"/v1/reservations/{made['id']}"
    body = {"account": wallet(payer), "amount": eur("1.00"), "reason": "mine"}
    part = {"targets": [{"account": wallet(payer), "amount": eur("1.00")}]}

    for caller in (api.with_key(make_key(api_engine, party_id=payer)), api.as_party(payer)):
        tried = [
            caller.post("/v1/reservations", body),
            caller.post(f"{path}/post", part),
            caller.post(f"{path}/void"),
        ]
        assert {(each.status, each.code) for each in tried} == {(403, "reservation.operator_only")}
    assert balance(api, payer) == ("40.00", "60.00")


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"account": {"kind": "custody.wallet"}}, 422, "request.invalid"),
        ({"account": {"kind": "custody.wallet", "subject": "ann"}}, 422, "request.invalid"),
        ({"account": wallet("00000000-0000-4000-8000-000000000001")}, 404, "party.unknown"),
        ({"account": {"kind": "custody.bank"}}, 422, "reservation.not_reservable"),
        ({"account": {"kind": "custody.purse"}}, 422, "ledger.unknown_account_kind"),
        (
            {"account": {"kind": "custody.suspense", "subject": "x"}},
            422,
            "ledger.unknown_account_kind",
        ),
        ({"account": {"kind": "custody.suspense", "subject": "a:b"}}, 422, "request.invalid"),
        ({"amount": eur("0.00")}, 422, "money.not_positive"),
        ({"amount": {"amount": "1.00", "currency": "ZZZ"}}, 422, "money.unknown_currency"),
        ({"amount": eur("100.01")}, 409, "ledger.insufficient_funds"),
        ({"expires_at": "1999-01-01T00:00:00Z"}, 422, "reservation.bad_expiry"),
        ({"reason": ""}, 422, "request.invalid"),
        ({"reason": "  "}, 422, "reservation.reason_missing"),
    ],
)
def test_wrong_reservations_are_refused(
    api: Api, world: World, payer: str, given: dict[str, Any], status: int, code: str
) -> None:
    """Each is refused by its code, and no event or line is written."""
    before = world.count_rows()
    body = {"account": wallet(payer), "amount": eur("1.00"), "reason": "a deposit"} | given

    refused = api.post("/v1/reservations", body)

    assert (refused.status, refused.code) == (status, code)
    after = world.count_rows()
    assert {k: v for k, v in after.items() if k != "idempotency"} == {
        k: v for k, v in before.items() if k != "idempotency"
    }


def test_a_posting_to_nobody_is_refused(api: Api, payer: str) -> None:
    """An unknown reservation and an unknown party are told apart."""
    nobody = "00000000-0000-4000-8000-000000000001"
    part = {"targets": [{"account": wallet(nobody), "amount": eur("1.00")}]}
    made = make(api, payer, "60.00")

    unknown = api.post(f"/v1/reservations/{nobody}/post", part)
    stranger = api.post(f"/v1/reservations/{made['id']}/post", part)

    assert (unknown.status, unknown.code) == (404, "reservation.unknown")
    assert (stranger.status, stranger.code) == (404, "party.unknown")


def test_what_is_set_aside_is_not_paid_out(api: Api, api_engine: Engine) -> None:
    """A payee withdraws what is free, and nobody takes the reserved account for a payee."""
    payee = make_party(api, "freelancer")
    fill(api_engine, account("custody.earned_available", "EUR", payee), 10_000)
    earned = {"kind": "custody.earned_available", "subject": payee}
    own = api.as_party(payee)
    method = own.post(f"/v1/parties/{payee}/payout_methods", {"token": f"acct-{payee}"}).body
    make(api, payee, "60.00", account=earned)

    asked = {"method_id": method["method_id"]}
    too_much = own.post("/v1/payouts", asked | {"amount": eur("40.01")})
    with transaction(api_engine, TENANT) as connection:
        available = {payee: held for payee, _, held in list_available(connection, {"EUR": 1})}
    fits = own.post("/v1/payouts", asked | {"amount": eur("40.00")})

    assert (too_much.status, too_much.code) == (409, "ledger.insufficient_funds")
    assert available[UUID(payee)] == 4_000
    assert fits.status == 201


def test_many_at_once(api: Api, payer: str) -> None:
    """A list of reservations takes what there is, in order, and each has its own result."""
    items = [
        {"account": wallet(payer), "amount": eur("30.00"), "reason": f"part {n}"} for n in range(5)
    ]

    made = api.post("/v1/reservations:make", {"items": items}).body
    ids = [each["result"]["id"] for each in made["results"] if each["result"]]
    voided = api.post(
        "/v1/reservations:void", {"items": [{"reservation_id": each} for each in ids]}
    ).body

    assert (made["done"], made["refused"]) == (3, 2)
    assert {each["problem"]["code"] for each in made["results"] if each["problem"]} == {
        "ledger.insufficient_funds"
    }
    assert voided["done"] == 3
    assert balance(api, payer) == ("100.00", "0.00")
    assert len(api.get("/v1/reservations", subject=payer, state="voided").body["items"]) == 3


def test_a_key_is_one_reservation(api: Api, payer: str) -> None:
    """The same request under the same key is answered again, and sets nothing more aside."""
    body = {"account": wallet(payer), "amount": eur("60.00"), "reason": "a deposit"}

    first = api.post("/v1/reservations", body, key=f"once-{payer}")
    again = api.post("/v1/reservations", body, key=f"once-{payer}")

    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert balance(api, payer) == ("40.00", "60.00")
