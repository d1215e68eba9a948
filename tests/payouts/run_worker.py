"""One worker on payout runs: it pays chunks, calls the rail, and ends when both are quiet."""

import argparse
import sys
from datetime import timedelta
from typing import Final

from sqlalchemy import Engine

from engine.payout_runs import step
from kernel import clock
from kernel.database import Tenant, connect, transaction
from payouts import service, settlement
from payouts.store_runs import list_executing
from rails.caller import run_once
from rails.model import FUNDS_AVAILABLE
from rails.simulated.model import Behaviour
from rails.simulated.service import SimulatedRail

NO_LEASE: Final = timedelta(0)
"""Nobody else is at work: what a dead worker sent is read at once, not after its minute."""


def rail_of(engine: Engine, tenant: Tenant) -> SimulatedRail:
    """A rail that loses every tenth reply though the payout was made."""
    behaviour = Behaviour(seed="run kills", lost_reply_bps=1_000, duplicate_notice_bps=1_000)
    return SimulatedRail(engine, tenant.name, behaviour)


def main() -> int:
    """Work until nothing is left; somebody may kill us at any moment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("tenant")
    parser.add_argument("chunk", type=int)
    options = parser.parse_args()
    engine, tenant = connect(options.url), Tenant(options.tenant)
    while not _is_quiet(engine, tenant, options.chunk):
        pass
    return 0


def _is_quiet(engine: Engine, tenant: Tenant, chunk: int) -> bool:
    with transaction(engine, tenant) as connection:
        runs = list_executing(connection)
        at = clock.now(connection)
    for run_id in runs:
        step(engine, tenant, run_id, chunk=chunk)
    with transaction(engine, tenant) as connection:
        service.submit_due(connection, at=at, limit=chunk)
    rail = rail_of(engine, tenant)
    handlers = {service.HANDLER: service.hear, settlement.HANDLER: settlement.hear_transfers}
    notices = {FUNDS_AVAILABLE: settlement.hear_available}
    counts = run_once(
        engine, tenant, rail, handlers, at, notice_handlers=notices, limit=chunk, lease=NO_LEASE
    )
    return counts.is_quiet and not runs


if __name__ == "__main__":
    sys.exit(main())
