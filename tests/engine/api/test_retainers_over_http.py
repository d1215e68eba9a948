"""Retainers over HTTP: offered, charged, drawn, paused, amended, ended; nobody else may."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.engine.api.conftest import Api, Deal, World, advance, make_deal, make_party


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def today(api: Api) -> datetime:
    return datetime.fromisoformat(api.get("/v1/clock").body["now"])


def terms(api: Api, **given: Any) -> dict[str, Any]:
    """3,000.00 a month for hours of 100.00, from the day after tomorrow on."""
    anchor = (today(api) + timedelta(days=2)).date().isoformat()
    return {
        "kind": "hours_drawdown",
        "amount": eur("3000.00"),
        "every": "month",
        "anchor_on": anchor,
        "hourly_rate": eur("100.00"),
        **given,
    }


class Lease:
    """A running retainer of two parties; its first period is paid for and active."""

    def __init__(self, api: Api, world: World, **given: Any) -> None:
        client_id, payee_id = make_party(api, "client"), make_party(api, "freelancer")
        self.client, self.payee = api.as_party(client_id), api.as_party(payee_id)
        body = {"client_id": client_id, "payee_id": payee_id, "currency": "EUR"}
        offered = self.payee.post("/v1/retainers", {**body, "retainer": terms(api, **given)})
        assert offered.status == 201, offered.body
        self.contract = f"/v1/contracts/{offered.body['contract_id']}"
        self.retainer_id = offered.body["retainer_id"]
        self.path = f"/v1/retainers/{self.retainer_id}"
        assert self.payee.post(f"{self.path}/accept").code == "escrow.other_party_must_sign"
        accepted = self.client.post(f"{self.path}/accept")
        assert accepted.status == 200, accepted.body
        world.settle()
        advance(api, world, days=3)
        self.period = f"/v1/retainer_periods/{self.periods()[0]['id']}"

    def periods(self) -> list[Any]:
        found: list[Any] = self.client.get(f"{self.path}/periods").body["items"]
        return found

    def draw(self, **given: Any) -> Any:
        body = {"message_ref": "report-1", **given}
        return self.payee.post(f"{self.period}/drawdowns", body)


def test_a_month_from_offer_to_settlement(api: Api, world: World) -> None:
    """Charged ahead, drawn, approved, and what nobody drew is the client's again."""
    lease = Lease(api, world)
    first = lease.client.get(lease.period).body
    assert (first["state"], first["funded"], first["available"]) == ("active", True, eur("3000.00"))

    drawn = lease.draw(units=600)
    assert drawn.status == 201, drawn.body
    assert (drawn.body["amount"], drawn.body["exceeding"]) == (eur("1000.00"), None)
    assert lease.draw(units=1_260).code == "retainer.overdrawn"
    drawdown = f"/v1/drawdowns/{drawn.body['drawdown_id']}"
    assert lease.payee.post(f"{drawdown}/approve").code == "escrow.not_yours"
    paid = lease.client.post(f"{drawdown}/approve", {"version": 1})
    assert (paid.status, paid.body["state"]) == (200, "approved")
    assert lease.client.post(f"{drawdown}/reject", {"reason": "late"}).code == "escrow.wrong_state"
    listed = lease.payee.get(f"{lease.period}/drawdowns").body["items"]
    assert [each["state"] for each in listed] == ["approved"]

    advance(api, world, days=31)
    states = [each["state"] for each in lease.periods()]
    assert states[:2] == ["settled", "active"]
    settled = lease.client.get(lease.period).body
    assert (settled["released"], settled["refunded"]) == (eur("1000.00"), eur("2000.00"))
    world.prove()


