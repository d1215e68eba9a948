"""What a worker does beside jobs and timers: it calls the rails and settles the books each day."""

import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, TypeGuard

import structlog
from sqlalchemy import Engine

from engine import care
from engine.exchange import fill_open
from engine.handlers import RAIL_NOTICES, RAIL_RESULTS
from engine.payees import read_new
from engine.rails import bank_of
from engine.rounds import go_round, keep_going
from kernel import clock
from kernel.database import Tenant, transaction
from kernel.errors import Broken
from payouts import service as payouts
from payouts import service_chain, service_screening, settlement
from rails import events
from rails.caller import LEASE, run_once
from rails.port import Rail
from rails.simulated.service import SimulatedRail
from rails.telling import POISON, is_outage

_NONSENSE: Final = (AttributeError, *POISON)
"""What a rail's answer may make of us that no rail should: people look, and all else goes on."""

PAYS_UP_EVERY: Final = timedelta(hours=1)
"""How often the platform pays what it owes client money, in the tenant's time."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MoneyLoop:
    """Walks the tenants: submits payouts that wait, calls and hears rails, settles once a day.

    A day is the tenant's own. Several may run, on any machine: each tenant is walked by one at a
    time. A settlement that runs twice in a day, after a restart, moves nothing twice.
    """

    engine: Engine
    tenants: Callable[[], Sequence[Tenant]]
    rails_of: Callable[[Tenant], Sequence[Rail]]
    interval_s: float = 1.0
    lease: timedelta = LEASE
    settled_on: dict[str, date] = field(default_factory=dict)
    paid_up_at: dict[str, datetime] = field(default_factory=dict)

    def run_forever(self, stop: threading.Event) -> None:
        """Go round until `stop` is set; at once again while there is work."""
        keep_going(self.run_once, stop, interval_s=self.interval_s)

    def run_once(self, stop: threading.Event) -> bool:
        """Look at each tenant once; whether any of them had work."""
        found = go_round(
            self.tenants,
            self._look_at,
            stop,
            what="money",
            engine=self.engine,
            lock="rails",
            broken=_NONSENSE,
        )
        return found > 0

    def _look_at(self, tenant: Tenant) -> bool:
        rails = self.rails_of(tenant)
        with transaction(self.engine, tenant) as connection:
            at = clock.now(connection)
        if self.settled_on.get(tenant.name) != at.date():
            self._begin_day(tenant, bank_of(rails), at)
            self.settled_on[tenant.name] = at.date()
            self.paid_up_at[tenant.name] = at
        self._settle_short(tenant, bank_of(rails), at)
        # Transactions of their own: each locks payees and payouts from the start.
        with transaction(self.engine, tenant) as connection:
            service_screening.screen_due(connection, at=at)
        with transaction(self.engine, tenant) as connection:
            payouts.submit_due(connection, at=at)
        return sum(self._call_alone(tenant, rail, at) for rail in rails) > 0

    def _begin_day(self, tenant: Tenant, bank_rail: str, at: datetime) -> None:
        """Settle the books with each other and with the rails; ask for what lies at payees'."""
        with transaction(self.engine, tenant) as connection:
            for settled in settlement.settle(connection, at=at, bank_rail=bank_rail):
                _log.info("money.settled", tenant=tenant.name, currency=settled.currency)
        with transaction(self.engine, tenant) as connection:
            service_chain.call_home(connection, at=at)
        for look in care.DAILY:
            with transaction(self.engine, tenant) as connection:
                look(connection, at=at)

    def _settle_short(self, tenant: Tenant, bank_rail: str, at: datetime) -> None:
        """What falls short is settled again on the same day; the platform pays up each hour."""
        pays_up = at - self.paid_up_at[tenant.name] >= PAYS_UP_EVERY
        if pays_up:
            self.paid_up_at[tenant.name] = at
        with transaction(self.engine, tenant) as connection:
            if settlement.settle_short(connection, at=at, bank_rail=bank_rail, pays_up=pays_up):
                _log.warning("money.settled_again", tenant=tenant.name)

    def _call_alone(self, tenant: Tenant, rail: Rail, at: datetime) -> bool:
        """A rail whose words break us stops no other; what it said is not logged, only where."""
        try:
            return self._call(tenant, rail, at)
        except _NONSENSE as error:
            if is_outage(error):
                raise
            frame = traceback.extract_tb(error.__traceback__)[-1]
            _log.error(
                "money.rail_broken",
                tenant=tenant.name,
                rail=rail.name,
                error=str(error) if isinstance(error, Broken) else type(error).__name__,
                where=f"{frame.name}:{frame.lineno}",
            )
            return False

    def _call(self, tenant: Tenant, rail: Rail, at: datetime) -> bool:
        """Send to one rail and hear it; whether there was anything to do."""
        counts = run_once(
            self.engine,
            tenant,
            rail,
            RAIL_RESULTS,
            at,
            notice_handlers=RAIL_NOTICES,
            lease=self.lease,
        )
        heard = events.step(self.engine, tenant, rail, RAIL_RESULTS, RAIL_NOTICES, at)
        read = read_new(self.engine, tenant, rail, at)
        filled = fill_open(self.engine, tenant, rail, at=at) if _exchanges(rail) else 0
        return filled + read > 0 or not (counts.is_quiet and heard.is_quiet)


def _exchanges(rail: Rail) -> TypeGuard[SimulatedRail]:
    """Whether the rail's bank fills conversions; another provider tells us of its fills."""
    return isinstance(rail, SimulatedRail)
