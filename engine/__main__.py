"""The command line `holdfast`: each command is loaded when it is called, so that --help is fast.

Exit codes: 0 all well, 1 the answer is bad news, 2 could not tell.
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final

import click

VERSION: Final = "0.1.0"
"""The same as in pyproject.toml: a checkout is run without being installed."""

_COMMANDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "run": ("run", "Start everything: database, a replayed month, API and workers."),
        "serve": ("serve", "Serve the API."),
        "worker": ("worker", "Fire timers, call rails, do jobs and settle each day."),
        "sealer": ("sealer", "Seal the log each second, sign and anchor checkpoints."),
        "signer": ("signer", "Sign checkpoints in a process with a key of its own."),
        "migrate": ("migrate", "Bring the database's schema up to date."),
        "replay": ("replay", "Play job postings through the engine and prove the books."),
        "clock": ("clock", "Show a tenant's time, or move a sandbox's on."),
        "clocks": ("clocks", "What happens by itself, when, and what is overdue."),
        "balance": ("balance", "Balances of accounts."),
        "trial-balance": ("trial_balance", "All balances by kind, and the totals of each book."),
        "statement": ("statement", "The extract of one account, line by line."),
        "quote": ("quote", "The whole price of a payment before anyone signs."),
        "extract": ("extract", "A party's account extract of a month: tables, CSV, PDF."),
        "invoices": ("invoices", "Invoices, receipts and credit notes: issue, list, show, PDF."),
        "tax": ("tax", "The tax owed on fees per country, and who supplies."),
        "report": ("report", "A report on both axes: any date, as it was known."),
        "reservations": ("reservations", "Money that is set aside, and since when."),
        "prove": ("prove", "Recount one tenant's books."),
        "rebuild": ("rebuild", "Write what is derived anew from the lines, byte for byte."),
        "import": ("import_", "Bring the books of an export into an empty tenant of its name."),
        "adopt": ("adopt", "Take over another system's books from a file, by two people."),
        "seal": ("seal", "Seal what waits now, or show how far the sealer is behind."),
        "checkpoint": ("checkpoint", "Have the log signed now, and print the note."),
        "export": ("export", "Write the sealed journal as files, or as a bundle of evidence."),
        "verify": ("verify", "Check an export, or the books, for alterations."),
        "invariants": ("invariants", "Prove the books and the client money of every tenant."),
        "rails": ("rails", "Rails in use, the events that they sent, and what needs people."),
        "webhooks": ("webhooks", "Who is told of our events, and what did not arrive."),
        "reconcile": ("reconcile", "Take bank and processor statements in, and match them."),
        "breaks": ("breaks", "What statements and books do not share, and how it ends."),
        "certificate": ("certificate", "Certify ledger, processors and bank against one another."),
        "open-items": ("open_items", "What should be over by now and is not."),
        "treasury": ("treasury", "What is where, why it stays, and what settles next."),
        "sanctions": ("sanctions", "Blocked money, its reports, and lists that changed."),
        "unclaimed": ("unclaimed", "Money whose owners are silent, and what states are told."),
        "fx": ("fx", "Rates of exchange, conversions that wait, and revaluations."),
        "audit": ("audit", "Run the journal-entry tests of an auditor."),
        "auditor": ("auditor", "Let auditors in, list them, and end their logins."),
        "period": ("period", "Close accounting periods, reopen them, and check their closings."),
        "journal": ("journal", "Prepare, approve and reject manual journals."),
        "fees": ("fees", "Fee schedules, and why a contract pays what it pays."),
        "plans": ("plans", "Sell plans and products, by two people, and see who has them."),
        "experiments": ("experiments", "Try fees out on a share of the deals, and read it out."),
        "payouts": ("payouts", "Who is paid when, and payout runs by two people."),
        "bank": ("bank", "Files of payments for our bank, by two people, and accounts."),
        "tenant": ("tenant", "Make tenants, or list them."),
        "keys": ("keys", "Make, rotate, revoke and list API keys."),
    }
)
"""Name -> (module of `engine.commands`, one line of help); a module's command is `command`."""


class _Commands(click.Group):
    """The commands by name; a module is imported when its command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's own signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(f"engine.commands.{_COMMANDS[cmd_name][0]}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, told) for name, (_, told) in _COMMANDS.items()])


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION, message="%(version)s")
def main() -> None:
    """Holdfast: an escrow and payments ledger engine.

    The database is an embedded PostgreSQL unless DATABASE_URL names one. Every report has --json.
    Exit codes: 0 all well, 1 the answer is bad news, 2 could not tell.
    """


if __name__ == "__main__":
    main(prog_name="holdfast")
