"""What is read of the books over HTTP: accounts, extracts, entries, events; pages and filters.

Numbers are lines of domain/audit-and-reliability.md 4.3.
"""

import base64
from itertools import pairwise
from typing import Any

import pytest

from tests.engine.api.conftest import Api, Deal, World, advance, make_deal, make_key, pay


@pytest.fixture(scope="module")
def deal(api: Api, world: World) -> Deal:
    """A slot paid and released, a second one paid and given back."""
    made = make_deal(api, "100.00", "50.00")
    for slot in made.slots:
        pay(made, world, slot)
    made.client.post(f"/v1/slots/{made.slots[0]}/approve")
    made.payee.post(f"/v1/slots/{made.slots[1]}/give_back")
    world.settle()
    return made


def _all(api: Api, path: str, **query: Any) -> list[dict[str, Any]]:
    """Every item of a list, page by page."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get(path, **query, **cursor).body
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = {"cursor": page["next_cursor"]}


def test_an_account_extract_adds_up(api: Api, deal: Deal) -> None:
    """Each line's balance is the one before plus its amount, and the last is the account's."""
    (account,) = api.get("/v1/accounts", subject=deal.slots[0], kind="custody.escrow").body["items"]

    lines = _all(api, f"/v1/accounts/{account['id']}/extract", limit=1)

    assert [line["amount"]["amount"] for line in lines] == ["-100.00", "100.00"]
    assert [line["account_seq"] for line in lines] == [1, 2]
    assert [line["event_kind"] for line in lines] == ["slot.funded", "slot.released"]
    assert lines[-1]["balance_after"] == account["balance"]
    assert api.get(f"/v1/accounts/{account['id']}").body == account
    assert account["code"] == f"custody.escrow[{deal.slots[0]}] EUR"


def test_entries_balance_in_two_columns(api: Api, deal: Deal) -> None:
    """Every entry has equal debits and credits; of one event as of all."""
    funded = [
        event
        for event in api.get("/v1/events", subject=f"slot:{deal.slots[0]}").body["items"]
        if event["kind"] == "slot.funded"
    ]
    of_one = api.get("/v1/entries", event_id=funded[0]["id"]).body["items"]
    everything = _all(api, "/v1/entries", limit=7)

    assert {entry["book"] for entry in of_one} == {"custody", "platform"}
    assert [entry for entry in everything if entry["event_id"] == funded[0]["id"]] == of_one
    for entry in everything:
        assert _sum(entry, "debit") == _sum(entry, "credit") > 0


def _sum(entry: dict[str, Any], column: str) -> int:
    amounts = [line[column]["amount"] for line in entry["lines"] if line[column]]
    return sum(int(amount.replace(".", "")) for amount in amounts)


def test_the_trial_balance_is_the_sum_of_the_accounts(api: Api, world: World, deal: Deal) -> None:
    """Its columns are equal in each book and currency, and agree with every account."""
    assert deal.slots
    trial = api.get("/v1/trial_balance").body
    accounts = _all(api, "/v1/accounts", limit=50)

    for row in trial["rows"]:
        kind, currency = row["kind"], row["debit"]["currency"]
        of_kind = [
            int(each["balance"]["amount"].replace(".", ""))
            for each in accounts
            if each["kind"] == kind and each["currency"] == currency
        ]
        assert row["accounts"] == len(of_kind)
        assert int(row["debit"]["amount"].replace(".", "")) == sum(b for b in of_kind if b > 0)
        assert int(row["credit"]["amount"].replace(".", "")) == -sum(b for b in of_kind if b < 0)
    assert all(total["balanced"] for total in trial["totals"])
    world.prove()


def test_events_are_read_by_subject_and_one_by_one(api: Api, deal: Deal) -> None:
    """The log of a slot, in order, each event with its actor, its leaf hash and its detail."""
    subject = f"slot:{deal.slots[0]}"

    events = _all(api, "/v1/events", subject=subject, limit=2)

    assert events[0]["kind"] == "slot.proposed"
    assert events[-1]["kind"] == "slot.released"
    assert all(int(a["id"]) < int(b["id"]) for a, b in pairwise(events))
    assert events[-1]["actor"]["party_id"] == deal.client_id
    assert len(events[-1]["leaf_hash"]) == 64
    assert api.get(f"/v1/events/{events[-1]['id']}").body == events[-1]


def test_pages_miss_nothing_and_repeat_nothing(api: Api, deal: Deal) -> None:
    """A list read in pages of one, of three or at once is the same list."""
    contracts = [_all(api, "/v1/contracts", limit=size) for size in (1, 3, 500)]
    slots = [
        _all(api, f"/v1/contracts/{deal.contract_id}/slots", limit=size) for size in (1, 3, 500)
    ]

    assert contracts[0] == contracts[1] == contracts[2]
    assert slots[0] == slots[1] == slots[2]
    assert [slot["id"] for slot in slots[0]] == deal.slots
    assert [slot["seq"] for slot in slots[0]] == [1, 2]


def _cursor(api: Api) -> str:
    cursor = api.get("/v1/accounts", limit=1).body["next_cursor"]
    assert isinstance(cursor, str)
    return cursor


def test_a_cursor_opens_only_the_list_that_gave_it(api: Api, deal: Deal) -> None:
    """Line 48: a cursor of another list, filter, party or principal is 400."""
    cursor = _cursor(api)
    other = api.with_key(make_key(api.engine, is_operator=True))

    answers = [
        api.get("/v1/events", cursor=cursor),
        api.get("/v1/accounts", cursor=cursor, currency="EUR"),
        deal.client.get("/v1/accounts", cursor=cursor),
        other.get("/v1/accounts", cursor=cursor),
    ]

    assert {(each.status, each.code) for each in answers} == {(400, "request.cursor")}
    assert api.get("/v1/accounts", cursor=cursor, limit=9).status == 200


@pytest.mark.parametrize(
    "forge",
    [
        lambda cursor: cursor[:-1],
        lambda cursor: cursor + "A",
        lambda cursor: "A" * len(cursor),
        lambda cursor: cursor[:5] + ("A" if cursor[5] != "A" else "B") + cursor[6:],
        lambda _: base64.urlsafe_b64encode(b"[0]").decode(),
        lambda _: "' OR 1=1 --",
        lambda _: "\N{SNOWMAN}",
        lambda _: "[99]",
    ],
)
def test_a_forged_cursor_is_refused(api: Api, deal: Deal, forge: Any) -> None:
    """Line 48: a cursor with one character changed is 400, whatever the character."""
    assert deal.slots

    answer = api.get("/v1/accounts", cursor=forge(_cursor(api)))

    assert (answer.status, answer.code) == (400, "request.cursor")


@pytest.mark.parametrize("text", ["' OR 1=1 --", "%", "_", "custody.%", '"; DROP TABLE line; --'])
def test_filters_are_literal(api: Api, deal: Deal, text: str) -> None:
    """Line 47: no character of a filter is anything but itself."""
    assert deal.slots
    for path, name in (("accounts", "kind"), ("accounts", "subject"), ("events", "subject")):
        answer = api.get(f"/v1/{path}", **{name: text})

        assert (answer.status, answer.body["items"]) == (200, [])


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "501"},
        {"limit": "ten"},
        {"limit": "1.0"},
        {"limit": "1_0"},
        {"limit": " 1"},
        {"limit": "\N{FULLWIDTH DIGIT ONE}"},
        {"limit": "1", "order": "desc"},
        {"cursor": ""},
        {"kind": "x" * 101},
        {"kind": "a\0b"},
        [("limit", "1"), ("limit", "2")],
    ],
)
def test_a_parameter_is_known_and_given_once(api: Api, query: Any) -> None:
    """Unknown, repeated or malformed parameters are refused, never guessed."""
    answer = api.call("GET", "/v1/accounts", params=query)

    assert (answer.status, answer.code) in {(422, "request.invalid"), (400, "request.cursor")}


@pytest.mark.parametrize("number", ["0", "-1", "1e3", "9" * 19, "9" * 40, "x", "%00", "१"])
def test_a_number_that_is_none_of_ours_is_unknown(api: Api, number: str) -> None:
    """Accounts and events are asked for by number; anything else is 404."""
    for path in ("/v1/accounts", "/v1/events"):
        answer = api.get(f"{path}/{number}")

        assert (answer.status, answer.code) == (404, "not_found")


def test_a_party_sees_what_is_its_own(api: Api, deal: Deal) -> None:
    """The same lists, narrowed: own contracts, own accounts, own party, own payouts."""
    contracts = deal.client.get("/v1/contracts").body["items"]
    parties = deal.client.get("/v1/parties").body["items"]
    accounts = deal.payee.get("/v1/accounts").body["items"]

    assert [each["id"] for each in contracts] == [deal.contract_id]
    assert [each["id"] for each in parties] == [deal.client_id]
    assert {each["subject"] for each in accounts} == {deal.payee_id}
    assert deal.client.get(f"/v1/parties/{deal.payee_id}").status == 404
    assert deal.client.get("/v1/payouts", payee_id=deal.payee_id).body["items"] == []
    (account,) = api.get("/v1/accounts", subject=deal.payee_id, kind="custody.earned_pending").body[
        "items"
    ]
    assert deal.payee.get(f"/v1/accounts/{account['id']}/extract").status == 200
    assert deal.client.get(f"/v1/accounts/{account['id']}/extract").status == 404


def test_balances_say_what_a_party_has(api: Api, world: World, deal: Deal) -> None:
    """What we owe a party is told without a sign: pending first, then available."""
    path = f"/v1/parties/{deal.payee_id}/balances"
    (pending,) = deal.payee.get(path).body["balances"]

    advance(api, world, days=6)
    (available,) = deal.payee.get(path).body["balances"]

    assert pending["earned_pending"] == {"amount": "90.00", "currency": "EUR"}
    assert available["earned_available"] == {"amount": "90.00", "currency": "EUR"}
    assert available["earned_pending"] == {"amount": "0.00", "currency": "EUR"}


def test_lists_filter_by_state_and_kind(api: Api, deal: Deal) -> None:
    """Contracts by state and party, parties by kind; a state that there is not is 422."""
    assert deal.contract_id in [
        each["id"] for each in _all(api, "/v1/contracts", state="active", party_id=deal.client_id)
    ]
    assert api.get("/v1/contracts", state="ended", party_id=deal.client_id).body["items"] == []
    assert {each["kind"] for each in _all(api, "/v1/parties", kind="freelancer")} == {"freelancer"}
    assert api.get("/v1/contracts", state="sleeping").status == 422
    terms = api.get(f"/v1/contracts/{deal.contract_id}/terms").body["items"]
    assert api.get(f"/v1/terms/{terms[0]['id']}").body == terms[0]
    assert api.get("/v1/payouts", state="paid").body["items"] == []
