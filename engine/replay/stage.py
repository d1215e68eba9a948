"""Where a replay plays: one tenant, its clock and rail, and batches of commands to services."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from engine.handlers import RAIL_NOTICES, RAIL_RESULTS, TIMERS
from engine.replay.acts import Service
from engine.scanner import Scanner
from escrow.service_reminders import remind
from kernel import clock
from kernel.commands import Command, Outcome
from kernel.database import Tenant, transaction
from rails.caller import Counts, run_once
from rails.simulated.service import SimulatedRail

Found = TypeVar("Found")

_NEVER = timedelta(days=3_650)
"""Real time decides nothing here: what the rail keeps silent about, it tells by a notice."""


class Stopped(Exception):  # noqa: N818  somebody asked for it
    """The replay was asked to end before its last day."""


@dataclass(slots=True, kw_only=True)
class Stage:
    """One tenant in play; counts what fired and what was refused.

    `has_acted`: somebody or a clock did something since the rail was last heard.
    """

    engine: Engine
    tenant: Tenant
    rail: SimulatedRail
    stop: threading.Event
    batch_size: int = 2_000
    fired: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    has_acted: bool = False

    @classmethod
    def of(cls, engine: Engine, tenant: Tenant, stop: threading.Event) -> "Stage":
        """The stage of a tenant, with its account at the simulated rail."""
        return cls(engine=engine, tenant=tenant, rail=SimulatedRail(engine, tenant.name), stop=stop)

    def serve(self, service: Service, commands: Sequence[Command]) -> list[Outcome]:
        """Give commands to a service, a batch per transaction; one outcome each.

        Raises Stopped between two batches, so what was committed stays.
        """
        outcomes: list[Outcome] = []
        for start in range(0, len(commands), self.batch_size):
            self.check_stop()
            batch = commands[start : start + self.batch_size]
            with transaction(self.engine, self.tenant) as connection:
                outcomes += service(connection, batch, at=clock.now(connection))
        self.commands += len(commands)
        self.has_acted = self.has_acted or bool(commands)
        self.refusals.update(each.code for each in outcomes if not each.is_done)
        return outcomes

    def read(self, ask: Callable[[Connection], Found]) -> Found:
        """What a store says, in a transaction of its own."""
        with transaction(self.engine, self.tenant) as connection:
            return ask(connection)

    def call(self, step: Any) -> Any:  # noqa: ANN401  any step of a service and what it gives
        """Run one step `(connection, at=...)` of a service in a transaction of its own."""
        with transaction(self.engine, self.tenant) as connection:
            return step(connection, at=clock.now(connection))

    def move_clock(self, to: datetime) -> None:
        """Move the tenant's time on."""
        self.check_stop()
        with transaction(self.engine, self.tenant) as connection:
            clock.advance(connection, to=to)

    def fire_timers(self, *, reminds: bool = False) -> int:
        """Fire all that is due, and tell of clocks that will be; how many fired."""
        scanner = Scanner(
            engine=self.engine,
            tenants=lambda: [self.tenant],
            handlers=TIMERS,
            remind=remind if reminds else None,
        )
        fired = scanner.fire_due(self.tenant)
        self.fired += fired
        self.has_acted = self.has_acted or bool(fired)
        return fired.total()

    def hear_rail(self) -> None:
        """Send what was asked of the rail and hear what it says, until both are quiet."""
        while not self._hear().is_quiet:
            pass

    def hear_rail_once(self) -> None:
        """Send all that was asked of the rail, and hear all that it says now.

        What the engine asks for because of what it heard waits for the next time.
        """
        while max((counts := self._hear()).taken, counts.heard) >= self.batch_size:
            pass

    def _hear(self) -> Counts:
        """Send and hear a batch."""
        self.has_acted = False
        with transaction(self.engine, self.tenant) as connection:
            at = clock.now(connection)
        return run_once(
            self.engine,
            self.tenant,
            self.rail,
            RAIL_RESULTS,
            at,
            notice_handlers=RAIL_NOTICES,
            limit=self.batch_size,
            lease=_NEVER,
        )

    def check_stop(self) -> None:
        """Raise Stopped if somebody asked for it."""
        if self.stop.is_set():
            raise Stopped
