"""All machines of the product as pages: `python -m engine.diagrams docs/machines` writes them."""

import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from commissions.machine_plans import MACHINES as PLANS
from escrow.diagram import MACHINES as ESCROW
from escrow.diagram import page
from payouts.machine import TRANSITIONS as PAYOUTS

MACHINES: Final = MappingProxyType[str, Any]({**ESCROW, **PLANS, "payout": PAYOUTS})
"""Every table that there is, by the name of its page."""


def main(folder: str) -> None:
    """Write the pages into a folder, which is made if it lacks."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name, machine in MACHINES.items():
        (target / f"{name}.md").write_text(page(name, machine), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != len(("program", "folder")) or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m engine.diagrams FOLDER")
    main(sys.argv[1])
