"""A certificate as a person of finance reads it: what is there, what is owed, and all between."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.commands.frame import grouped
from kernel.money import to_json
from reconciliation.model_breaks import bucket

_MOST: Final = 40

_NAMES: Final = {
    "custody.escrow": "held for deals",
    "custody.escrow_disputed": "held for deals in dispute",
    "custody.wallet": "clients' wallets",
    "custody.earned_pending": "earned, not yet available",
    "custody.earned_available": "earned, to be paid out",
    "custody.earned_reserved": "earned, set aside",
    "custody.payout_in_transit": "payouts promised, not confirmed",
    "custody.refund_in_transit": "refunds promised, not confirmed",
    "custody.tax_withheld": "tax withheld",
    "custody.unclaimed": "unclaimed",
    "custody.blocked": "blocked",
}

_STATES: Final = {
    "clean": "CLEAN",
    "breaks": "BREAKS",
    "untold": "NOT TOLD: a place has no statement",
}

Amount = Mapping[str, str]


def show(console: Console, made: Mapping[str, Any]) -> None:
    """Print one certificate."""
    told = made["certificate"]
    console.print(
        Text(
            f"\nThree-way certificate of {told['tenant']}, {told['currency']}, end of"
            f" {told['on']} (UTC), version {made['version']}: {_STATES[told['state']]}"
        )
    )
    console.print(_sums(told))
    _list(console, "D: in transit", told["in_transit"])
    _list(console, "Breaks", told["breaks"])
    figures = told["figures"]
    console.print(
        Text(
            f"Client money test: {_text(figures['resource'])} is there (B + C + D - F) for"
            f" {_text(figures['requirement'])} that is owed (A + E); short by"
            f" {_text(figures['shortfall'])} {told['currency']}."
        )
    )
    console.print(Text(f"Digest {made['digest']}"))


def _sums(told: Mapping[str, Any]) -> Table:
    figures = told["figures"]
    table = Table(show_header=True)
    for column in ("", "what", "source"):
        table.add_column(column, overflow="fold")
    for column in ("by the books", "by the statement"):
        table.add_column(column, justify="right")

    def row(sign: str, what: str, *amounts: Amount | None, source: str = "") -> None:
        cells = [_text(each) if each else "" for each in amounts]
        table.add_row(*map(Text, (sign, what, source, *cells)))

    held = sorted(told["held"], key=lambda each: each["place"] != "processor")
    for each in held:
        sign = "B" if each["place"] == "processor" else "C"
        name = f"at {each['rail_account']}" if each["rail_account"] else "in the custody bank"
        row(sign, name, each["books"], each["statement"], source=each["source"])
    row("D", "in transit (listed below)", None, figures["d_transit"])
    row("X", "being exchanged at a provider", None, figures["x_exchanging"])
    row("", "breaks (listed below)", None, figures["breaks"])
    row("", "UNEXPLAINED, must be zero", None, figures["unexplained"])
    row("", "= B + C + D + X + breaks", None, _all(figures, ("f_platform", "requirement")))
    table.add_section()
    for each in told["liabilities"]:
        row("A", _NAMES.get(each["kind"], each["kind"]), each["amount"])
    row("E", "suspense: nobody knows whose", figures["e_suspense"])
    row("F", "the platform's own, not yet swept", figures["f_platform"])
    row("", "= A + E + F", _all(figures, ("f_platform", "requirement")))
    return table


def _all(figures: Mapping[str, Amount], names: Sequence[str]) -> Amount:
    """The sum of these figures."""
    currency = figures[names[0]]["currency"]
    return to_json(sum(_minor(figures[name]) for name in names), currency)


def _list(console: Console, name: str, items: Sequence[Mapping[str, Any]]) -> None:
    if not items:
        return
    table = Table(title=name, title_justify="left")
    for column in ("day", "where", "what kind", "age", "state"):
        table.add_column(column)
    table.add_column("books less statement", justify="right")
    table.add_column("what", overflow="fold")
    for each in items[:_MOST]:
        table.add_row(
            *(
                Text(str(cell))
                for cell in (
                    each["on"],
                    each["rail_account"] or each["place"],
                    each["kind"],
                    bucket(each["age_days"]),
                    each["state"],
                    _text(each["amount"]),
                    each["what"],
                )
            )
        )
    console.print(table)
    if len(items) > _MOST:
        console.print(Text(f"... and {len(items) - _MOST} more; --json has them all."))


def _text(amount: Amount) -> str:
    return grouped(_minor(amount), amount["currency"])


def _minor(amount: Amount) -> int:
    return int(amount["amount"].replace(".", ""))
