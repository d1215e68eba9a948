"""Commands on deals over HTTP: what each does, what the rules refuse, and what can be done next.

Numbers are lines of domain/audit-and-reliability.md 4.3.
"""

from typing import Any

import pytest

from kernel.ids import new_id
from tests.engine.api.conftest import Api, World, advance, make_deal, make_party, pay


def _eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def test_nothing_is_released_before_it_is_paid(api: Api, world: World) -> None:
    """Line 33: release before funding is 409, and moves nothing."""
    deal = make_deal(api, "100.00")
    before = world.count_rows()

    answer = deal.client.post(f"/v1/slots/{deal.slots[0]}/approve")

    assert (answer.status, answer.code) == (409, "escrow.wrong_state")
    after = world.count_rows()
    assert (after["event"], after["line"]) == (before["event"], before["line"])


def test_a_second_release_is_a_conflict(api: Api, world: World) -> None:
    """Line 31: of two releases with keys of their own one is done, one is 409."""
    deal = make_deal(api, "100.00")
    pay(deal, world, deal.slots[0])

    first = deal.client.post(f"/v1/slots/{deal.slots[0]}/approve")
    second = deal.client.post(f"/v1/slots/{deal.slots[0]}/approve")

    assert (first.status, second.status) == (200, 409)


def test_no_more_goes_out_than_came_in(api: Api, world: World) -> None:
    """Line 34: released and given back together never exceed what was paid."""
    deal = make_deal(api, "100.00")
    slot = f"/v1/slots/{deal.slots[0]}"
    pay(deal, world, deal.slots[0])

    part = deal.client.post(f"{slot}/release_part", {"amount": _eur("60.00")})
    too_much = deal.client.post(f"{slot}/release_part", {"amount": _eur("40.00")})
    back = deal.payee.post(f"{slot}/give_back")
    again = deal.payee.post(f"{slot}/give_back")
    world.settle()

    assert (part.status, part.body["held"]) == (200, _eur("40.00"))
    assert (too_much.status, too_much.code) == (422, "escrow.amount_out_of_range")
    assert (back.status, back.body["refunded"]) == (200, _eur("40.00"))
    assert (again.status, again.code) == (409, "escrow.wrong_state")
    refund = deal.client.get(f"/v1/refunds/{back.body['refund_ids'][0]}").body
    assert refund["state"] == "succeeded"
    assert deal.client.get(f"/v1/contracts/{deal.contract_id}/refunds").body["items"] == [refund]
    world.prove()


def test_nobody_deals_with_himself(api: Api, world: World) -> None:
    """Line 37: client and payee are two parties."""
    party = make_party(api, "client")
    before = world.count_rows()

    answer = api.as_party(party).post(
        "/v1/contracts",
        {
            "client_id": party,
            "payee_id": party,
            "currency": "EUR",
            "milestones": [{"amount": _eur("1.00")}],
        },
    )

    assert (answer.status, answer.code) == (422, "escrow.same_party")
    assert world.count_rows()["contract"] == before["contract"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"currency": "XXX"}, "money.unknown_currency"),
        ({"currency": "usd"}, "money.unknown_currency"),
        ({"currency": "USD"}, "money.currency_mismatch"),
        ({"milestones": []}, "request.invalid"),
        ({"milestones": [{"amount": {"amount": "1", "currency": "EUR"}}] * 101}, "request.invalid"),
        ({"terms": {"commission_bps": 10_001}}, "request.invalid"),
        ({"terms": {"commission_bps": -1}}, "request.invalid"),
        ({"terms": {"auto_release_hours": 0}}, "request.invalid"),
        ({"terms": {"release_rule": "never"}}, "request.invalid"),
        ({"client_id": None}, "request.invalid"),
        ({"payee_id": "0190a0b0-0000-7000-8000-000000000001"}, "escrow.unknown_party"),
    ],
)
def test_a_bad_offer_is_refused_whole(
    api: Api, world: World, change: dict[str, Any], code: str
) -> None:
    """Lines 9, 16, 17, 24: an offer outside the ranges leaves no contract and no slot."""
    client, payee = make_party(api, "client"), make_party(api, "freelancer")
    body = {
        "client_id": client,
        "payee_id": payee,
        "currency": "EUR",
        "milestones": [{"amount": _eur("10.00"), "title": "one"}],
    }
    before = world.count_rows()

    answer = api.as_party(client).post("/v1/contracts", body | change)

    assert answer.status in {404, 422}
    assert answer.code == code
    assert world.count_rows()["contract"] == before["contract"]


