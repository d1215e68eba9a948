"""Hours over HTTP: offered, logged, invoiced, paid, advanced; each with what it means for whom."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from kernel.principals import PrincipalKind
from tests.engine.api.conftest import Api, World, advance, make_key, make_party
from tests.engine.api.hourly_ground import Hours, eur, make_hours


def person(api: Api) -> Api:
    """An operator in person."""
    given: dict[str, Any] = {"kind": PrincipalKind.PERSON, "is_operator": True}
    return api.with_key(make_key(api.engine, **given))


def now(api: Api) -> datetime:
    """The tenant's time."""
    return datetime.fromisoformat(api.get("/v1/clock").body["now"])


def text(at: datetime) -> str:
    """An instant as requests write it."""
    return at.isoformat().replace("+00:00", "Z")


def to_next(api: Api, world: World, weekday: int, hour: int) -> None:
    """Walk to the next such weekday (Monday is 0) at this hour, at least an hour away."""
    at = now(api)
    goal = at.replace(hour=hour, minute=0, second=0, microsecond=0)
    goal += timedelta(days=(weekday - at.weekday()) % 7)
    if goal <= at:
        goal += timedelta(days=7)
    advance(api, world, seconds=int((goal - at).total_seconds()))


def worked(api: Api, hours: int = 10) -> tuple[str, str]:
    """The hours just past, to the full hour."""
    end = now(api).replace(minute=0, second=0, microsecond=0)
    return text(end - timedelta(hours=hours)), text(end)


@pytest.fixture
def hours(api: Api, world: World) -> Hours:
    """A contract signed on a Monday at 01:00, and it is Tuesday noon."""
    to_next(api, world, 0, 1)
    made = make_hours(api)
    to_next(api, world, 1, 12)
    return made


def test_a_week_from_offer_to_pay(api: Api, world: World, hours: Hours) -> None:
    """Logged, shown live, invoiced with its lines, charged, released on Friday."""
    logged = hours.log(worked(api, 10))
    assert logged.status == 201, logged.body
    (entry,) = logged.body["entries"]
    assert (entry["minutes"], entry["protected"], entry["rate"]) == (600, True, eur("40.00"))

    seen = hours.client.get(f"/v1/time_entries/{entry['entry_id']}").body
    assert (seen["state"], seen["billable_minutes"], seen["over_limit"]) == ("logged", 600, False)
    week = hours.week()
    assert (week["state"], week["logged_minutes"], week["billable_minutes"]) == ("open", 600, 600)
    assert [each["kind"] for each in week["if_nothing_happens"]] == ["escrow.week_close"]

    to_next(api, world, 0, 13)
    week = hours.week()
    assert (week["state"], week["amount"]) == ("in_review", eur("400.00"))
    assert [(each["minutes"], each["amount"]) for each in week["lines"]] == [(600, eur("400.00"))]
    slot = hours.payee.get(f"/v1/slots/{week['slot_id']}").body
    assert (slot["state"], slot["held"]) == ("funded", eur("400.00"))

    to_next(api, world, 5, 1)
    assert hours.week()["state"] == "released"
    assert len(hours.weeks()) == 2
    world.prove()


def test_terms_are_offered_beside_others_and_changed_by_the_client(
    world: World, hours: Hours
) -> None:
    """A second term for the other side to sign; limit and rate are the client's to raise."""
    added = hours.client.post(
        f"/v1/contracts/{hours.contract_id}/hourly_terms",
        {
            "rate": eur("55.00"),
            "limit_minutes": 600,
            "week_zone": "Europe/Berlin",
            "title": "night",
        },
    )
    assert added.status == 201, added.body
    second = f"/v1/hourly_terms/{added.body['term_id']}"
    assert hours.client.post(f"{second}/accept").code == "escrow.other_party_must_sign"
    assert hours.payee.post(f"{second}/accept").body["state"] == "active"

    assert (
        hours.payee.post(f"{hours.path}/change", {"limit_minutes": 60}).code == "escrow.not_yours"
    )
    raised = hours.client.post(f"{hours.path}/change", {"limit_minutes": 3_000, "rate": eur("50")})
    assert raised.body["limit_minutes"] == 3_000
    lower = hours.client.post(f"{hours.path}/change", {"rate": eur("45.00")})
    assert lower.code == "escrow.rate_only_rises"
    assert hours.client.post(f"{hours.path}/change", {}).status == 422

    listed = hours.payee.get(f"/v1/contracts/{hours.contract_id}/hourly_terms").body["items"]
    assert {each["id"] for each in listed} == {hours.term_id, added.body["term_id"]}
    seen = hours.payee.get(hours.path).body
    assert [each["rate"] for each in seen["rates"]] == [eur("40.00"), eur("50.00")]
    assert hours.week()["limit_minutes"] == 3_000
    world.prove()


