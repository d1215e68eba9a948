"""Releasing slots through the escrow service, and auto-release by timers, beside plain posting.

And the same releases with all that a price can have.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from typing import Final

from sqlalchemy import Connection, Engine

from engine.scanner import Scanner
from escrow import service, timers
from kernel.database import Tenant, transaction
from kernel.timers import DueTimer
from loadtests.bench import priced
from loadtests.bench.bench import Bench, Contest
from loadtests.bench.deals import Market, OpenSlot, open_market
from loadtests.bench.measure import Meter, Sample
from loadtests.bench.workload import BenchTrouble, Load, draw, filling, post

_SEED: Final = 4
AUTO_RELEASE: Final = "escrow.auto_release"
_CHUNKS_PER_STRETCH: Final = 10

# Long enough ago that every review is over by now.
_AGO: Final = timedelta(days=20)

_NOTES: Final = (
    """release: slots approved by their clients through the escrow service, each with states, lots,
    events, timers and the entries of both books; its lines per second over those of plain posting
    in batches of the same number of events""",
    """autorelease: the scanner fires timers that all fell due at once, chunks of 1,000, claim and
    posting in one transaction; by turns with the release of other slots""",
)


@dataclass(slots=True)
class _Stretch:
    """Lets the scanner fire some chunks and then stops it."""

    left: int = _CHUNKS_PER_STRETCH
    stop: threading.Event = field(default_factory=threading.Event)

    def fire(self, connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
        """The engine's own handler, counted."""
        self.left -= 1
        if self.left <= 0:
            self.stop.set()
        return timers.auto_release(connection, due, at)


def run(bench: Bench) -> None:
    """Release, post and fire by turns; every timer must fire once."""
    with bench.ground.engine() as engine:
        _run(bench, engine, bench.ground.make_tenant("release"), Random(_SEED))
        priced.run(bench, engine)
    for note in _NOTES:
        bench.figures.note(note)


def _run(bench: Bench, engine: Engine, tenant: Tenant, random: Random) -> None:
    scale = bench.scale
    bench.say("release: filling the tables")
    for drafts in filling(scale.warm_lines, random):
        post(engine, tenant, drafts)
    begun = datetime.now(UTC) - _AGO
    market = open_market(engine, tenant, scale.deals, at=begun)
    approved = market.make_slots(_count(bench), random, at=datetime.now(UTC), say=bench.say)
    market.make_slots(scale.timers, random, at=begun, say=bench.say)
    random.shuffle(approved)
    bench.ground.settle()
    contest, slots = Contest(), iter(approved)
    _release_and_post(bench, market, contest, slots, random)
    fired = _fire_and_release(bench, market, contest, slots)
    _check_once(market, len(approved) - len(list(slots)), scale.timers, fired)
    _compare(bench, contest, fired)


def _count(bench: Bench) -> int:
    """How many slots are released by their clients: in the rounds, and beside the timers."""
    scale = bench.scale
    stretches = -(-scale.timers // (_CHUNKS_PER_STRETCH * 1_000))
    return (scale.rounds + stretches) * scale.release_batches * scale.release_batch


def _release_and_post(
    bench: Bench, market: Market, contest: Contest, slots: Iterator[OpenSlot], random: Random
) -> None:
    """Rounds of release and of plain posting; both are kept per event and per line."""
    scale = bench.scale
    for number in range(1, scale.rounds + 1):
        bench.say(f"release: round {number} of {scale.rounds}")
        pids = bench.ground.backends()
        before = _count_lines(market)
        released = _release(bench, market, slots, pids)
        contest.add("release", released)
        contest.add("release_lines", replace(released, operations=_count_lines(market) - before))
        posting = Meter(pids)
        for _ in range(scale.release_batches):
            drafts = draw(Load.UNIFORM, scale.release_batch, random)
            with posting.running(scale.release_batch * Load.UNIFORM.lines):
                post(market.engine, market.tenant, drafts)
        contest.add("post_lines", posting.sample())


def _release(
    bench: Bench, market: Market, slots: Iterator[OpenSlot], pids: Sequence[int]
) -> Sample:
    """Some batches of approvals, each a transaction of its own."""
    scale = bench.scale
    meter = Meter(pids)
    for _ in range(scale.release_batches):
        commands = [slot.approval() for slot in islice(slots, scale.release_batch)]
        with meter.running(len(commands)):
            market.do(service.approve, commands, datetime.now(UTC))
    return meter.sample()


def _fire_and_release(
    bench: Bench, market: Market, contest: Contest, slots: Iterator[OpenSlot]
) -> int:
    """Fire all that is due, a stretch of chunks by turns with a release; how many fired."""
    fired = 0
    while True:
        bench.say(f"auto-release: {fired:,} of {bench.scale.timers:,} timers")
        pids = bench.ground.backends()
        stretch = _Stretch()
        scanner = Scanner(
            engine=market.engine,
            tenants=lambda: [market.tenant],
            handlers={AUTO_RELEASE: stretch.fire},
        )
        meter = Meter(pids)
        with meter.running(0):
            meter.operations = scanner.fire_due(market.tenant, stretch.stop)[AUTO_RELEASE]
        if not meter.operations:
            return fired
        fired += meter.operations
        contest.add("autorelease", meter.sample())
        contest.add("release_beside", _release(bench, market, slots, pids))


def _count_lines(market: Market) -> int:
    with transaction(market.engine, market.tenant) as connection:
        statement = "SELECT coalesce(sum(line_count), 0)::bigint FROM batch"
        return int(connection.exec_driver_sql(statement).scalar_one())


def _check_once(market: Market, released: int, due: int, fired: int) -> None:
    """Every slot was released once: as many releases as slots, and no review timer is left."""
    with transaction(market.engine, market.tenant) as connection:
        releases, slots = connection.exec_driver_sql(
            "SELECT count(*), count(DISTINCT slot_id) FROM release"
        ).one()
        left = connection.exec_driver_sql(
            "SELECT count(*) FROM timer WHERE kind = %s", (AUTO_RELEASE,)
        ).scalar_one()
    if fired != due or left or not releases == slots == released + due:
        raise BenchTrouble(
            f"{due} timers were due, {fired} fired, {left} are left; {slots} slots of"
            f" {released + due} have {releases} releases"
        )


def _compare(bench: Bench, contest: Contest, fired: int) -> None:
    figures = bench.figures
    figures.add_ratio(
        contest["release_lines"], contest["post_lines"], "release_lines_over_post_lines"
    )
    figures.add_ratio(contest["autorelease"], contest["release_beside"], "autorelease_over_release")
    figures.add_series(*contest.series.values())
    figures.facts["autorelease_fired"] = fired
