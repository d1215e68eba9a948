"""The three parts: due over two minutes, a backlog, and a clock that jumps; on the real scanner."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from sqlalchemy import Engine

from engine.handlers import TIMERS
from engine.scanner import Scanner
from escrow.service_reminders import begin_round, remind
from kernel import clock
from kernel.database import Tenant, transaction
from kernel.timers import GRACE
from loadtests.bench.deals import Market
from loadtests.bench.ground import Ground
from loadtests.bench.measure import percentile
from loadtests.bench.workload import BenchTrouble
from loadtests.timers.watch import Watch

Say = Callable[[str], None]

AUTO_RELEASE: Final = "escrow.auto_release"
SECURITY_HOLD: Final = "escrow.security_hold"

_LEAD_S: Final = 3.0
_PATIENCE_S: Final = 600.0
_WINDOW_S: Final = 120.0

# Clocks of deals that never were: what matters is that they stand in the table and its indexes.
_FILL: Final = """
INSERT INTO timer (subject, kind, due_at, subject_version, armed_at, remind_length, remind_at)
SELECT 'slot:' || gen_random_uuid(), 'escrow.auto_release', now() + n * interval '7 seconds'
    + interval '1 day', 1, now(), interval '14 days', now() + n * interval '3 seconds'
FROM generate_series(1, %s) AS n
"""

_SPREAD: Final = """
UPDATE timer SET remind_at = NULL, remind_length = NULL,
    due_at = %(from_at)s::timestamptz + random() * %(length)s::interval
WHERE kind = %(kind)s AND subject = ANY (SELECT {known} FROM {table})
"""

_LEFT: Final = "SELECT count(*) FROM timer WHERE kind = %s AND due_at < clock_now()"

_EVENTS: Final = """
SELECT count(*), count(DISTINCT subject) FROM event WHERE kind = %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many clocks: all, due within the window, overdue, and under a clock that jumps."""

    pending: int = 1_000_000
    due: int = 100_000
    jumping: int = 20_000
    window_s: float = _WINDOW_S

    def part(self, fraction: float) -> "Sizes":
        """A stated fraction of everything; as many timers in a second as in the whole."""
        return Sizes(
            pending=max(1_000, round(self.pending * fraction)),
            due=max(200, round(self.due * fraction)),
            jumping=max(100, round(self.jumping * fraction)),
            window_s=max(2.0, self.window_s * fraction),
        )


@dataclass(frozen=True, slots=True)
class Field:
    """A tenant with its deals, and how to say what goes on."""

    ground: Ground
    engine: Engine
    market: Market
    say: Say

    @property
    def tenant(self) -> Tenant:
        """Whose clocks ring."""
        return self.market.tenant

    def as_owner(self, statement: str, given: Sequence[Any] | Mapping[str, Any]) -> int:
        """Change rows behind the program's back, as only a load test may; how many."""
        with self.ground.admin() as admin:
            admin.execute(f"SET search_path TO {self.tenant.search_path}".encode())
            return admin.execute(statement.encode(), given).rowcount

    def ask(self, statement: str, *given: object) -> Any:  # noqa: ANN401  whatever the row holds
        """One row."""
        with transaction(self.engine, self.tenant) as connection:
            return connection.exec_driver_sql(statement, given).one()


def make_slots(field: Field, count: int, random: Random) -> None:
    """So many slots under review, whose timers are then moved to where a part wants them."""
    field.market.make_slots(count, random, at=clock_of(field), say=field.say)


def clock_of(field: Field) -> datetime:
    """What time it is for the tenant."""
    with transaction(field.engine, field.tenant) as connection:
        return clock.now(connection)


def run_due(field: Field, sizes: Sizes, random: Random) -> dict[str, Any]:
    """All pending clocks in one table, the due ones spread over the window: how late they ring."""
    make_slots(field, sizes.due, random)
    field.say(f"filling the table of timers to {sizes.pending:,}")
    already = field.ask("SELECT count(*) FROM timer")[0]
    field.as_owner(_FILL, (max(0, sizes.pending - already),))
    _lay_out(field, sizes)
    pending = field.ask("SELECT count(*) FROM timer")[0]
    field.say(f"{sizes.due:,} of {pending:,} timers fall due in {sizes.window_s:.0f} s")
    watch, seconds = _scan_until(field, AUTO_RELEASE, sizes.due)
    late = sorted(each.late(GRACE).total_seconds() for each in watch.rung)
    return {
        **_verdict(field, watch, AUTO_RELEASE, "slot.released", sizes.due),
        "pending": pending,
        "window_s": sizes.window_s,
        "took_s": round(seconds, 2),
        "reminded": field.ask(_EVENTS, "clock.reminded")[0],
        "late_p50_s": round(percentile(late, 0.50), 3),
        "late_p99_s": round(percentile(late, 0.99), 3),
        "late_worst_s": round(late[-1], 3),
    }