def test_entries_are_corrected_until_the_lock_and_say_why_they_are_not_protected(
    api: Api, hours: Hours
) -> None:
    """Edited, deleted, cut at the limit; each with the first reason that fails."""
    start, end = worked(api, 2)
    (entry,) = hours.log((start, end), memo="").body["entries"]
    assert entry["unprotected_because"] == "no_memo"
    path = f"/v1/time_entries/{entry['entry_id']}"
    edited = hours.payee.post(f"{path}/edit", {"memo": "design", "version": 1})
    assert (edited.body["protected"], edited.body["version"]) == (True, 2)
    assert hours.payee.post(f"{path}/edit", {"memo": "x", "version": 1}).code == (
        "escrow.stale_version"
    )
    assert hours.log((start, end)).code == "escrow.hours_overlap"
    assert hours.client.post(f"{path}/delete").code == "escrow.not_yours"
    assert hours.client.post(f"{hours.path}/change", {"limit_minutes": 60}).status == 200
    shown = hours.client.get(f"{hours.path}/entries").body["items"]
    assert [(each["billable_minutes"], each["over_limit"]) for each in shown] == [(120, False)]
    assert hours.payee.post(f"{path}/delete").body["state"] == "deleted"

    page = hours.client.get(f"{hours.path}/entries", state="deleted").body
    assert [each["billable_minutes"] for each in page["items"]] == [0]
    assert page["next_cursor"] is None


