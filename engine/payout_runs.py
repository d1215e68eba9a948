"""The worker's hand on payout runs: it goes on with those that are executing, chunk by chunk."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy import Engine

from engine.rounds import go_round, keep_going
from kernel import clock
from kernel.database import Tenant, transaction
from payouts import store_runs
from payouts.service_execution import CHUNK, Chunk, execute

_log = structlog.get_logger(__name__)


def step(engine: Engine, tenant: Tenant, run_id: UUID, *, chunk: int = CHUNK) -> Chunk:
    """Pay one chunk of a run, in a transaction of its own."""
    with transaction(engine, tenant) as connection:
        return execute(connection, run_id, at=clock.now(connection), limit=chunk)


@dataclass(frozen=True, slots=True)
class RunLoop:
    """Walks the tenants; several may work on one run beside one another, on any machine."""

    engine: Engine
    tenants: Callable[[], Sequence[Tenant]]
    chunk: int = CHUNK
    interval_s: float = 1.0

    def run_forever(self, stop: threading.Event) -> None:
        """Go round until `stop` is set; at once again while there is work."""
        keep_going(self.run_once, stop, interval_s=self.interval_s)

    def run_once(self, stop: threading.Event) -> bool:
        """One chunk of each run that is executing; whether there was one."""
        return go_round(self.tenants, self._look_at, stop, what="payout_runs") > 0

    def _look_at(self, tenant: Tenant) -> int:
        with transaction(self.engine, tenant) as connection:
            runs = store_runs.list_executing(connection)
        taken = 0
        for run_id in runs:
            chunk = step(self.engine, tenant, run_id, chunk=self.chunk)
            taken += chunk.taken
            if chunk.taken:
                _log.info("payout_run.paid_chunk", run_id=str(run_id), payees=chunk.requested)
        return taken
