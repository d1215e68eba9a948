"""Concurrent callers of the ledger in one process, through the group commit."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count, cycle
from random import Random
from statistics import median
from typing import Final

import uvloop

from engine.group_commit import Door, GroupCommit
from kernel.idempotency import IdempotencyKey
from ledger.commands import PostDraft
from ledger.correction import post_drafts
from loadtests.bench.bench import Bench, Contest, ask_pgledger, compare_with_pgledger
from loadtests.bench.measure import Meter, Sample, percentile
from loadtests.bench.workload import ACTOR, BenchTrouble, Load, draw, filling, post

SERVICE: Final = "ledger.post"

_SEED: Final = 2
_POOL: Final = 10_000
_WARM_SHARE: Final = 0.1

_NOTE: Final = (
    "callersN: N coroutines of one process, each posts one draft with an idempotency key, waits"
    " for the durable answer and goes on; group commit, closed loop, uvloop. Latency is as the"
    " coroutine sees it. pgledger keeps no key"
)


@dataclass(slots=True)
class Loop:
    """The closed loop of all callers over some seconds."""

    group: GroupCommit
    commands: Iterator[PostDraft]
    numbers: Iterator[int]
    seconds: float
    latencies_ms: list[float] = field(default_factory=list)
    operations: int = 0

    async def run(self, callers: int) -> None:
        """All callers until the time is over."""
        began = time.perf_counter()
        warm, until = began + self.seconds * _WARM_SHARE, began + self.seconds
        await asyncio.gather(*(self._call(warm, until) for _ in range(callers)))

    async def _call(self, warm: float, until: float) -> None:
        while (start := time.perf_counter()) < until or not self.latencies_ms:
            key = IdempotencyKey(ACTOR.principal_id, f"bench-{next(self.numbers)}", bytes(32))
            outcome = await self.group.submit_async(SERVICE, next(self.commands), key=key)
            if not outcome.is_done:
                raise BenchTrouble(f"a caller was refused: {outcome.code} {outcome.facts}")
            self.operations += 1
            if start >= warm:
                self.latencies_ms.append((time.perf_counter() - start) * 1_000)


def run(bench: Bench) -> None:
    """Measure every number of callers with both loads, interleaved with pgledger."""
    tenant, random = bench.ground.make_tenant("callers"), Random(_SEED)
    with bench.ground.engine() as engine:
        bench.say("callers: filling the tables")
        for drafts in filling(bench.scale.warm_lines, random):
            post(engine, tenant, drafts)
        bench.ground.settle()
        doors = {SERVICE: Door(post_drafts, lambda _command: ())}
        with closing(GroupCommit(engine, tenant, doors)) as group:
            _rounds(bench, group, random)
    bench.figures.note(_NOTE)


def _rounds(bench: Bench, group: GroupCommit, random: Random) -> None:
    scale, contest, numbers = bench.scale, Contest(), count()
    latencies: dict[str, list[tuple[float, float]]] = {}
    for number in range(1, scale.rounds + 1):
        for load in Load:
            commands = [PostDraft(actor=ACTOR, draft=each) for each in draw(load, _POOL, random)]
            for callers in scale.callers:
                name = f"callers{callers}_{load.value}"
                bench.say(f"callers: round {number} of {scale.rounds}, {load.value}, {callers}")
                loop = Loop(group, cycle(commands), numbers, scale.callers_s)
                contest.add(name, _sample(bench, loop, callers))
                latencies.setdefault(name, []).append(_tails(loop.latencies_ms))
            ask_pgledger(bench, contest, load)
    _compare(bench, contest, latencies)


def _sample(bench: Bench, loop: Loop, callers: int) -> Sample:
    meter = Meter(bench.ground.backends())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, meter.running(0):
        runner.run(loop.run(callers))
    meter.operations = loop.operations
    return meter.sample()


def _tails(latencies_ms: Sequence[float]) -> tuple[float, float]:
    return percentile(latencies_ms, 0.5), percentile(latencies_ms, 0.99)


def _compare(
    bench: Bench, contest: Contest, latencies: dict[str, list[tuple[float, float]]]
) -> None:
    names = [f"callers{each}" for each in bench.scale.callers]
    for load in Load:
        compare_with_pgledger(bench, contest, load, [f"{name}_{load.value}" for name in names])
    for name, tails in latencies.items():
        bench.figures.facts[f"{name}_p50_ms"] = round(median(tail[0] for tail in tails), 2)
        bench.figures.facts[f"{name}_p99_ms"] = round(median(tail[1] for tail in tails), 2)
    bench.figures.add_series(*(contest[each] for each in latencies))