def test_currencies_without_and_with_three_decimals(api: Api, world: World) -> None:
    """Edge cases 19 and 20: yen have no decimals, dinars three; both are exact."""
    yen = make_deal(api, "1001", currency="JPY")
    dinar = make_deal(api, "1.005", currency="KWD")
    for deal in (yen, dinar):
        pay(deal, world, deal.slots[0])

    assert yen.client.get(f"/v1/slots/{yen.slots[0]}").body["held"]["amount"] == "1001"
    assert dinar.client.get(f"/v1/slots/{dinar.slots[0]}").body["held"]["amount"] == "1.005"
    world.prove()


def test_a_stale_version_is_refused(api: Api, world: World) -> None:
    """Edge case 16: who approves names what he looked at; if it moved meanwhile, 409."""
    deal = make_deal(api, "100.00")
    slot = f"/v1/slots/{deal.slots[0]}"
    pay(deal, world, deal.slots[0])
    shown = deal.payee.post(f"{slot}/submit", {"artefact_refs": ["draft-1", "draft-2"]}).body
    deal.payee.post(f"{slot}/withdraw_submission", {"submission_no": 1})

    stale = deal.client.post(f"{slot}/approve", {"version": shown["version"]})

    assert (stale.status, stale.code) == (409, "escrow.stale_version")
    work = deal.client.get(f"{slot}/submissions").body["items"]
    assert work[0]["artefact_refs"] == ["draft-1", "draft-2"]


def test_changes_need_a_reason_and_work_something_to_show(api: Api, world: World) -> None:
    """A step that must say why, and a submission that shows nothing, are 422."""
    deal = make_deal(api, "100.00")
    slot = f"/v1/slots/{deal.slots[0]}"
    pay(deal, world, deal.slots[0])

    empty = deal.payee.post(f"{slot}/submit")
    deal.payee.post(f"{slot}/submit", {"message_ref": "m"})
    mute = deal.client.post(f"{slot}/request_changes")
    told = deal.client.post(f"{slot}/request_changes", {"reason": "the logo is missing"})

    assert (empty.status, empty.code) == (422, "escrow.empty_submission")
    assert (mute.status, mute.code) == (422, "escrow.reason_required")
    assert (told.status, told.body["state"]) == (200, "changes_requested")


def test_a_hold_blocks_until_it_is_lifted(api: Api, world: World) -> None:
    """Line 32: under a hold nothing leaves, clocks stand still; afterwards all goes on."""
    deal = make_deal(api, "100.00")
    slot = f"/v1/slots/{deal.slots[0]}"
    pay(deal, world, deal.slots[0])
    deal.payee.post(f"{slot}/submit", {"message_ref": "m"})
    subject = f"slot:{deal.slots[0]}"

    placed = api.post(
        "/v1/holds", {"subject": subject, "kind": "compliance", "reason": "under review"}
    )
    blocked = deal.client.post(f"{slot}/approve")
    actions = deal.client.get(f"{slot}/actions").body
    listed = deal.client.get("/v1/holds", subject=subject).body["items"]
    lifted = api.post(f"/v1/holds/{placed.body['id']}/lift", {"reason": "all clear"})
    approved = deal.client.post(f"{slot}/approve")

    assert (blocked.status, blocked.code) == (409, "escrow.held")
    by_trigger = {each["trigger"]: each for each in actions["actions"]}
    assert by_trigger["approve"]["blocked_by"] == ["escrow.held"]
    assert not by_trigger["approve"]["open"]
    assert actions["if_nothing_happens"][0]["paused"]
    assert [hold["id"] for hold in listed] == [placed.body["id"]]
    assert (lifted.status, approved.status) == (200, 200)


