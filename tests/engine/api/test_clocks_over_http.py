"""Clocks over HTTP: what happens when, of what consequence; notices, rules, reserves."""

from typing import Any
from uuid import UUID

import pytest

from tests.engine.api.conftest import Api, Deal, World, make_deal, pay

CLOCK = "escrow.auto_release"


@pytest.fixture
def deal(api: Api, world: World) -> Deal:
    """A funded slot with work shown."""
    made = make_deal(api, "100.00")
    pay(made, world, made.slots[0])
    shown = made.payee.post(f"/v1/slots/{made.slots[0]}/submit", {"message_ref": "message:1"})
    assert shown.status == 200, shown.body
    return made


def clocks(api: Api, **query: str) -> list[dict[str, Any]]:
    answer = api.get("/v1/clocks", **query)
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.body["items"]
    return found


def test_every_clock_shows_its_time_and_consequence(deal: Deal) -> None:
    """Both sides see when silence releases, and when they are told of it before."""
    subject = f"slot:{deal.slots[0]}"

    found = {each["kind"]: each for each in clocks(deal.client, subject=subject)}

    review = found[CLOCK]
    assert review["state"] == "armed"
    assert review["consequence"] == "The money is released to the payee."
    assert review["concerns"] == [deal.client_id]
    assert [each["passed_percent"] for each in review["reminders"]] == [50, 75, 90]
    assert review["remaining_s"] > 0
    assert review["late_s"] == 0
    assert review["notice"] == {"is_required": False, "is_missing": False}
    assert clocks(deal.payee, subject=subject) == clocks(deal.client, subject=subject)


def test_a_stopped_clock_shows_what_it_has_left(api: Api, deal: Deal) -> None:
    """Under a hold there is no due time, and no time of a reminder."""
    subject = f"slot:{deal.slots[0]}"
    held = api.post("/v1/holds", {"subject": subject, "kind": "compliance", "reason": "a look"})
    assert held.status == 201

    review = next(each for each in clocks(api, subject=subject) if each["kind"] == CLOCK)

    assert (review["state"], review["due_at"]) == ("paused", None)
    assert review["remaining_s"] == 14 * 86_400
    assert all(each["at"] is None for each in review["reminders"])


def test_a_party_lists_the_clocks_of_its_own_deals(api: Api, deal: Deal) -> None:
    """Nobody else's: neither by asking for a subject nor for a party."""
    other = make_deal(api, "50.00")
    mine = f"slot:{deal.slots[0]}"

    own = clocks(deal.payee)
    assert mine in {each["subject"] for each in own}
    assert clocks(other.payee, subject=mine) == []
    assert clocks(other.payee, party_id=deal.payee_id) == []
    assert clocks(deal.payee, party_id=deal.payee_id) == own
    assert clocks(api, party_id=deal.payee_id) == own


def test_the_list_goes_on_in_due_order(api: Api, world: World) -> None:
    """Pages of one give the same clocks as a page of all."""
    made = make_deal(api, "10.00", "20.00", "30.00")
    for slot in made.slots:
        pay(made, world, slot)

    everything = clocks(made.client)
    found: list[dict[str, Any]] = []
    goes_on: dict[str, str] = {}
    while True:
        answer = made.client.get("/v1/clocks", limit="1", **goes_on).body
        found += answer["items"]
        if not answer["next_cursor"]:
            break
        goes_on = {"cursor": answer["next_cursor"]}

    assert len(everything) >= 3
    assert found == everything
    due = [each["due_at"] for each in everything]
    assert due == sorted(due)


def test_the_platform_sees_all_that_runs(api: Api, deal: Deal) -> None:
    """Without subject or party: soonest first."""
    found = clocks(api, limit="500")

    assert f"slot:{deal.slots[0]}" in {each["subject"] for each in found}


@pytest.mark.parametrize("subject", ["slot:x", "elephant:1", "", f"slot:{UUID(int=7)}"])
def test_what_is_no_subject_has_no_clock(deal: Deal, subject: str) -> None:
    """An unknown subject is an empty list, for a party as for the platform."""
    assert clocks(deal.client, subject=subject) == []


def test_a_notice_is_recorded_and_shown(api: Api, deal: Deal) -> None:
    """The platform keeps its proof; both sides can read it."""
    body = {
        "subject": f"slot:{deal.slots[0]}",
        "kind": CLOCK,
        "party_id": deal.client_id,
        "channel": "email",
        "proof": "delivery:77",
    }

    told = api.post("/v1/clock_notices", body)

    assert told.status == 201, told.body
    shown = deal.payee.get("/v1/clock_notices", subject=f"slot:{deal.slots[0]}").body["items"]
    assert [each["proof"] for each in shown] == ["delivery:77"]


def test_a_party_vouches_for_itself_alone(deal: Deal) -> None:
    """The client says that he saw it; the payee cannot say so for him."""
    body = {
        "subject": f"slot:{deal.slots[0]}",
        "kind": CLOCK,
        "party_id": deal.client_id,
        "channel": "seen",
        "proof": "in the app",
    }

    assert deal.payee.post("/v1/clock_notices", body).code == "clock.not_yours"
    assert deal.client.post("/v1/clock_notices", body).status == 201


def test_rules_are_shown_and_set_by_people(api: Api, deal: Deal) -> None:
    """The standard stands until an operator in person sets another."""
    shown = api.get("/v1/clock_rules").body
    assert shown["outage_after_s"] == 900
    assert shown["notice"] == "assumed"

    for path, body in (
        ("/v1/clock_rules", {"courtesy_s": 0}),
        ("/v1/hold_limits", {"rail_account": "simulated", "most_days": 90}),
        (
            f"/v1/parties/{deal.payee_id}/reserve_rule",
            {"reserve_bps": 1_000, "reserve_days": 30, "reason": "new"},
        ),
    ):
        assert api.post(path, body).code == "clock.in_person_only"
        assert deal.client.post(path, body).code in {"clock.not_yours", "party.unknown"}


def test_reserves_and_outages_are_read_by_whom_they_concern(api: Api, deal: Deal) -> None:
    """A payee reads his own; what failed in the house is the platform's to read."""
    assert deal.payee.get(f"/v1/parties/{deal.payee_id}/reserves").body["items"] == []
    assert deal.client.get(f"/v1/parties/{deal.payee_id}/reserves").status == 404
    assert api.get("/v1/outages").body["items"] == []
    assert deal.client.get("/v1/outages").status == 403
