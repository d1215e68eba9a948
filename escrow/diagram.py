"""The machines as pictures: Mermaid state diagrams drawn from the transition tables themselves."""

from collections import defaultdict
from types import MappingProxyType
from typing import Final

from escrow.machine import CONTRACTS, FUNDINGS, REFUNDS, RELEASES, Machine, Trigger
from escrow.machine_chargeback import CHARGEBACKS
from escrow.machine_claim import CLAIMS
from escrow.machine_dispute import DISPUTES
from escrow.machine_hourly import ENTRIES, LINE_DISPUTES, RUNS, WEEKS
from escrow.machine_hybrid import TERM_AMENDMENTS
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
        "term-amendment": TERM_AMENDMENTS,
        "week": WEEKS,
        "time-entry": ENTRIES,
        "time-run": RUNS,
        "disputed-line": LINE_DISPUTES,
        "claim": CLAIMS,
        "chargeback": CHARGEBACKS,
    }
)


_ORIGIN: Final = (
    "Drawn by `make docs` from the very table that the program follows. A step not listed here is"
    " refused.\nThe API tells what is open now: `GET /v1/.../actions`."
)


REOPENS: Final = frozenset(
    {
        Trigger.DISPUTE_OPENED,
        Trigger.REVERSE,
        *(Trigger.TURN_WON, Trigger.TURN_LOST, Trigger.TURN_PREVENTED),
    }
)
"""What wakes up what was over: a state that only these lead out of is an end all the same."""


def ends(machine: Machine) -> list[str]:
    """The states out of which nothing leads, in the order of their names."""
    states = {state for (start, _), row in machine.items() for state in (start, row.to) if state}
    left = {
        start
        for (start, trigger), row in machine.items()
        if row.to is not start and trigger not in REOPENS
    }
    return sorted(state.value for state in states - left)


def draw(machine: Machine) -> str:
    """One arrow for each pair of states, labelled with all the steps that lead along it."""
    arrows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (state, trigger), row in machine.items():
        arrows[state.value if state else "[*]", row.to.value].append(trigger.value)
    lines = [f"    {start} --> {end}: {', '.join(steps)}" for (start, end), steps in arrows.items()]
    if not any(start == "[*]" for start, _ in arrows):
        lines.insert(0, f"    [*] --> {next(iter(arrows))[0]}")
    last = [f"    {end} --> [*]" for end in ends(machine)]
    return "\n".join(["stateDiagram-v2", *lines, *last])


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
