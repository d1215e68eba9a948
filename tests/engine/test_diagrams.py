"""The pictures of the machines: all are drawn, and no state is a dead end or out of reach."""

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any, Final

import pytest

import escrow
import payouts
from engine.diagrams import MACHINES
from escrow.diagram import REOPENS, draw, ends, page
from tests.fixtures.sources import ROOT

FINAL: Final[Mapping[str, str]] = {
    "contract": "ended",
    "milestone": "cancelled refunded released",
    "funding": "credited reversed succeeded",
    "refund": "wallet_credited",
    "release": "available",
    "dispute": "executed withdrawn",
    "retainer": "ended",
    "period": "cancelled lapsed settled",
    "drawdown": "approved lapsed rejected settled unpaid withdrawn",
    "term-amendment": "rejected signed withdrawn",
    "week": "closed refunded released written_off",
    "time-entry": "billed deleted",
    "time-run": "discarded stopped",
    "disputed-line": "refunded upheld",
    "claim": "recovered written_off",
    "chargeback": "appeal_lost appeal_won",
    "payout": "blocked cancelled failed returned",
    "offering": "approved rejected",
    "subscription": "cancelled lapsed",
    "purchase": "earned refunded",
}
"""The states in which a thing is over, written from domain/escrow.md 2.3 to 2.9."""

NAMES: Final = sorted(MACHINES)


def reached(machine: Mapping[Any, Any], begin: set[str]) -> set[str]:
    """All states that one can get to from these."""
    found, waiting = set(begin), list(begin)
    while waiting:
        here = waiting.pop()
        for (start, _), row in machine.items():
            if str(start) == here and str(row.to) not in found:
                found.add(str(row.to))
                waiting.append(str(row.to))
    return found


def states_of(machine: Mapping[Any, Any]) -> set[str]:
    return {str(state) for (start, _), row in machine.items() for state in (start, row.to) if state}


def begins(machine: Mapping[Any, Any]) -> set[str]:
    """Where a thing comes into being; a release is made by its slot, in the first state."""
    made = {str(row.to) for (start, _), row in machine.items() if start is None}
    return made or {str(next(iter(machine))[0])}


def test_every_table_is_drawn() -> None:
    """Each mapping of (state, trigger) in a machine's module has its page."""
    tables = {}
    for room in (escrow, payouts):
        for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            if ".machine" not in module.name:
                continue
            for name, value in vars(importlib.import_module(module.name)).items():
                if name.isupper() and isinstance(value, Mapping) and value:
                    row = next(iter(value.values()))
                    if hasattr(row, "who") and hasattr(row, "to"):
                        tables[id(value)] = f"{module.name}.{name}"

    drawn = {id(machine) for machine in MACHINES.values()}

    assert {name for key, name in tables.items() if key not in drawn} == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_state_is_reached_and_leads_to_an_end(name: str) -> None:
    """No state is out of reach, and from each there is a way to where the thing is over."""
    machine = MACHINES[name]
    last = set(ends(machine))

    assert reached(machine, begins(machine)) == states_of(machine)
    assert last
    assert [state for state in states_of(machine) if not reached(machine, {state}) & last] == []


@pytest.mark.parametrize("name", NAMES)
def test_only_what_is_over_has_no_way_out(name: str) -> None:
    """A state without a step to another is one in which the thing is over, and is marked so."""
    machine = MACHINES[name]
    stuck = {
        state
        for state in states_of(machine)
        if not any(
            str(start) == state and str(row.to) != state and trigger not in REOPENS
            for (start, trigger), row in machine.items()
        )
    }

    assert stuck == set(FINAL[name].split())
    assert all(f"    {state} --> [*]" in draw(machine).splitlines() for state in stuck)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_has_every_step(name: str) -> None:
    """Each step of the table stands on its arrow in the diagram, and in the page."""
    machine = MACHINES[name]

    picture = draw(machine)

    for (start, trigger), row in machine.items():
        arrow = f"    {start.value if start else '[*]'} --> {row.to.value}: "
        (line,) = [each for each in picture.splitlines() if each.startswith(arrow)]
        assert trigger.value in line.removeprefix(arrow).split(", ")
    assert picture in page(name, machine)


@pytest.mark.parametrize("name", NAMES)
def test_the_pages_are_current(name: str) -> None:
    """docs/machines shows the tables as they are; `make docs` draws them anew."""
    kept = ROOT / "docs" / "machines" / f"{name}.md"

    assert kept.read_text(encoding="utf-8") == page(name, MACHINES[name])


def test_no_page_is_left_of_a_machine_that_is_gone() -> None:
    """The folder has the pages of the machines there are, and none besides."""
    kept = {each.stem for each in (ROOT / "docs" / "machines").glob("*.md")}

    assert kept == set(MACHINES)