def test_pages_of_weeks_and_entries_go_on_where_they_ended(
    api: Api, world: World, hours: Hours
) -> None:
    """One at a time, each comes once and in order."""
    end = datetime.fromisoformat(worked(api, 1)[1])
    spans = [(end - timedelta(hours=3 - i), end - timedelta(hours=2 - i)) for i in range(3)]
    for first, last in spans:
        assert hours.log((text(first), text(last))).status == 201
    to_next(api, world, 1, 1)

    for path in (f"{hours.path}/entries", f"{hours.path}/weeks"):
        whole = [each["id"] for each in hours.client.get(path).body["items"]]
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = hours.client.get(path, limit=1, **cursor).body
            found += [each["id"] for each in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert found == whole
        assert len(whole) > 1
    assert hours.client.get(f"{hours.path}/weeks", cursor="x").status == 400


def test_another_partys_hours_are_not_there(api: Api, hours: Hours) -> None:
    """A stranger neither sees nor moves them."""
    (entry,) = hours.log(worked(api, 1)).body["entries"]
    stranger = api.as_party(make_party(api, "client"))
    week_id = hours.week()["id"]

    for path in (
        *(hours.path, f"{hours.path}/weeks", f"{hours.path}/entries", f"/v1/weeks/{week_id}"),
        *(f"/v1/time_entries/{entry['entry_id']}",),
        *(f"/v1/contracts/{hours.contract_id}/hourly_terms",),
    ):
        assert stranger.get(path).status == 404
    for path in (
        *(f"{hours.path}/accept", f"/v1/time_entries/{entry['entry_id']}/delete"),
        *(f"/v1/weeks/{week_id}/write_off",),
    ):
        assert stranger.post(path).status == 404
    assert stranger.get("/v1/client_claims").body["items"] == []


def test_time_runs_over_http(api: Api, world: World, hours: Hours) -> None:
    """Started, seen while it runs, stopped, and its hours are there; another is dropped."""
    began = hours.payee.post(f"{hours.path}/runs", {"memo": "design", "activity": 90})
    assert began.status == 201, began.body
    path = f"/v1/time_runs/{began.body['run_id']}"
    assert hours.payee.post(f"{hours.path}/runs").code == "escrow.runs_already"
    assert [each["id"] for each in hours.client.get(f"{hours.path}/runs").body["items"]] == [
        began.body["run_id"]
    ]
    assert hours.client.post(f"{path}/stop").code == "escrow.not_yours"
    advance(api, world, hours=2)

    stopped = hours.payee.post(f"{path}/stop", {"activity": 5})

    (entry,) = stopped.body["entries"]
    assert (entry["minutes"], entry["unprotected_because"]) == (120, "low_activity")
    assert hours.client.get(path).body["state"] == "stopped"
    assert hours.client.get(f"{hours.path}/runs").body["items"] == []
    again = hours.payee.post(f"{hours.path}/runs").body
    dropped = hours.payee.post(f"/v1/time_runs/{again['run_id']}/discard")
    assert dropped.body["state"] == "discarded"


@pytest.fixture
def reviewed(api: Api, world: World, hours: Hours) -> Hours:
    """A week in review with lines of 50.00 and 80.00."""
    end = datetime.fromisoformat(worked(api, 1)[1])
    assert hours.log((text(end - timedelta(hours=3)), text(end - timedelta(hours=1)))).status == 201
    assert hours.client.post(f"{hours.path}/change", {"rate": eur("50.00")}).status == 200
    to_next(api, world, 2, 12)
    assert hours.log(worked(api, 1)).status == 201
    to_next(api, world, 0, 13)
    assert hours.week()["state"] == "in_review"
    return hours


def disputed(reviewed: Hours, line_no: int = 2) -> str:
    """Dispute a line, and give its address."""
    made = reviewed.client.post(
        f"/v1/weeks/{reviewed.weeks()[0]['id']}/line_disputes",
        {"line_no": line_no, "reason": "I was on holiday"},
    )
    assert made.status == 201, made.body
    return f"/v1/line_disputes/{made.body['line_dispute_id']}"


def test_a_line_is_disputed_and_decided_by_two_people(
    api: Api, world: World, reviewed: Hours
) -> None:
    """The other line is paid on Friday; of the disputed one 30.00 goes back."""
    first, second = person(api), person(api)
    path = disputed(reviewed)
    week = reviewed.week()
    assert [(each["line_no"], each["frozen"]) for each in week["disputed_lines"]] == [
        (2, eur("80.00"))
    ]
    served = first.post(f"{path}/serve", {"channel": "email", "proof": "delivery-1"})
    assert (served.body["state"], served.body["due_at"] is not None) == ("awaiting_reply", True)
    replied = reviewed.payee.post(f"{path}/reply", {"reason": "see the diary"})
    assert replied.body["state"] == "contested"
    to_next(api, world, 5, 1)
    assert reviewed.week()["state"] == "lines_disputed"

    version = replied.body["version"]
    refund = {"refund": eur("30.00"), "version": version}
    assert api.post(f"{path}/decisions", refund).code == "escrow.line_in_person"
    assert first.post(f"{path}/decisions", refund).status == 201
    assert first.post(f"{path}/approve", {"version": version + 1}).code == "escrow.line_same_person"
    done = second.post(f"{path}/approve", {"version": version + 1})
    assert (done.status, done.body["refunded"]) == (200, eur("30.00")), done.body

    assert reviewed.week()["state"] == "released"
    seen = reviewed.payee.get(path).body
    assert (seen["state"], seen["reply"]) == ("refunded", "see the diary")
    world.prove()


def test_a_silent_payee_keeps_protected_hours(api: Api, world: World, reviewed: Hours) -> None:
    """Served, and three days without a word: the line was protected, and is upheld."""
    path = disputed(reviewed, 1)
    assert api.post(f"{path}/serve", {"channel": "app", "proof": "seen-1"}).status == 200

    advance(api, world, days=3, hours=1)

    assert reviewed.client.get(path).body["state"] == "upheld"
    to_next(api, world, 5, 1)
    assert reviewed.week()["state"] == "released"
    world.prove()


def test_a_strangers_line_is_not_there(api: Api, world: World, reviewed: Hours) -> None:
    """Nobody else sees or moves a disputed line; concede and withdraw belong to their sides."""
    path = disputed(reviewed)
    stranger = api.as_party(make_party(api, "client"))

    assert stranger.get(path).status == 404
    for verb in ("concede", "withdraw"):
        assert stranger.post(f"{path}/{verb}").status == 404
    assert reviewed.client.post(f"{path}/concede").code == "escrow.not_yours"
    conceded = reviewed.payee.post(f"{path}/concede")
    assert (conceded.body["state"], conceded.body["refunded"]) == ("refunded", eur("80.00"))
    world.prove()


def test_a_week_is_paid_ahead(api: Api, world: World) -> None:
    """The deposit is asked for at once; hours say that they are funded; the rest rolls on."""
    to_next(api, world, 0, 1)
    hours = make_hours(api, limit_minutes=600, collect="prefund", unused="roll")
    assert hours.client.get(hours.path).body["collect"] == "prefund"
    assert hours.week()["deposit"]["held"] == eur("0.00")
    to_next(api, world, 1, 12)
    deposit = hours.week()["deposit"]
    assert (deposit["asked"], deposit["held"]) == (eur("400.00"), eur("400.00"))

    (entry,) = hours.log(worked(api, 4)).body["entries"]
    assert (entry["funded"], entry["protected"]) == (True, True)
    deposit = hours.week()["deposit"]
    assert (deposit["worked"], deposit["covers_all_hours"]) == (eur("160.00"), True)
    to_next(api, world, 4, 2)
    to_next(api, world, 0, 14)

    week = hours.week()
    assert (week["state"], week["amount"], week["deposit"]) == ("in_review", eur("160.00"), None)
    assert hours.week(1)["deposit"]["held"] == eur("640.00")
    world.prove()


def test_without_a_deposit_every_answer_says_so(api: Api, world: World) -> None:
    """An empty wallet: the hours are kept, and told to be neither funded nor protected."""
    to_next(api, world, 0, 1)
    hours = make_hours(api, collect="prefund", method="wallet")
    to_next(api, world, 1, 12)

    (entry,) = hours.log(worked(api, 4)).body["entries"]
    path = f"/v1/time_entries/{entry['entry_id']}"
    edited = hours.payee.post(f"{path}/edit", {"memo": "design"}).body

    for told in (entry, edited, hours.payee.get(path).body):
        assert (told["funded"], told["unprotected_because"]) == (False, "not_deposited")
    assert hours.week()["deposit"]["covers_all_hours"] is False
