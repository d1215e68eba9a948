"""docs/clocks.md, drawn from the table of clocks: `python -m escrow.clocks_page FILE`."""

import sys
from pathlib import Path
from typing import Final

from escrow.clocks import CLOCKS, ROOM, Clock

_HEAD: Final = """# Clocks

Drawn by `make docs` from `escrow/clocks.py`, the table that the program follows.

A clock is a row: a subject, a kind, when it is due. It rings a minute after its time, so that a
command that came in before goes first, and never before. What a hold stops keeps what it has left;
nothing runs while it stands.

- **See them**: `GET /v1/clocks?subject=slot:<id>`, `GET /v1/clocks?party_id=<id>`,
  `holdfast clocks`.
- **Reminders**: at 50, 75 and 90 % of its length a clock whose *reminds* column names somebody
  writes an event `clock.reminded` with the due time, the consequence and the parties to tell.
- **Proof of notice**: where the tenant requires it (`POST /v1/clock_rules`, `notice: required`),
  the clocks marked *proof* ring only if a notice to the silent party stands
  (`POST /v1/clock_notices`). Otherwise they start anew, whole, and `clock.notice_missing` is
  written. A contract keeps the policy that stood when it was accepted. Disputes and disputed
  lines always need their service.
- **Outages**: if nobody fired timers for longer than `outage_after_s` (15 minutes), the clocks
  marked *outage* that fell due meanwhile ring `courtesy_s` (24 hours) later, once, in their
  order; the log says so in `clock.outage`. A backlog is worked off in due order at `drain_per_s`
  at most.
- **Time** is the database's own, or a sandbox's stored instant. No worker's clock counts.

Not here: a payout that stays silent needs no clock, because the rail is read each minute until it
has answered. Quotes expire with currencies, unclaimed payouts and dormant balances with the rails
and taxes that know them.
"""


def page() -> str:
    """The page as Markdown."""
    rows = [_row(clock) for clock in CLOCKS.values()]
    head = (
        "| clock | of | starts with | length | what changes it | what it fires | reminds |"
        " proof | outage |\n|---|---|---|---|---|---|---|---|---|"
    )
    return "\n".join([_HEAD, head, *rows]) + "\n"


def _row(clock: Clock) -> str:
    reminds = ""
    if clock.is_reminded:
        reminds = "who must answer" if clock.respondent_only else ", ".join(sorted(clock.told))
    cells = (
        f"`{ROOM}{clock.kind}`",
        clock.subject,
        clock.starts,
        clock.length,
        clock.changes,
        clock.fires,
        reminds,
        "proof" if clock.needs_notice else "",
        "outage" if clock.is_courteous else "",
    )
    return f"| {' | '.join(cells)} |"


def main(file: str) -> None:
    """Write the page."""
    Path(file).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != len(("program", "file")) or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m escrow.clocks_page FILE")
    main(sys.argv[1])
