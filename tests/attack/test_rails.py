"""A rail that changes its mind: what it says too late is never lost in silence."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from engine.api.notices import Inbox, NoticeBody, take_in
from engine.handlers import RAIL_RESULTS
from kernel.database import snapshot
from rails import service
from rails.model import RailOperation, RailOutcome, RailResult
from rails.simulated.service import SimulatedRail
from tests.engine.api.conftest import Api, World, make_deal


class TakesBack(SimulatedRail):
    """The bank of the payer took back what it had paid."""

    def resolve(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        return [
            replace(result, outcome=RailOutcome.REFUSED, code="debit.returned")
            for result in super().resolve(operations, at=at)
        ]


def test_a_debit_taken_back_is_booked_once(api: Api, world: World) -> None:
    """A debit taken back is not filed as heard while the slot goes on as funded: it is unfunded."""
    deal = make_deal(api, "100.00", "100.00")
    fundings = []
    for slot in deal.slots:
        paid = deal.client.post(f"/v1/slots/{slot}/fundings", {"method": "bank_debit"})
        fundings.append(UUID(paid.body["funding_id"]))
    world.settle()
    inbox = Inbox(
        world.engine, world.tenant, TakesBack(world.engine, world.tenant.name), RAIL_RESULTS
    )
    bodies = [
        NoticeBody(
            notice_id=f"evt_{funding}",
            kind="operation_changed",
            operation_id=str(funding),  # type: ignore[arg-type]
            currency="EUR",
            occurred_at="2026-03-02T09:00:00Z",  # type: ignore[arg-type]
        )
        for funding in fundings
    ]

    told = take_in(inbox, bodies)
    again = take_in(inbox, bodies)

    assert told == {"received": 2, "new": 2, "parked": 0}
    assert again == {"received": 2, "new": 0, "parked": 0}
    with snapshot(world.engine, world.tenant) as connection:
        assert not service.list_exceptions(connection)
        states = connection.exec_driver_sql(
            "SELECT DISTINCT state FROM rail_operation WHERE id = ANY (%s::uuid[])", (fundings,)
        ).scalars()
        assert list(states) == ["refused"]
    for slot in deal.slots:
        assert deal.client.get(f"/v1/slots/{slot}").body["state"] == "awaiting_funding"
    world.prove()