def _lay_out(field: Field, sizes: Sizes) -> None:
    """Spread what is due over the window, long enough ahead to tidy the tables before it begins.

    On a busy machine that takes longer than thought: then once more, further ahead.
    """
    window = timedelta(seconds=sizes.window_s)
    for ahead in (1, 3, 9):
        start = datetime.now(UTC) + timedelta(seconds=ahead * (_LEAD_S + sizes.pending / 10_000))
        spread(field, AUTO_RELEASE, start - GRACE, window)
        field.ground.settle()
        if datetime.now(UTC) < start:
            return
    raise BenchTrouble("the timers were due before the scanner could start")


def run_backlog(field: Field, sizes: Sizes) -> dict[str, Any]:
    """The security holds of what was just released, all overdue since an hour: how fast they go."""
    since = datetime.now(UTC) - timedelta(hours=2)
    spread(field, SECURITY_HOLD, since, timedelta(hours=1))
    field.ground.settle()
    field.say(f"draining {sizes.due:,} overdue timers")
    watch, seconds = _scan_until(field, SECURITY_HOLD, sizes.due)
    return {
        **_verdict(field, watch, SECURITY_HOLD, "release.available", sizes.due),
        "took_s": round(seconds, 2),
        "per_s": round(sizes.due / seconds),
    }


def run_jumps(field: Field, sizes: Sizes, random: Random) -> dict[str, Any]:
    """A sandbox whose clock leaps by up to two hours: nothing rings before its time and grace."""
    make_slots(field, sizes.jumping, random)
    day = timedelta(days=1)
    start = clock_of(field)
    spread(field, AUTO_RELEASE, start, day)
    watch = Watch()
    scanner = _scanner(field, watch)
    now, jumps = start, 0
    while now < start + day + 2 * GRACE:
        now += timedelta(seconds=random.choice((1, 59, 60, 61, 600, 7_200)))
        jumps += 1
        with transaction(field.engine, field.tenant) as connection:
            clock.advance(connection, to=now)
        scanner.run_once()
    field.say(f"{jumps} jumps of the clock")
    found = _verdict(field, watch, AUTO_RELEASE, "slot.released", sizes.jumping)
    return {**found, "jumps": jumps}


def spread(field: Field, kind: str, from_at: datetime, length: timedelta) -> None:
    """Let the timers of real slots or releases fall due at random within a stretch of time."""
    table = "release" if kind == SECURITY_HOLD else "slot"
    statement = _SPREAD.format(table=table, known=f"'{table}:' || id")
    field.as_owner(statement, {"from_at": from_at, "length": length, "kind": kind})


def _scanner(field: Field, watch: Watch) -> Scanner:
    return Scanner(
        engine=field.engine,
        tenants=lambda: [field.tenant],
        handlers=watch.over(TIMERS),
        ring=watch.ring,
        begin_round=begin_round,
        remind=remind,
    )


def _scan_until(field: Field, kind: str, count: int) -> tuple[Watch, float]:
    """Let the worker's own loop run until all have rung; BenchTrouble if they never do."""
    watch, stop = Watch(), threading.Event()
    running = threading.Thread(target=_scanner(field, watch).run_forever, args=(stop,))
    began = time.monotonic()
    running.start()
    while len(watch.rung) < count and time.monotonic() < began + _PATIENCE_S:
        time.sleep(0.05)
        field.say(f"{kind}: {len(watch.rung):,} of {count:,} rang")
    seconds = time.monotonic() - began
    stop.set()
    running.join()
    return watch, seconds


def _verdict(field: Field, watch: Watch, kind: str, event: str, count: int) -> dict[str, Any]:
    """Each once, none early, all in due order, nothing left: or what was wrong."""
    events, subjects = field.ask(_EVENTS, event)
    left = field.ask(_LEFT, kind)[0]
    found = {
        "due": count,
        "fired": len(watch.rung),
        "twice": watch.count_twice() + events - subjects,
        "early": watch.count_early(GRACE),
        "out_of_order": watch.count_inversions(),
        "left": left,
    }
    if (
        found["fired"] != count
        or events != count
        or any(found[name] for name in ("twice", "early", "out_of_order", "left"))
    ):
        raise BenchTrouble(f"{kind}: {found}, {events} events {event}")
    return found