def test_overage_is_charged_apart_once_the_client_agrees(api: Api, world: World) -> None:
    """28 hours paid, 4 more drawn: 2 from the period, 2 by a charge of their own (P01, P07)."""
    lease = Lease(api, world, overage="approve", overage_price=eur("120.00"))
    first = lease.draw(units=28 * 60).body["drawdown_id"]
    assert lease.client.post(f"/v1/drawdowns/{first}/approve").status == 200
    drawn = lease.draw(units=4 * 60).body
    assert drawn["amount"] == eur("200.00")
    over = drawn["exceeding"]
    assert (over["units"], over["amount"], over["funded"]) == (120, eur("240.00"), False)

    billed = lease.client.post(f"/v1/drawdowns/{over['drawdown_id']}/approve").body
    assert billed["state"] == "charging"
    advance(api, world, hours=1)
    advance(api, world, hours=1)

    seen = lease.payee.get(f"/v1/drawdowns/{over['drawdown_id']}").body
    assert seen["state"] == "approved"
    assert lease.client.get(f"/v1/slots/{seen['slot_id']}").body["released"] == eur("240.00")
    world.prove()


def test_a_pause_by_both_moves_the_end(api: Api, world: World) -> None:
    """One asks, the other agrees; ten days later the period ends ten days later."""
    lease = Lease(api, world)
    before = lease.client.get(lease.period).body
    assert lease.client.post(f"{lease.path}/pause").body["period_state"] == "active"
    assert lease.client.post(f"{lease.path}/pause").code == "escrow.other_party_must_sign"
    assert lease.payee.post(f"{lease.path}/pause").body["period_state"] == "paused"
    assert lease.draw(units=60).code == "retainer.not_funded"

    advance(api, world, days=10)
    assert lease.payee.post(f"{lease.path}/resume").body["period_state"] == "active"

    after = lease.client.get(lease.period).body
    moved = datetime.fromisoformat(after["ends_at"]) - datetime.fromisoformat(before["ends_at"])
    assert (moved, after["paused_days"]) == (timedelta(days=10), 10)
    assert lease.periods()[1]["first_on"] == after["next_on"]
    assert lease.client.post(f"{lease.path}/resume").code == "retainer.no_running_period"
    world.prove()


def test_another_price_counts_from_the_next_period(api: Api, world: World) -> None:
    """Both sign; the period that runs keeps its price, the next has the new one."""
    lease = Lease(api, world)
    change = {"price": {"amount": eur("3600.00"), "hourly_rate": eur("120.00")}}
    path = f"/v1/terms/{lease.retainer_id}/amendments"
    offered = lease.payee.post(path, change)
    assert offered.status == 201, offered.body
    assert lease.client.post(path, change).code == "term.amendment_open"
    amendment = f"/v1/term_amendments/{offered.body['amendment_id']}"
    assert lease.payee.post(f"{amendment}/sign").code == "escrow.other_party_must_sign"
    assert lease.client.post(f"{amendment}/withdraw").code == "term.only_offerer"

    signed = lease.client.post(f"{amendment}/sign", {"version": 1})

    assert (signed.status, signed.body["from_period"]) == (200, 2)
    amounts = [each["amount"] for each in lease.periods()]
    assert amounts == [eur("3000.00"), eur("3600.00")]
    assert lease.draw(units=60).body["amount"] == eur("100.00")
    assert lease.client.get(amendment).body["state"] == "signed"
    listed = lease.client.get(f"{lease.contract}/term_amendments").body["items"]
    assert [each["from_period"] for each in listed] == [2]
    world.prove()


