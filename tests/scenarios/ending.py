"""What must be true when a run is over, and what became of people, counted."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from engine.proofs import check_books
from kernel import clock
from kernel.database import snapshot
from rails.simulated.service import SimulatedRail
from reconciliation.open_items import open_items
from tests.doubles.frame import EVERY_KIND
from tests.scenarios.chaos import SURE, Run
from tests.scenarios.world import World, differences

COUNTED: Final = {
    "payments": "SELECT count(*) FROM rail_operation WHERE kind = 'fund' AND state = 'done'",
    "payments refused": (
        "SELECT count(*) FROM rail_operation WHERE kind = 'fund' AND state = 'refused'"
    ),
    "transfers": "SELECT count(*) FROM rail_operation WHERE kind = 'transfer' AND state = 'done'",
    "payouts paid": "SELECT count(*) FROM payout WHERE state = 'paid'",
    "payouts returned": "SELECT count(*) FROM payout WHERE state = 'returned'",
    "refunds": "SELECT count(*) FROM refund WHERE state = 'succeeded'",
    "chargebacks won": "SELECT count(*) FROM chargeback WHERE state = 'won'",
    "chargebacks lost": "SELECT count(*) FROM chargeback WHERE state = 'lost'",
}
"""What became of people, by the books."""

ENOUGH: Final = {
    "payments": 4,
    "transfers": 1,
    "payouts paid": 1,
    "refunds": 1,
    "chargebacks won": 1,
    "chargebacks lost": 1,
    "kills": 2,
    "ended well": 2,
    "webhooks twice": 3,
    "webhooks lost": 3,
} | dict.fromkeys(SURE, 1)
"""Of how much each run must have at least, or it has shown nothing."""

NONE_LEFT: Final = {
    "event in trouble": "SELECT kind, trouble FROM rail_event WHERE state <> 'processed'",
    "notice in trouble": "SELECT kind, trouble FROM notice WHERE state <> 'applied'",
    "line of Stripe's not explained": (
        "SELECT kind, rail_kind, category, account, amount_minor, currency, operation_id"
        " FROM rail_transaction WHERE state = 'open'"
    ),
    "operation without an answer": (
        "SELECT kind, state, attempts, created_at FROM rail_operation"
        " WHERE state IN ('sent', 'unknown')"
    ),
}


def counts(run: Run) -> Counter[str]:
    """What happened in a run and what became of people."""
    found = Counter(run.happened)
    with snapshot(run.world.engine, run.world.tenant) as connection:
        for name, sql in COUNTED.items():
            found[name] = int(connection.exec_driver_sql(sql).scalar_one())
    double = run.backend.double
    names = [each.body for each in double.deliveries.delivered]
    found["webhooks"] = len(names)
    found["webhooks twice"] = len(names) - len(set(names))
    found["webhooks lost"] = len(double.deliveries.dropped)
    for kind, _, _ in double.faults.laid:
        found[f"fault {kind.value}"] += 1
    return found


def complaints(run: Run) -> list[str]:
    """All that is not as it must be after a run."""
    world, double, found = run.world, run.backend.double, counts(run)
    wrong = [
        f"{account} {place.value} {currency}: {booked} in the books, {told} at Stripe"
        for (account, place, currency), (booked, told) in differences(
            world.booked(), run.backend.told()
        ).items()
    ]
    wrong += [f"{each} has several objects" for each in double.operations_twice().items()]
    wrong += double.violations()
    wrong += _left(world)
    wrong += _of_books(world)
    wrong += [f"only {found[name]} {name}" for name, least in ENOUGH.items() if found[name] < least]
    wrong += [f"no {kind.value}" for kind in EVERY_KIND if not found[f"fault {kind.value}"]]
    return wrong


def _left(world: World) -> Iterator[str]:
    with snapshot(world.engine, world.tenant) as connection:
        for name, sql in NONE_LEFT.items():
            for row in connection.exec_driver_sql(sql):
                yield f"{name}: {tuple(row)}"


def _of_books(world: World) -> Iterator[str]:
    rails = [world.backend.rail, SimulatedRail(world.engine, world.tenant.name)]
    yield from check_books(world.engine, world.tenant, rails).findings
    with snapshot(world.engine, world.tenant) as connection:
        for item in open_items(connection, at=clock.now(connection)):
            yield f"open: {item}"