@pytest.mark.parametrize(
    "subject", ["slot:x", "nothing", "robot:1", "slot:0190a0b0-0000-7000-8000-000000000001"]
)
def test_only_what_is_there_is_held(api: Api, world: World, subject: str) -> None:
    """A hold on nothing is 404."""
    before = world.count_rows()

    answer = api.post("/v1/holds", {"subject": subject, "kind": "tax", "reason": "why"})

    assert (answer.status, answer.code) == (404, "hold.unknown_subject")
    assert world.count_rows()["hold"] == before["hold"]


def test_what_can_be_done_now_and_what_happens_if_nobody_does(api: Api, world: World) -> None:
    """The machine's own table answers: my steps first, and each clock with its consequence."""
    deal = make_deal(api, "100.00")
    slot = f"/v1/slots/{deal.slots[0]}"
    pay(deal, world, deal.slots[0])
    submitted = deal.payee.post(f"{slot}/submit", {"message_ref": "m"}).body

    mine = deal.client.get(f"{slot}/actions").body
    payees = deal.payee.get(f"{slot}/actions").body
    contract = deal.client.get(f"/v1/contracts/{deal.contract_id}/actions").body

    assert {each["trigger"] for each in mine["actions"] if each["yours"]} >= {
        "approve",
        "request_changes",
        "release_part",
    }
    assert "approve" not in {each["trigger"] for each in payees["actions"] if each["yours"]}
    clock = mine["if_nothing_happens"]
    assert clock[0]["kind"] == "escrow.auto_release"
    assert clock[0]["due_at"] == submitted["auto_release_at"]
    assert clock[0]["consequence"] == "The money is released to the payee."
    assert {each["trigger"] for each in contract["actions"]} >= {"pause", "end"}

    advance(api, world, days=15)

    assert deal.client.get(slot).body["state"] == "released"


def test_every_subject_says_what_may_happen_to_it(api: Api, world: World) -> None:
    """Fundings, releases, refunds and payouts have their actions, too."""
    deal = make_deal(api, "100.00", "20.00")
    paid = deal.client.post(f"/v1/slots/{deal.slots[0]}/fundings", {"method": "bank_transfer"})
    funding = f"/v1/fundings/{paid.body['funding_id']}"
    waiting = deal.client.get(f"{funding}/actions").body
    assert "cancel" in {each["trigger"] for each in waiting["actions"] if each["yours"]}
    assert waiting["if_nothing_happens"]
    assert deal.client.get(funding).body["state"] == "created"

    pay(deal, world, deal.slots[1])
    approved = deal.client.post(f"/v1/slots/{deal.slots[1]}/approve").body
    release = f"/v1/releases/{approved['release_id']}"
    held = deal.payee.get(f"{release}/actions").body
    assert held["if_nothing_happens"][0]["kind"] == "escrow.security_hold"
    assert deal.payee.get(release).body["state"] == "pending"
    assert deal.client.get(f"/v1/contracts/{deal.contract_id}/releases").body["items"]
    assert len(deal.client.get(f"/v1/contracts/{deal.contract_id}/fundings").body["items"]) == 2


def test_both_sign_a_new_price(api: Api, world: World) -> None:
    """An amendment counts once the other side has signed it too."""
    deal = make_deal(api, "100.00", "50.00")
    slot = f"/v1/slots/{deal.slots[0]}"
    pay(deal, world, deal.slots[0])

    offered = deal.payee.post(f"{slot}/amendments", {"new_amount": _eur("120.00")})
    amendment = f"/v1/amendments/{offered.body['amendment_id']}"
    own = deal.payee.post(f"{amendment}/sign")
    seen = deal.client.get(amendment).body
    signed = deal.client.post(f"{amendment}/sign")

    assert (own.status, own.code) == (409, "escrow.other_party_must_sign")
    assert seen["new_amount"] == _eur("120.00")
    assert (signed.status, signed.body["unpaid_minor"]) == (200, 2_000)


