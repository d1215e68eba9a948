"""`python -m loadtests.reconcile --lines 100000`: the books against as many statement lines.

Two sizes, a quarter and the whole: each is booked, taken in as statement lines with one defect in a
hundred, and matched by a process of its own, whose seconds and highest memory are told.
"""

import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from kernel.database import Tenant, connect, transaction
from kernel.errors import Refusal
from kernel.principals import SYSTEM
from kernel.settings import CannotStart
from ledger.chart import account
from ledger.model import Book, Draft, Entry, Line
from ledger.service import post
from loadtests.bench.ground import Ground, describe, open_ground
from migrations import runner
from rails.statements.model import StatementLine
from reconciliation import service, service_matching
from reconciliation.commands import RunMatching

GOAL_S: Final = 60.0
START: Final = datetime(2025, 1, 1, 12, tzinfo=UTC)
RAIL: Final = "loadtest"
_AT_ONCE: Final = 2_000

Say = Callable[[str], None]


@click.command()
@click.option("--lines", type=click.IntRange(100), default=100_000, show_default=True)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
def main(lines: int, json_file: Path | None) -> None:
    """Match on a server of its own; exit 1 if something was matched wrongly or left out."""
    console = Console()
    try:
        with open_ground() as ground:
            found: dict[str, Any] = {
                "sizes": [
                    measure(ground, size, say=lambda told: console.print(told, style="dim"))
                    for size in (lines // 4, lines)
                ],
                "machine": describe(ground),
            }
    except CannotStart as trouble:
        raise click.ClickException(str(trouble)) from trouble
    for each in found["sizes"]:
        console.print(
            f"{each['lines']:,} lines against {each['items']:,} items: {each['matched']:,} matched"
            f" in {each['seconds']:.1f} s, at most {each['peak_mib']:.0f} MiB"
            f" ({each['idle_mib']:.0f} MiB before)"
        )
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    whole = found["sizes"][-1]
    console.print(f"Goal: {GOAL_S:.0f} s for 100,000 against 100,000.")
    if not all(each["is_right"] for each in found["sizes"]):
        sys.exit(1)
    assert whole["lines"] > 0


def measure(ground: Ground, size: int, *, say: Say) -> dict[str, Any]:
    """One size: booked, taken in, matched; and whether what was matched is what should be."""
    tenant = ground.make_tenant(f"reconcile_{size}")
    url = ground.server.url(ground.database, runner.APP)
    engine = connect(url)
    try:
        say(f"{size:,}: booking")
        for first in range(0, size, _AT_ONCE):
            with transaction(engine, tenant) as connection:
                drafts = [_draft(number, size) for number in range(first, first + _AT_ONCE)]
                answers = post(connection, drafts[: size - first])
                refused = [each for each in answers if isinstance(each, Refusal)]
                assert not refused, refused[:1]
        say(f"{size:,}: taking statement lines in")
        expected = 0
        for first in range(0, size, 10 * _AT_ONCE):
            numbers = range(first, min(size, first + 10 * _AT_ONCE))
            lines = [line for number in numbers for line in _lines(number, size)]
            expected += sum(number % 100 != 1 for number in numbers)
            with transaction(engine, tenant) as connection:
                here = service.account_of(connection, RAIL, "EUR", actor=SYSTEM, at=START)
                service.take_lines(connection, here, lines, "rail.log", actor=SYSTEM, at=START)
    finally:
        engine.dispose()
    ground.settle()
    say(f"{size:,}: matching")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found: dict[str, Any] = pool.apply(match_all, (url, tenant.name))
    found["expected"] = expected
    found["is_right"] = found["matched"] == expected
    return found


def match_all(url: str, tenant_name: str) -> dict[str, Any]:
    """Run the rules once over all that is open; in a process of its own, for its memory."""
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    engine = connect(url)
    tenant = Tenant(tenant_name)
    command = RunMatching(actor=SYSTEM, place="processor", rail_account=RAIL, currency="EUR")
    began = time.perf_counter()
    with transaction(engine, tenant) as connection:
        (outcome,) = service_matching.run_matching(connection, [command], at=START)
    seconds = time.perf_counter() - began
    engine.dispose()
    counts = outcome.facts["counts"]
    return {
        "lines": outcome.facts["lines"],
        "items": outcome.facts["items"],
        "counts": counts,
        "matched": sum(number for rule, number in counts.items() if "proposed" not in rule),
        "seconds": round(seconds, 2),
        "idle_mib": idle / 1024,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _at(number: int, size: int) -> datetime:
    return START + timedelta(days=number * 365 // size)


def _name(number: int) -> str:
    """Time first, as our own ids have it."""
    return f"{1_735_732_800_000 + number:012x}7{sha256(str(number).encode()).hexdigest()[:19]}"


def _draft(number: int, size: int) -> Draft:
    minor = 1_000 + number % 9_973
    lines = (
        Line(account("custody.processor_available", "EUR", RAIL), minor),
        Line(account("custody.fx", "EUR"), -minor),
    )
    entry = Entry(Book.CUSTODY, "EUR", lines)
    detail = {"transaction": _name(number)}
    return Draft("loadtest.moved", "", SYSTEM, _at(number, size), (entry,), detail=detail)


def _lines(number: int, size: int) -> list[StatementLine]:
    """A line a day later; one in a hundred is missing, doubled, or has its reference cut short."""
    on = (_at(number, size) + timedelta(days=1)).date()
    name, defect = _name(number), number % 100
    if defect == 1:
        return []
    told = name[:20] if defect == 2 else name
    found = [_line(f"log:{number}", told, 1_000 + number % 9_973, on)]
    if defect == 3:
        found.append(_line(f"log:{number}:again", name, 1_000 + number % 9_973, on))
    return found


def _line(ref: str, end_to_end: str, minor: int, on: date) -> StatementLine:
    return StatementLine(
        amount_minor=minor,
        currency="EUR",
        booked_on=on,
        value_on=on,
        ref=ref,
        own_id=ref,
        end_to_end_id=end_to_end,
    )


if __name__ == "__main__":
    main()
