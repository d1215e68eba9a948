"""The product's side: one transaction of one tenant, its services, scanner and rail worker.

Everything but the rail's own log happens inside one transaction that is rolled back at the end.
Scanner and rail worker open their transactions at an engine; here that engine gives savepoints of
the one transaction. The rail commits on connections of its own, each example as another platform.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast

from sqlalchemy import Connection, Engine

from engine.handlers import RAIL_NOTICES, RAIL_RESULTS, TIMERS
from engine.scanner import Scanner
from kernel import clock
from kernel.database import Tenant, driver, enter
from kernel.errors import RailTrouble
from kernel.ids import new_id
from ledger.proof import prove
from payouts.safeguarding import safeguarding
from rails.caller import run_until_quiet
from rails.model import RailOperation, RailResult
from rails.simulated.service import SimulatedRail

_SEEN: Final = (Path(__file__).parent / "seen.sql").read_text(encoding="utf-8")
_EVENTS: Final = "SELECT count(*) FROM event"


class OneTransaction:
    """Stands for an engine: what would be a transaction is a savepoint of the one there is."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        with self.connection.begin_nested():
            yield self.connection


@dataclass(frozen=True, slots=True)
class MoodyRail(SimulatedRail):
    """The simulated rail, told by tokens what shall happen to all it is sent, and losing replies.

    `trouble` is `before` or `after` the effect: the call fails, and the caller must read.
    """

    mood: frozenset[str] = frozenset()

    def execute(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        troubles = {"trouble_before", "trouble_after"}
        if operations and "trouble_before" in self.mood:
            raise RailTrouble("the rail cannot be reached")
        tokens = ":".join(["", *sorted(self.mood - troubles)])
        told = [replace(each, method=each.method + tokens) for each in operations]
        results = SimulatedRail.execute(self, told, at=at)
        if operations and "trouble_after" in self.mood:
            raise RailTrouble("the rail's answer was lost")
        return results


@dataclass
class Books:
    """The tenant's books within one transaction, as its users reach them."""

    connection: Connection
    rail_engine: Engine
    tenant: Tenant
    platform: str = field(default_factory=lambda: f"model_{new_id().hex}")

    @property
    def engine(self) -> Engine:
        return cast(Engine, OneTransaction(self.connection))

    def make_sandbox(self, now: int) -> None:
        clock.make_sandbox(self.connection, at=moment(now))

    def move_clock(self, now: int) -> None:
        clock.advance(self.connection, to=moment(now))

    def fire_due(self) -> Counter[str]:
        """Let the scanner fire what is due; how many timers of each kind."""
        scanner = Scanner(engine=self.engine, tenants=lambda: [self.tenant], handlers=TIMERS)
        return scanner.fire_due(self.tenant)

    def run_rail(self, mood: frozenset[str], now: int) -> None:
        """Let the rail worker send and hear until nothing is left; nothing may fail in it."""
        self._call(mood, now)
        if "trouble_before" in mood:
            self._call(mood - {"trouble_before"}, now)

    def _call(self, mood: frozenset[str], now: int) -> None:
        counts = run_until_quiet(
            self.engine,
            self.tenant,
            MoodyRail(self.rail_engine, self.platform, mood=mood),
            RAIL_RESULTS,
            moment(now),
            notice_handlers=RAIL_NOTICES,
            most_runs=1 if "trouble_before" in mood else 8,
        )
        assert counts.failed == 0, counts
        assert counts.parked == 0, counts

    def seen(self) -> Counter[str]:
        """What the tables show, as lines."""
        return Counter(row[0] for row in driver(self.connection).execute(_SEEN.encode()))

    def count_events(self) -> int:
        return int(self.connection.exec_driver_sql(_EVENTS).scalar_one())

    def check_deferred(self) -> None:
        """Ask what the database would refuse at the commit."""
        self.connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        self.connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")

    def check_proof(self) -> None:
        assert prove(self.connection).findings == ()

    def check_safeguarding(self, now: int) -> None:
        """Books and rail agree on every account, once everything was heard."""
        rail = MoodyRail(self.rail_engine, self.platform)
        report = safeguarding(self.connection, rail.balances(at=moment(now)))
        assert not [each.differences for each in report.currencies if each.differences], report


@contextmanager
def open_books(engine: Engine, tenant: Tenant) -> Iterator[Books]:
    """Books without a past, in a transaction that is rolled back at the end."""
    with engine.connect() as connection, connection.begin() as transaction:
        enter(connection, tenant)
        yield Books(connection, engine, tenant)
        transaction.rollback()


def moment(now: int) -> datetime:
    """A model's second as the product's time."""
    return datetime.fromtimestamp(now, UTC)
