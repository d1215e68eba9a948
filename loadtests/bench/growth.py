"""What posting costs when the books have grown: beside a tenant that stays small, interleaved."""

from random import Random
from typing import Final

from sqlalchemy import Engine

from kernel.database import Tenant
from loadtests.bench.bench import Bench, Contest
from loadtests.bench.measure import Meter
from loadtests.bench.workload import Load, draw, filling, post

_SEED: Final = 3
_GROWN_BY: Final = 10_000


def run(bench: Bench) -> None:
    """Grow a tenant step by step; after each compare it with a small one made for the step."""
    with bench.ground.engine() as engine:
        _grow(bench, engine, bench.ground.make_tenant("grown"), Random(_SEED))
    bench.figures.note(
        "growth: uniform batches of the largest size, into a grown and a small tenant by turns"
    )


def _grow(bench: Bench, engine: Engine, grown: Tenant, random: Random) -> None:
    smallest, *sizes = bench.scale.growth_lines
    _fill(bench, engine, grown, smallest, random)
    lines = smallest
    for size in sizes:
        while lines < size:
            bench.say(f"growth: {lines:,} of {size:,} lines")
            count = min(_GROWN_BY, -(-(size - lines) // Load.UNIFORM.lines))
            post(engine, grown, draw(Load.UNIFORM, count, random))
            lines += count * Load.UNIFORM.lines
        small = bench.ground.make_tenant(f"small{_short(size)}")
        _fill(bench, engine, small, smallest, random)
        bench.ground.settle()
        lines += _measure(bench, engine, {"grown": grown, "small": small}, size, random)


def _fill(bench: Bench, engine: Engine, tenant: Tenant, warm_lines: int, random: Random) -> None:
    bench.say(f"growth: filling {tenant.name}")
    for drafts in filling(warm_lines, random):
        post(engine, tenant, drafts)


def _measure(
    bench: Bench, engine: Engine, tenants: dict[str, Tenant], size: int, random: Random
) -> int:
    """The rounds at one size; how many lines the grown tenant took by them."""
    contest = Contest()
    smallest, batch = bench.scale.growth_lines[0], bench.scale.largest
    names = {"grown": f"grown{_short(size)}", "small": f"small{_short(size)}"}
    for number in range(1, bench.scale.rounds + 1):
        bench.say(f"growth: {size:,} lines, round {number} of {bench.scale.rounds}")
        for which, tenant in tenants.items():
            drafts = draw(Load.UNIFORM, batch, random)
            meter = Meter(bench.ground.backends())
            with meter.running(batch):
                post(engine, tenant, drafts)
            contest.add(names[which], meter.sample())
    ratio_name = f"growth_{_short(size)}_over_{_short(smallest)}"
    bench.figures.add_ratio(contest[names["grown"]], contest[names["small"]], ratio_name)
    bench.figures.add_series(*contest.series.values())
    return bench.scale.rounds * batch * Load.UNIFORM.lines


def _short(lines: int) -> str:
    """100,000 as 1e5, other numbers as they are."""
    digits = str(lines)
    return f"1e{len(digits) - 1}" if digits.strip("0") == "1" else digits
