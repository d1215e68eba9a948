"""`python -m loadtests.timers`: a million clocks, how late they ring, and how a backlog goes."""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import click
from rich.console import Console

from kernel import clock
from kernel.database import transaction
from kernel.settings import CannotStart
from loadtests.bench.deals import open_market
from loadtests.bench.ground import Ground, describe, open_ground
from loadtests.bench.measure import quiet_the_collector
from loadtests.bench.workload import BenchTrouble
from loadtests.timers.parts import Field, Sizes, run_backlog, run_due, run_jumps

LATE_P99_S: Final = 5.0
DRAINED_S: Final = 300.0

_PEOPLE: Final = 500


@click.command()
@click.option("--fraction", type=click.FloatRange(0.0001, 1.0), default=1.0, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
def main(fraction: float, seed: int, json_file: Path | None) -> None:
    """Ring a million clocks on a server of its own; exit 1 if one rang early, twice or never."""
    console = Console()
    console.print(quiet_the_collector(), f"Load average {os.getloadavg()[0]:.1f} at the start.")
    try:
        with open_ground() as ground:
            found = measure(ground, Sizes().part(fraction), seed, say=_progress())
            found["machine"] = describe(ground)
    except (CannotStart, BenchTrouble) as trouble:
        raise click.ClickException(str(trouble)) from trouble
    found["fraction"] = fraction
    _show(console, found)
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if not found["proven"]:
        sys.exit(1)


def measure(
    ground: Ground, sizes: Sizes, seed: int, *, say: Callable[[str], None]
) -> dict[str, Any]:
    """All parts, each checked; then the books of both tenants are proven."""
    random = Random(seed)
    with ground.engine() as engine:
        live = ground.make_tenant("timers")
        field = Field(ground, engine, open_market(engine, live, _PEOPLE, at=_now()), say)
        found: dict[str, Any] = {"due": run_due(field, sizes, random)}
        found["backlog"] = run_backlog(field, sizes)
        sandbox = ground.make_tenant("jumps")
        with transaction(engine, sandbox) as connection:
            clock.make_sandbox(connection, at=_now())
        leaping = Field(ground, engine, open_market(engine, sandbox, _PEOPLE, at=_now()), say)
        found["jumps"] = run_jumps(leaping, sizes, random)
    say("proving the books")
    proofs = [ground.prove(tenant) for tenant in ground.tenants]
    found["proven"] = all(proof.is_clean for proof in proofs)
    found["deadlocks"] = ground.count_deadlocks()
    return found


def _now() -> datetime:
    return datetime.now(UTC)


def _progress() -> Callable[[str], None]:
    """One line that changes, on a terminal only."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return lambda _sentence: None
    status = console.status("starting")
    status.start()
    return status.update


def _show(console: Console, found: dict[str, Any]) -> None:
    due, backlog, jumps = found["due"], found["backlog"], found["jumps"]
    console.print(
        f"{due['due']:,} of {due['pending']:,} timers due in {due['window_s']:.0f} s: each rang"
        f" once, none early; late p50 {due['late_p50_s']} s, p99 {due['late_p99_s']} s,"
        f" worst {due['late_worst_s']} s (to reach: p99 {LATE_P99_S:.0f} s);"
        f" {due['reminded']:,} reminders meanwhile"
    )
    console.print(
        f"{backlog['due']:,} overdue: drained in {backlog['took_s']} s, {backlog['per_s']:,} a"
        f" second, in due order (to reach: 100,000 in {DRAINED_S:.0f} s)"
    )
    console.print(f"{jumps['due']:,} under {jumps['jumps']} jumps of the clock: none early")
    for name, value in found["machine"].items():
        console.print(f"{name}: {value}", highlight=False)
    console.print(f"deadlocks: {found['deadlocks']}; books proven: {found['proven']}")


if __name__ == "__main__":
    main()
