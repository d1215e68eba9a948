"""Bulk posting, beside a COPY of the same rows, pgledger and a naive ORM ledger."""

from contextlib import closing
from dataclasses import dataclass
from random import Random
from typing import Final

from sqlalchemy import Engine

from kernel.database import Tenant
from loadtests.bench.bench import Bench, Contest, ask_pgledger, compare_with_pgledger
from loadtests.bench.measure import Meter, best_of
from loadtests.bench.naive import THREADS, NaiveLedger
from loadtests.bench.twin import Price, Twin
from loadtests.bench.workload import Load, draw, filling, post

_SEED: Final = 1

_NOTES: Final = (
    """copy: one connection, COPY BINARY of the rows that our posting wrote, packed beforehand,
    into a twin tenant with the same rows, with every trigger, key and constraint, and the one
    UPDATE of the accounts' balances that the checks at commit demand""",
    """copy_without_triggers: the same with all triggers off; copy_rows_only: without that UPDATE
    too. The distance to copy is the price of the guarantees""",
    "uniform: 2 lines, two of 10,000 accounts; hot: 3 lines, the third always on one fee account",
    "bulk posting runs from Python drafts to acknowledged commit; a batch is one transaction",
    "pgledger: the best of 1, 8 and 16 pgbench clients, prepared statements, one call per event",
)


@dataclass(frozen=True, slots=True)
class _Pair:
    """The tenant that is posted to, and its twin that is copied into."""

    engine: Engine
    tenant: Tenant
    twin: Twin
    random: Random

    def post_and_copy(self, load: Load, size: int, price: Price, ours: Meter, copy: Meter) -> None:
        """One batch by our service, then the same rows into the twin."""
        drafts = draw(load, size, self.random)
        with ours.running(size):
            post(self.engine, self.tenant, drafts)
        self.twin.write(self.twin.read_new(), price, copy, size)

    def fill(self, warm_lines: int) -> None:
        """Open the accounts and warm the tables, of both tenants."""
        for drafts in filling(warm_lines, self.random):
            post(self.engine, self.tenant, drafts)
        self.twin.catch_up()


def run(bench: Bench) -> None:
    """Measure all batch sizes of both loads, interleaved with the other contestants."""
    ground = bench.ground
    tenant, twin_tenant = ground.make_tenant("bulk"), ground.make_tenant("twin")
    with (
        ground.engine() as engine,
        closing(Twin(ground, tenant, twin_tenant)) as twin,
        closing(NaiveLedger(ground)) as naive,
    ):
        bench.say("bulk: filling the tables")
        pair = _Pair(engine, tenant, twin, Random(_SEED))
        pair.fill(bench.scale.warm_lines)
        ground.settle()
        _rounds(bench, pair, naive)
    for note in _NOTES:
        bench.figures.note(note)
    bench.figures.note(f"bulk and copy without a number: batches of {bench.scale.largest:,}")


def _rounds(bench: Bench, pair: _Pair, naive: NaiveLedger) -> None:
    scale, contest = bench.scale, Contest()
    for number in range(1, scale.rounds + 1):
        for load in Load:
            bench.say(f"bulk: round {number} of {scale.rounds}, {load.value}")
            for size in scale.repeats:
                _sample_size(bench, pair, contest, load, size)
            ask_pgledger(bench, contest, load)
            _ask_orm(bench, naive, contest, load)
    _compare(bench, contest)


def _sample_size(bench: Bench, pair: _Pair, contest: Contest, load: Load, size: int) -> None:
    largest = size == bench.scale.largest
    ours = Meter(bench.ground.backends())
    for price in Price if largest else (Price.ALL,):
        copy = Meter([pair.twin.backend(price)])
        for _ in range(bench.scale.repeats[size]):
            pair.post_and_copy(load, size, price, ours, copy)
        contest.add(f"{price.value}{_label(bench, size)}_{load.value}", copy.sample())
    contest.add(f"bulk{_label(bench, size)}_{load.value}", ours.sample())


def _ask_orm(bench: Bench, naive: NaiveLedger, contest: Contest, load: Load) -> None:
    for threads in THREADS:
        sample = naive.run(load, threads=threads, seconds=bench.scale.orm_s)
        contest.add(f"orm{threads}_{load.value}", sample)


def _label(bench: Bench, size: int) -> str:
    """The headline figures are of the largest batch and carry no number."""
    return "" if size == bench.scale.largest else str(size)


def _compare(bench: Bench, contest: Contest) -> None:
    figures = bench.figures
    for load in Load:
        orm = best_of("orm", [contest[f"orm{each}_{load.value}"] for each in THREADS])
        names = [f"bulk{_label(bench, size)}_{load.value}" for size in bench.scale.repeats]
        for size, name in zip(bench.scale.repeats, names, strict=True):
            copy = contest[f"copy{_label(bench, size)}_{load.value}"]
            figures.add_ratio(contest[name], copy, f"{name}_over_copy")
        compare_with_pgledger(bench, contest, load, names)
        for name in names:
            figures.add_ratio(contest[name], orm, f"{name}_over_orm")
        suffix = "" if load is Load.UNIFORM else f"_{load.value}"
        for price in (Price.NO_TRIGGERS, Price.ROWS_ONLY):
            figures.add_ratio(
                contest[f"{price.value}_{load.value}"],
                contest[f"copy_{load.value}"],
                f"{price.value}_over_copy{suffix}",
            )
    figures.add_series(*contest.series.values())
