"""Notices of a rail over HTTP: hints that are checked, kept, and have one effect.

Numbers are lines of domain/audit-and-reliability.md 4.3.
"""

import json
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from engine.api.notices import Inbox, NoticesBody, take_in
from escrow.service_batch import FUNDING_HANDLER
from kernel import clock
from kernel.database import transaction
from kernel.ids import new_id
from rails import service
from tests.engine.api.conftest import Api, Deal, World, make_deal


def _send(world: World) -> None:
    """Hand the intents to the rail, and lose every reply."""
    with transaction(world.engine, world.tenant) as connection:
        at = clock.now(connection)
        operations = service.take(connection, 100, at)
    world.rail.execute(operations, at=at)


def _notice(operation_id: str | None, **given: Any) -> dict[str, Any]:
    return {
        "notice_id": f"evt_{new_id().hex}",
        "kind": "operation_changed",
        "operation_id": operation_id,
        "currency": "EUR",
        "occurred_at": "2026-03-02T09:00:00Z",
    } | given


def _waiting(api: Api, world: World) -> tuple[Deal, str]:
    """A payment whose reply was lost, and its id."""
    deal = make_deal(api, "100.00")
    paid = deal.client.post(f"/v1/slots/{deal.slots[0]}/fundings", {"method": "card"})
    _send(world)
    return deal, paid.body["funding_id"]


def _post(api: Api, *notices: dict[str, Any]) -> Any:
    return api.post("/v1/rails/simulated/notices", {"notices": list(notices)})


def test_a_notice_applies_what_the_rail_says(api: Api, world: World) -> None:
    """The notice names an operation; what is true of it is read from the rail, then applied."""
    deal, funding = _waiting(api, world)

    answer = _post(api, _notice(funding))

    assert answer.body == {"received": 1, "new": 1, "parked": 0}
    assert deal.client.get(f"/v1/slots/{deal.slots[0]}").body["state"] == "funded"
    world.settle()
    world.prove()


def test_a_notice_sent_again_has_no_second_effect(api: Api, world: World) -> None:
    """Line 42, edge case 2: the same notice, in one body, twice or later: 200, one effect."""
    _, funding = _waiting(api, world)
    notice = _notice(funding)
    _post(api, notice, notice)
    before = world.count_rows()

    answers = [_post(api, notice) for _ in range(5)]
    other_id = _post(api, _notice(funding))

    assert {answer.body["new"] for answer in answers} == {0}
    assert other_id.body["new"] == 1
    assert world.count_rows() == before
    world.settle()
    world.prove()


def test_a_notice_moves_no_money_by_its_content(api: Api, world: World) -> None:
    """A notice about a payment that the rail never saw changes nothing: the rail is asked."""
    deal = make_deal(api, "100.00")
    paid = deal.client.post(f"/v1/slots/{deal.slots[0]}/fundings", {"method": "card"})
    before = world.count_rows()

    answer = _post(api, _notice(paid.body["funding_id"]))

    assert answer.status == 200
    assert deal.client.get(f"/v1/slots/{deal.slots[0]}").body["state"] == "funding"
    assert world.count_rows() == before
    world.settle()


def test_a_notice_about_nothing_of_ours_is_parked(api: Api) -> None:
    """Line 44, edge case 4: 2xx, kept, and looked at again; our own insert may be under way."""
    answer = _post(api, _notice(str(new_id())))

    assert (answer.status, answer.body) == (200, {"received": 1, "new": 1, "parked": 1})


def test_news_of_no_operation_is_left_to_the_rails_own_feed(api: Api, world: World) -> None:
    """Whoever posts that funds became available is not believed: the workers read the feed."""
    before = world.count_rows()

    answer = _post(api, _notice(None, kind="funds_available"))

    assert answer.body == {"received": 1, "new": 0, "parked": 0}
    assert world.count_rows() == before


def test_only_a_known_rail_and_the_platform_send_notices(api: Api, world: World) -> None:
    """An unknown rail is 404, a party's key 403, an amount in a notice 422."""
    deal, funding = _waiting(api, world)

    unknown = api.post("/v1/rails/nobody/notices", {"notices": [_notice(funding)]})
    party = _post(deal.client, _notice(funding))
    amount = _post(api, _notice(funding, amount_minor=1))

    assert (unknown.status, unknown.code) == (404, "not_found")
    assert (party.status, party.code) == (403, "auth.platform_only")
    assert (amount.status, amount.code) == (422, "request.invalid")
    world.settle()


def test_an_outage_leaves_a_notice_to_be_sent_again(api: Api, world: World) -> None:
    """Where the server ended our connection nothing is kept; the rail's next try has its effect."""
    deal, funding = _waiting(api, world)
    notice = _notice(funding)

    def away(*_: object) -> None:
        raise OperationalError("UPDATE", {}, psycopg.errors.AdminShutdown("ended"))

    inbox = Inbox(world.engine, world.tenant, world.rail, {FUNDING_HANDLER: away})
    with pytest.raises(OperationalError):
        take_in(inbox, NoticesBody.model_validate_json(json.dumps({"notices": [notice]})).notices)

    assert _post(api, notice).body == {"received": 1, "new": 1, "parked": 0}
    assert deal.client.get(f"/v1/slots/{deal.slots[0]}").body["state"] == "funded"
    world.settle()
    world.prove()
