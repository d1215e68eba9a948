"""`python -m loadtests.bench`: measure, print the ratios, prove the books."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import click
from rich.console import Console
from rich.status import Status

from kernel.settings import CannotStart
from loadtests.bench import asof, bulk, callers, growth, quote, release, sealing
from loadtests.bench.bench import Bench
from loadtests.bench.figures import Figures
from loadtests.bench.ground import Ground, describe, open_ground
from loadtests.bench.measure import quiet_the_collector
from loadtests.bench.pgledger import PgLedger
from loadtests.bench.scale import FULL, QUICK, Scale
from loadtests.bench.workload import BenchTrouble

PARTS: Final = MappingProxyType(
    {
        "bulk": bulk.run,
        "callers": callers.run,
        "release": release.run,
        "growth": growth.run,
        "asof": asof.run,
        "sealing": sealing.run,
        "quote": quote.run,
    }
)
USUAL: Final = ("bulk", "callers", "release")
"""What runs when no part is named; growing to ten million lines takes long."""

_BUSY: Final = 0.5


@click.command()
@click.option(
    "--pgledger",
    "pgledger_files",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="Compare with pgledger: its SQL files, in the order in which they are loaded.",
)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--quick", is_flag=True, help="Some two minutes; the ratios are rough.")
@click.option("--only", type=click.Choice(list(PARTS)), multiple=True, help="Only these parts.")
@click.option("--growth", "is_growing", is_flag=True, help="Also grow the books; long.")
@click.option("--trial-lines", type=click.IntRange(min=1_000), help="Lines of a trial balance.")
@click.option("--timers", type=click.IntRange(min=1), help="How many timers fall due at once.")
@click.option("--rounds", type=click.IntRange(min=1), help="How many interleaved rounds.")
def main(
    pgledger_files: tuple[Path, ...],
    json_file: Path | None,
    only: tuple[str, ...],
    trial_lines: int | None,
    timers: int | None,
    rounds: int | None,
    *,
    quick: bool,
    is_growing: bool,
) -> None:
    """Measure Holdfast beside COPY, a naive ORM ledger and pgledger, on a server of its own."""
    scale = QUICK if quick else FULL
    scale = replace(scale, timers=timers or scale.timers, rounds=rounds or scale.rounds)
    scale = replace(scale, trial_lines=(trial_lines,) if trial_lines else scale.trial_lines)
    parts = only or (*USUAL, *(("growth",) if is_growing else ()))
    console, figures = Console(), Figures()
    figures.note(quiet_the_collector())
    if (busy := os.getloadavg()[0]) > _BUSY:
        figures.note(f"other programs kept the machine busy (load average {busy:.1f} at the start)")
    try:
        with open_ground() as ground:
            say = _progress()
            found = measure(ground, scale, parts, pgledger_files, figures=figures, say=say)
            found["machine"] = describe(ground)
    except (CannotStart, BenchTrouble) as trouble:
        raise click.ClickException(str(trouble)) from trouble
    _show(console, figures, found)
    if json_file is not None:
        text = json.dumps({**figures.as_json(), **found}, indent=2)
        json_file.write_text(text + "\n", encoding="utf-8")
    if not found["proven"]:
        sys.exit(1)


def measure(
    ground: Ground,
    scale: Scale,
    parts: Sequence[str],
    pgledger_files: Sequence[Path],
    *,
    figures: Figures,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Run the parts into `figures`, then prove the books of every tenant that they used."""
    pgledger = None
    if pgledger_files and {"bulk", "callers"} & set(parts):
        say("pgledger: filling its tables")
        pgledger = PgLedger(ground, pgledger_files, warm_entries=scale.warm_lines)
    for part in parts:
        PARTS[part](Bench(ground, scale, figures, say, pgledger))
    if pgledger is not None:
        pgledger.close()
    findings = {}
    for tenant in ground.tenants:
        say(f"proving the books of {tenant.name}")
        findings[tenant.name] = ground.prove(tenant).as_json()
    return {
        "deadlocks": ground.count_deadlocks(),
        "proven": all(proof["clean"] for proof in findings.values()),
        "proofs": findings,
    }


def _progress() -> Callable[[str], None]:
    """One line that changes, on a terminal only."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return lambda _sentence: None
    status = Status("starting", console=console)
    status.start()
    return status.update


def _show(console: Console, figures: Figures, found: dict[str, Any]) -> None:
    figures.show(console)
    for name, value in found["machine"].items():
        console.print(f"{name}: {value}", highlight=False)
    console.print(f"deadlocks: {found['deadlocks']}", highlight=False)
    for tenant, proof in found["proofs"].items():
        verdict = "proven" if proof["clean"] else f"NOT PROVEN: {proof['findings']}"
        console.print(f"books of {tenant}: {proof['counts']['line']:,} lines, {verdict}")


if __name__ == "__main__":
    main()