def test_notice_by_one_and_the_end_by_both(api: Api, world: World) -> None:
    """Alone it takes the notice; with both it ends at once, pro rata (P31)."""
    lease = Lease(api, world, kind="access_fee", hourly_rate=None)
    advance(api, world, days=9)
    noticed = lease.client.post(f"{lease.path}/cancel", {"reason": "enough"})
    assert noticed.body["state"] == "ending"
    assert lease.client.post(f"{lease.path}/cancel").code == "escrow.other_party_must_sign"

    ended = lease.payee.post(f"{lease.path}/cancel")

    assert (ended.status, ended.body["state"]) == (200, "ended")
    period = lease.client.get(lease.period).body
    assert period["state"] == "cancelled"
    assert period["held"] == eur("0.00")
    assert period["released"] != eur("0.00")
    assert lease.client.get(lease.path).body["cancel_asked_by"] == "client"
    world.prove()


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "access_fee"},
        {"quota": 3},
        {"unused": "roll"},
        {"rest": "roll"},
        {"zone": "Mars/Olympus"},
        {"zone": "localtime"},
        {"zone": "Factory"},
        {"zone": "right/Europe/Berlin"},
        {"overage_price": {"amount": "1.00", "currency": "EUR"}},
    ],
)
def test_terms_that_do_not_fit_are_refused(api: Api, given: dict[str, Any]) -> None:
    """One clear refusal; nothing is written."""
    client_id, payee_id = make_party(api, "client"), make_party(api, "freelancer")
    body = {"client_id": client_id, "payee_id": payee_id, "currency": "EUR"}

    offered = api.as_party(client_id).post(
        "/v1/retainers", {**body, "retainer": terms(api, **given)}
    )

    assert (offered.status, offered.code) == (422, "retainer.bad_terms")
    assert api.as_party(client_id).get("/v1/contracts").body["items"] == []


def test_a_stranger_sees_and_moves_nothing(api: Api, world: World) -> None:
    """Another party's retainer is not there, by whatever path."""
    lease = Lease(api, world)
    drawn = lease.draw(units=60).body["drawdown_id"]
    stranger = api.as_party(make_party(api, "client"))

    for path in (lease.path, lease.period, f"/v1/drawdowns/{drawn}", f"{lease.contract}/retainers"):
        assert stranger.get(path).status == 404
    for path in ("accept", "cancel", "pause", "resume"):
        assert stranger.post(f"{lease.path}/{path}").status == 404
    for path in ("approve", "reject", "withdraw"):
        assert stranger.post(f"/v1/drawdowns/{drawn}/{path}").status == 404
    body = {"units": 1, "message_ref": "x"}
    assert stranger.post(f"{lease.period}/drawdowns", body).status == 404
    assert stranger.post(f"/v1/terms/{lease.retainer_id}/amendments", {}).status == 404


def test_a_retainer_beside_milestones_ends_with_its_contract(api: Api, world: World) -> None:
    """A term is added by an offer that both sign, and ended by an amendment that both sign."""
    deal: Deal = make_deal(api, "100.00", "50.00")
    added = deal.client.post(
        f"/v1/contracts/{deal.contract_id}/retainers",
        terms(api, kind="access_fee", hourly_rate=None),
    )
    assert added.status == 201, added.body
    path = f"/v1/retainers/{added.body['retainer_id']}"
    assert deal.payee.post(f"{path}/accept").status == 200
    kinds = [
        each["kind"]
        for each in deal.client.get(f"/v1/contracts/{deal.contract_id}/terms").body["items"]
    ]
    assert kinds == ["milestone", "milestone", "retainer"]

    offered = deal.client.post(f"/v1/terms/{deal.slots[1]}/amendments", {"reason": "not needed"})
    signed = deal.payee.post(f"/v1/term_amendments/{offered.body['amendment_id']}/sign")
    assert signed.body["slot_state"] == "cancelled"
    again = deal.client.post(f"/v1/terms/{deal.slots[1]}/amendments", {})
    over = deal.payee.post(f"/v1/term_amendments/{again.body['amendment_id']}/sign")
    assert over.code == "term.over"
    offered = deal.client.post(f"/v1/terms/{added.body['retainer_id']}/amendments", {})
    ended = deal.payee.post(f"/v1/term_amendments/{offered.body['amendment_id']}/sign")
    assert (ended.status, ended.body["retainer"]["state"]) == (200, "ended")
    world.prove()
