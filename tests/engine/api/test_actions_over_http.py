"""What can be done now, by HTTP: what is open works, what is blocked says why; open items."""

from sqlalchemy import Engine

from kernel.database import transaction
from kernel.principals import PrincipalKind
from tests.engine.api.conftest import Api, World, make_deal, make_key, pay
from tests.escrow.every_scene import SCENES
from tests.fixtures.databases import TENANT


def by_trigger(answer: dict[str, list[dict[str, object]]]) -> dict[str, dict[str, object]]:
    return {str(each["trigger"]): each for each in answer["actions"]}


def test_an_open_action_names_the_call_that_takes_it(api: Api, world: World) -> None:
    """The payee may submit: the call is named, what it needs too, and the call does it."""
    deal = make_deal(api, "100.00")
    slot = deal.slots[0]
    pay(deal, world, slot)

    seen = by_trigger(deal.payee.get(f"/v1/slots/{slot}/actions").body)

    submit = seen["submit"]
    assert (submit["yours"], submit["open"], submit["blocked_by"]) == (True, True, [])
    assert submit["needs"] == ["a message or artefacts"]
    assert submit["call"] == "POST /v1/slots/{slot_id}/submit"
    assert seen["approve"]["yours"] is False
    path = str(submit["call"]).removeprefix("POST ").format(slot_id=slot)
    assert deal.payee.post(path, {"message_ref": "m"}).body["state"] == submit["leads_to"]


def test_a_blocked_action_names_the_code_that_it_gives(api: Api, world: World) -> None:
    """No wallet money: paying from it is shown as blocked, in words, with the very code."""
    deal = make_deal(api, "100.00")
    slot = deal.slots[0]
    before = world.count_rows()

    seen = by_trigger(deal.client.get(f"/v1/slots/{slot}/actions").body)

    assert world.count_rows() == before
    wallet, card = seen["fund_from_wallet"], seen["start_funding"]
    assert (wallet["open"], card["open"]) == (False, True)
    tried = deal.client.post(f"/v1/slots/{slot}/fundings", {"method": "wallet"})
    assert wallet["blocked_by"] == [tried.code]
    assert wallet["why"] == tried.body["detail"]


def test_what_happens_by_itself_says_where_it_leads_and_what_stops_it(
    api: Api, world: World
) -> None:
    """The review's end releases; under a hold the clock says that it would be refused."""
    deal = make_deal(api, "100.00")
    slot = deal.slots[0]
    pay(deal, world, slot)
    deal.payee.post(f"/v1/slots/{slot}/submit", {"message_ref": "m"})

    free = deal.client.get(f"/v1/slots/{slot}/actions").body["if_nothing_happens"]
    hold = {"subject": f"slot:{slot}", "kind": "compliance", "reason": "under review"}
    assert api.post("/v1/holds", hold).status == 201
    held = deal.client.get(f"/v1/slots/{slot}/actions").body["if_nothing_happens"]

    (release,) = [each for each in free if each["kind"] == "escrow.auto_release"]
    (stopped,) = [each for each in held if each["kind"] == "escrow.auto_release"]
    assert (release["leads_to"], release["blocked_by"], release["paused"]) == (
        "released",
        [],
        False,
    )
    assert (stopped["blocked_by"], stopped["paused"]) == (["escrow.held"], True)


def test_strangers_see_no_actions(api: Api, world: World) -> None:
    """Another party is told that there is nothing, of every kind of subject."""
    deal, other = make_deal(api, "100.00"), make_deal(api, "1.00")
    paid = deal.client.post(f"/v1/slots/{deal.slots[0]}/fundings", {"method": "card"}).body
    world.settle()
    paths = [
        f"/v1/slots/{deal.slots[0]}/actions",
        f"/v1/contracts/{deal.contract_id}/actions",
        f"/v1/fundings/{paid['funding_id']}/actions",
    ]

    assert {other.client.get(path).status for path in paths} == {404}
    assert {deal.client.get(path).status for path in paths} == {200}


def test_why_the_other_side_is_held_is_not_told(api: Api, world: World) -> None:
    """A hold on the payee and its reason are for him and the platform; the client is refused."""
    deal = make_deal(api, "10.00")
    pay(deal, world, deal.slots[0])
    held = {"subject": f"party:{deal.payee_id}", "kind": "compliance", "reason": "a list of names"}
    assert api.post("/v1/holds", held).status == 201
    path = f"/v1/slots/{deal.slots[0]}/actions"

    assert [each["reason"] for each in api.get(path).body["holds"]] == ["a list of names"]
    assert len(api.as_party(deal.payee_id).get(path).body["holds"]) == 1
    seen = api.as_party(deal.client_id).get(path).body
    assert seen["holds"] == []
    assert not any(each["open"] for each in seen["actions"] if each["trigger"] == "approve")


def test_every_kind_of_subject_answers_alike(api: Api, api_engine: Engine) -> None:
    """Disputes, claims, hours, retainers: whatever has a machine says what is open."""
    more = ("bank_waits_for_an_answer", "line_contested", "time_runs", "end_of_a_term_offered")
    with transaction(api_engine, TENANT) as connection:
        for name in ("arbitration_with_a_proposal", "hours_came_late", "retainer_drawn", *more):
            SCENES[name](connection)
        ids = {
            path: connection.exec_driver_sql(f"SELECT id FROM {table} ORDER BY id DESC").scalar()
            for path, table in {
                "disputes": "dispute",
                "weeks": "work_week",
                "chargebacks": "chargeback",
                "line_disputes": "line_dispute",
                "time_runs": "time_run",
                "term_amendments": "term_amendment",
                "time_entries": "time_entry",
                "retainers": "retainer",
                "retainer_periods": "retainer_period",
                "drawdowns": "drawdown",
            }.items()
        }
    person = api.with_key(make_key(api_engine, kind=PrincipalKind.PERSON, is_operator=True))

    answers = {path: person.get(f"/v1/{path}/{row_id}/actions") for path, row_id in ids.items()}

    assert {path: answer.status for path, answer in answers.items()} == dict.fromkeys(ids, 200)
    seen = by_trigger(answers["disputes"].body)
    assert seen["approve_decision"]["open"]
    assert not seen["file_evidence"]["yours"]


def test_open_items_are_for_the_platform(api: Api, api_engine: Engine) -> None:
    """Finance pages through what is open; a party learns nothing of it."""
    with transaction(api_engine, TENANT) as connection:
        SCENES["conceded_under_a_hold"](connection)
        SCENES["settled_under_a_hold"](connection)
    deal = make_deal(api, "1.00")

    first = api.get("/v1/open_items", limit=1).body
    rest = api.get("/v1/open_items", limit=500, cursor=first["next_cursor"]).body
    hidden = deal.client.get("/v1/open_items")

    found = [*first["items"], *rest["items"]]
    assert sum(each["sort"] == "dispute.not_carried_out" for each in found) >= 2
    assert len({(each["sort"], each["subject"], each["amount"]["currency"]) for each in found}) == (
        len(found)
    )
    assert hidden.status == 403
