"""Amounts at their edges, twins in two processes, and what a log may tell of a broken row."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import structlog
from sqlalchemy import Engine

from engine.api.doors import DOORS
from engine.group_commit import GroupCommit
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from ledger.parties import CreateParty, PartyKind
from tests.attack.waiting import wait_until_blocked
from tests.engine.api.conftest import Api, World, make_deal, pay

ANYONE = Actor(UUID(int=5), PrincipalKind.KEY, is_operator=True)
INSERT = "INSERT INTO party (id, kind, reference, created_at) VALUES (%s, 'client', %s, now())"


def test_money_rolled_forward_never_makes_a_price_that_no_slot_can_have(
    api: Api, world: World
) -> None:
    """Two slots near the largest amount cannot become one above it: refused, nothing moved."""
    deal = make_deal(api, "6000000000000.00", "6000000000000.00")
    for slot in deal.slots:
        pay(deal, world, slot)
    offered = deal.client.post(
        f"/v1/slots/{deal.slots[0]}/amendments", {"to_slot_id": deal.slots[1]}
    )

    signed = deal.payee.post(f"/v1/amendments/{offered.body['amendment_id']}/sign")

    assert (signed.status, signed.code) == (422, "escrow.amount_out_of_range")
    held = {deal.client.get(f"/v1/slots/{slot}").body["held"]["amount"] for slot in deal.slots}
    assert held == {"6000000000000.00"}
    world.prove()


def test_twins_in_two_processes_are_told_who_was_first(own_engine: Engine, tenant: Tenant) -> None:
    """Whoever loses the race for a reference is refused as if he had come later: no fault of ours.

    Nor does the log repeat the row that lost it.
    """
    door = GroupCommit(own_engine, tenant, DOORS)
    late = CreateParty(actor=ANYONE, kind=PartyKind.CLIENT, reference="twin-of-mine")
    with structlog.testing.capture_logs() as logs, ThreadPoolExecutor(1) as pool:
        with transaction(own_engine, tenant) as first:
            first.exec_driver_sql(INSERT, (new_id(), "twin-of-mine"))
            second = pool.submit(lambda: door.submit("parties.create", late).result(120))
            wait_until_blocked(own_engine)
        outcome = second.result(timeout=120)
    door.close()

    assert outcome.code == "party.exists"
    assert "twin-of-mine" not in str(logs)