def test_the_rest_rolls_forward_and_a_tip_goes_on_top(api: Api, world: World) -> None:
    """What is left of one slot becomes money of the next; a tip is paid from nothing held."""
    deal = make_deal(api, "100.00", "50.00")
    source, target = deal.slots
    pay(deal, world, source)

    offered = deal.client.post(f"/v1/slots/{source}/amendments", {"to_slot_id": target})
    rolled = deal.payee.post(f"/v1/amendments/{offered.body['amendment_id']}/sign")
    tipped = deal.client.post(f"/v1/contracts/{deal.contract_id}/tips", {"amount": _eur("5.00")})
    world.settle()

    assert rolled.status == 200, rolled.body
    assert deal.client.get(f"/v1/slots/{target}").body["held"] == _eur("100.00")
    assert tipped.status == 201
    tip = deal.client.get(f"/v1/fundings/{tipped.body['funding_id']}").body
    assert (tip["purpose"], tip["state"]) == ("tip", "succeeded")
    world.prove()


def test_a_contract_ends_when_all_is_settled(api: Api, world: World) -> None:
    """Ending asks back what is held; closing waits until nothing is left."""
    deal = make_deal(api, "100.00")
    pay(deal, world, deal.slots[0])
    contract = f"/v1/contracts/{deal.contract_id}"

    ended = deal.client.post(f"{contract}/end", {"reason": "no longer needed"})
    early = deal.client.post(f"{contract}/close")
    granted = deal.payee.post(f"/v1/slots/{deal.slots[0]}/accept_refund")
    world.settle()
    closed = deal.client.post(f"{contract}/close")

    assert (ended.status, ended.body["state"]) == (200, "ending")
    assert (early.status, early.code) == (409, "escrow.not_settled")
    assert granted.status == 200
    assert (closed.status, closed.body["state"]) == (200, "ended")


def test_a_payout_needs_money_a_method_and_a_clear_payee(api: Api, world: World) -> None:
    """What cannot be paid out is refused by its own code."""
    payee_id = make_party(api, "freelancer")
    payee = api.as_party(payee_id)
    methods = f"/v1/parties/{payee_id}/payout_methods"
    method = payee.post(methods, {"token": "bank_1"}).body["method_id"]
    before = world.count_rows()

    poor = payee.post("/v1/payouts", {"method_id": method, "amount": _eur("1.00")})
    unknown = payee.post("/v1/payouts", {"method_id": str(new_id()), "amount": _eur("1.00")})
    twice = payee.post(methods, {"token": "bank_1"})
    nobody = api.post("/v1/payouts", {"method_id": method, "amount": _eur("1.00")})
    cancel = payee.post(f"/v1/payouts/{new_id()}/cancel")

    assert (poor.status, poor.code) == (409, "ledger.insufficient_funds")
    assert (unknown.status, unknown.code) == (404, "payouts.unknown_method")
    assert (twice.status, twice.code) == (409, "payouts.method_exists")
    assert (nobody.status, nobody.code) == (422, "request.invalid")
    assert (cancel.status, cancel.code) == (404, "payouts.unknown_payout")
    assert world.count_rows()["payout"] == before["payout"]
    assert [each["id"] for each in payee.get(methods).body["items"]] == [method]


def test_the_clock_only_moves_forward(api: Api) -> None:
    """A sandbox's clock is read and moved by API, never backwards."""
    now = api.get("/v1/clock").body

    back = api.post("/v1/clock/advance", {"to": "2020-01-01T00:00:00Z"})

    assert now["mode"] == "sandbox"
    assert (back.status, back.code) == (409, "clock.backwards")
    assert api.get("/v1/clock").body == now
