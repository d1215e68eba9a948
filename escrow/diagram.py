"""The machines as pictures: Mermaid state diagrams drawn from the transition tables themselves.

`python -m escrow.diagram docs/machines` writes one page for each machine.
"""

import sys
from collections import defaultdict
from pathlib import Path
from types import MappingProxyType
from typing import Final

from escrow.machine import CONTRACTS, FUNDINGS, REFUNDS, RELEASES, Machine
from escrow.machine_claim import CLAIMS
from escrow.machine_dispute import DISPUTES
from escrow.machine_hourly import ENTRIES, LINE_DISPUTES, RUNS, WEEKS
from escrow.machine_retainer import DRAWDOWNS, PERIODS, RETAINERS
from escrow.machine_slot import SLOTS

MACHINES: Final = MappingProxyType(
    {
        "contract": CONTRACTS,
        "milestone": SLOTS,
        "funding": FUNDINGS,
        "refund": REFUNDS,
        "release": RELEASES,
        "dispute": DISPUTES,
        "retainer": RETAINERS,
        "period": PERIODS,
        "drawdown": DRAWDOWNS,
        "week": WEEKS,
        "time-entry": ENTRIES,
        "time-run": RUNS,
        "disputed-line": LINE_DISPUTES,
        "claim": CLAIMS,
    }
)


_ORIGIN: Final = (
    "Drawn by `make docs` from the very table that the program follows. A step not listed here is"
    " refused.\nThe API tells what is open now: `GET /v1/.../actions`."
)


def draw(machine: Machine) -> str:
    """One arrow for each pair of states, labelled with all the steps that lead along it."""
    arrows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (state, trigger), row in machine.items():
        arrows[state.value if state else "[*]", row.to.value].append(trigger.value)
    lines = [f"    {start} --> {end}: {', '.join(steps)}" for (start, end), steps in arrows.items()]
    starts = {start for start, end in arrows if start != end}
    ends = sorted({end for _, end in arrows} - starts)
    return "\n".join(["stateDiagram-v2", *lines, *(f"    {end} --> [*]" for end in ends)])


def page(name: str, machine: Machine) -> str:
    """The diagram and the table of one machine, as Markdown."""
    rows = [
        f"| {state.value if state else '-'} | {trigger.value} | {row.to.value}"
        f" | {', '.join(sorted(row.who))} | {', '.join(row.guards) or '-'}"
        f" | {', '.join(row.movement) or '-'} |"
        for (state, trigger), row in machine.items()
    ]
    head = "| from | step | to | who | what must hold | postings |\n|---|---|---|---|---|---|"
    picture = f"```mermaid\n{draw(machine)}\n```"
    return "\n\n".join([f"# The {name}", _ORIGIN, picture, "\n".join([head, *rows])]) + "\n"


def main(folder: str) -> None:
    """Write the pages into a folder, which is made if it lacks."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name, machine in MACHINES.items():
        (target / f"{name}.md").write_text(page(name, machine), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != len(("program", "folder")) or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m escrow.diagram FOLDER")
    main(sys.argv[1])
