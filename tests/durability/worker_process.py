"""The worker as `holdfast worker` runs it, at a rail that loses replies and repeats its notices."""

from typing import Final

from engine import worker
from engine.api.logs import configure_logs
from engine.commands.frame import database
from engine.handlers import TIMERS
from engine.loops import MoneyLoop
from kernel.database import Tenant
from kernel.due import DueTenants
from rails.port import Rail
from rails.simulated.model import Behaviour
from rails.simulated.service import SimulatedRail

BEHAVIOUR: Final = Behaviour(
    seed="durability",
    declined_bps=300,
    lost_reply_bps=2_000,
    payout_failed_bps=1_000,
    duplicate_notice_bps=1_000,
    reordered_notice_bps=1_000,
    settlement_days=1,
)
THREADS: Final = 4


def main() -> None:
    """Fire timers, call rails, do jobs and settle each day, until told to end."""
    configure_logs()
    with database(pool_size=THREADS + 6) as opened:
        engine = opened.engine

        def rails_of(tenant: Tenant) -> list[Rail]:
            return [SimulatedRail(engine, tenant.name, BEHAVIOUR)]

        money = MoneyLoop(engine, DueTenants(engine), rails_of, interval_s=0.2)
        worker.work(engine, TIMERS, loops=[money.run_forever], worker_threads=THREADS)


if __name__ == "__main__":
    main()
