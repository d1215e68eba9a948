"""What a scanner really fired, when it was committed, and in which order it was taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from sqlalchemy import Connection

from engine.scanner import TimerHandler
from kernel import timers
from kernel.database import Tenant
from kernel.timers import DueTimer


@dataclass(frozen=True, slots=True)
class Rung:
    """One timer that rang: `at` by the tenant's clock, `seen_at` when the commit had returned."""

    timer: DueTimer
    at: datetime
    seen_at: datetime

    def late(self, grace: timedelta) -> timedelta:
        """How long after due time and grace its work was committed."""
        return self.seen_at - self.timer.due_at - grace


@dataclass(slots=True)
class Watch:
    """Wraps the engine's own handlers; what they did is believed once their commit is there."""

    rung: list[Rung] = field(default_factory=list)
    taken: list[tuple[datetime, Sequence[DueTimer]]] = field(default_factory=list)

    def over(self, handlers: Mapping[str, TimerHandler]) -> Mapping[str, TimerHandler]:
        """The same handlers, watched."""
        return MappingProxyType({kind: self._watched(each) for kind, each in handlers.items()})

    def ring(self, _tenant: Tenant) -> None:
        """What the last handler took is committed."""
        now = datetime.now(UTC)
        for at, fired in self.taken:
            self.rung.extend(Rung(timer, at, now) for timer in fired)
        self.taken.clear()

    def count_inversions(self) -> int:
        """How often a timer was taken after one that was due later, of the same kind."""
        latest: dict[str, datetime] = {}
        inversions = 0
        for each in self.rung:
            kind, due_at = each.timer.kind, each.timer.due_at
            inversions += due_at < latest.get(kind, due_at)
            latest[kind] = max(due_at, latest.get(kind, due_at))
        return inversions

    def count_early(self, grace: timedelta) -> int:
        """How many rang before due time and grace were over, by the clock of their tenant."""
        return sum(each.at < each.timer.due_at + grace for each in self.rung)

    def count_twice(self) -> int:
        """How many rang more often than once."""
        return len(self.rung) - len({each.timer for each in self.rung})

    def _watched(self, handler: TimerHandler) -> TimerHandler:
        def fire(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
            self.taken.clear()
            count = handler(connection, due, at)
            fired = due if count == len(due) else _gone(connection, due)
            self.taken.append((at, fired))
            return count

        return fire


def _gone(connection: Connection, due: Sequence[DueTimer]) -> list[DueTimer]:
    """Those of the due timers that are not there any more as they were."""
    left = {
        (timer.subject, timer.kind, timer.due_at)
        for timer in timers.list_of(connection, [each.subject for each in due])
    }
    return [each for each in due if (each.subject, each.kind, each.due_at) not in left]
