"""What sealing costs those who post: sixteen callers, and large batches, with and without it.

The sealer is a process of its own, as in production. A round posts once while it runs and once
while it stands still; what waits then is sealed before the next one, outside any measurement.
"""

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count, cycle
from multiprocessing.synchronize import Event
from random import Random
from typing import Final

import uvloop
from sqlalchemy import Engine

from engine.group_commit import Door, GroupCommit
from engine.sealer import Sealer, seal_all
from engine.signer import SignerAway
from kernel.database import Tenant, connect
from ledger.commands import PostDraft
from ledger.correction import post_drafts
from loadtests.bench.bench import Bench, Contest
from loadtests.bench.callers import SERVICE, Loop
from loadtests.bench.measure import Meter, Sample
from loadtests.bench.workload import ACTOR, BenchTrouble, Load, draw, filling, post
from migrations import runner

_SEED: Final = 8
_CALLERS: Final = 16
_POOL: Final = 10_000
_PAUSE_S: Final = 0.2

_LAG: Final = """
SELECT percentile_cont(0.99) WITHIN GROUP (ORDER BY b.sealed_at - e.recorded_at),
       max(b.sealed_at - e.recorded_at), count(*)
FROM event e
JOIN seal s ON s.event_id = e.id
JOIN block b ON b.no = (SELECT min(no) FROM block WHERE last_journal_no >= s.journal_no)
WHERE s.journal_no > %s
"""

_NOTE: Final = (
    "sealing: the same posting with the sealer at work on the same tenant, over posting while it"
    " stands still; cells of large accounts are written by the sealer. The lag is from the time an"
    " event bears to the time its block bears, while sixteen callers post"
)


def run(bench: Bench) -> None:
    """Sixteen callers and batches of the largest size, each with and without the sealer."""
    tenant, random = bench.ground.make_tenant("sealing"), Random(_SEED)
    with bench.ground.engine() as engine:
        bench.say("sealing: filling the tables")
        for drafts in filling(bench.scale.warm_lines, random):
            post(engine, tenant, drafts)
        seal_all(engine, tenant)
        bench.ground.settle()
        with _sealer(bench, tenant) as is_running:
            _rounds(bench, engine, tenant, is_running, random)
        seal_all(engine, tenant)
        _check_all_sealed(bench, tenant)
    bench.figures.note(_NOTE)


def _rounds(
    bench: Bench, engine: Engine, tenant: Tenant, is_running: Event, random: Random
) -> None:
    contest, numbers = Contest(), count()
    lags: list[float] = []
    for number in range(1, bench.scale.rounds + 1):
        orders = [True, False] if number % 2 else [False, True]
        for is_sealing in orders:
            seal_all(engine, tenant)
            before = _size(bench, tenant)
            bench.say(f"sealing: round {number}, {'with' if is_sealing else 'without'} the sealer")
            with _set(is_running, to=is_sealing):
                suffix = "sealing" if is_sealing else "standing"
                contest.add(f"callers16_{suffix}", _call(bench, engine, tenant, numbers, random))
                if is_sealing:
                    # What came last may still wait; its lag counts, too.
                    seal_all(engine, tenant)
                    lags.append(_lag_s(bench, tenant, before))
                contest.add(f"bulk_{suffix}", _post(bench, engine, tenant, random))
    for work in ("callers16", "bulk"):
        name = f"{work}_sealing_over_standing"
        bench.figures.add_ratio(contest[f"{work}_sealing"], contest[f"{work}_standing"], name)
    bench.figures.add_series(*contest.series.values())
    bench.figures.facts["seal_lag_p99_s"] = round(max(lags), 3)


def _call(
    bench: Bench, engine: Engine, tenant: Tenant, numbers: Iterator[int], random: Random
) -> Sample:
    commands = [PostDraft(actor=ACTOR, draft=each) for each in draw(Load.UNIFORM, _POOL, random)]
    meter = Meter(bench.ground.backends())
    doors = {SERVICE: Door(post_drafts, lambda _command: ())}
    with closing(GroupCommit(engine, tenant, doors)) as group:
        loop = Loop(group, cycle(commands), numbers, bench.scale.callers_s)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, meter.running(0):
            runner.run(loop.run(_CALLERS))
    meter.operations = loop.operations
    return meter.sample()


def _post(bench: Bench, engine: Engine, tenant: Tenant, random: Random) -> Sample:
    size = bench.scale.largest
    batches = [draw(Load.UNIFORM, size, random) for _ in range(bench.scale.repeats[size])]
    meter = Meter(bench.ground.backends())
    for drafts in batches:
        with meter.running(size):
            post(engine, tenant, drafts)
    return meter.sample()


@contextmanager
def _sealer(bench: Bench, tenant: Tenant) -> Iterator[Event]:
    """A sealer in a process of its own; it works while the event is set."""
    spawn = multiprocessing.get_context("spawn")
    is_running, is_over = spawn.Event(), spawn.Event()
    url = bench.ground.server.url(bench.ground.database, runner.APP)
    process = spawn.Process(target=_seal, args=(url, tenant.name, is_running, is_over))
    process.start()
    try:
        yield is_running
    finally:
        is_over.set()
        is_running.set()
        process.join()
    if process.exitcode:
        raise BenchTrouble("the sealer's process ended badly")


def _seal(url: str, name: str, is_running: Event, is_over: Event) -> None:
    engine = connect(url, pool_size=2)
    sealer = Sealer(engine, lambda: [Tenant(name)], _no_signer)
    while not is_over.is_set():
        if is_running.wait(_PAUSE_S) and not sealer.run_once(is_over):  # type: ignore[arg-type]
            is_over.wait(_PAUSE_S)
    engine.dispose()


def _no_signer(_request: object) -> dict[str, object]:
    raise SignerAway("the bench signs nothing")


@contextmanager
def _set(event: Event, *, to: bool) -> Iterator[None]:
    if to:
        event.set()
    try:
        yield
    finally:
        event.clear()


def _size(bench: Bench, tenant: Tenant) -> int:
    with bench.ground.admin() as admin:
        row = admin.execute(
            f"SELECT coalesce(max(journal_no), 0) FROM {tenant.schema}.seal".encode()
        ).fetchone()
    return int(row[0]) if row else 0


def _lag_s(bench: Bench, tenant: Tenant, before: int) -> float:
    """Seconds from an event's time to its block's, the 99th of a hundred; of what is sealed."""
    with bench.ground.admin() as admin:
        admin.execute(f"SET search_path TO {tenant.schema}".encode())
        row = admin.execute(_LAG, (before,)).fetchone()
    if row is None or row[0] is None:
        raise BenchTrouble("the sealer sealed nothing while sixteen callers posted")
    return float(row[0].total_seconds())


def _check_all_sealed(bench: Bench, tenant: Tenant) -> None:
    with bench.ground.admin() as admin:
        admin.execute(f"SET search_path TO {tenant.schema}".encode())
        row = admin.execute(
            "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM seal),"
            " (SELECT max(journal_no) FROM seal)"
        ).fetchone()
    if row is None or len(set(row)) != 1:
        raise BenchTrouble(f"events, seals and the newest number differ: {row}")
