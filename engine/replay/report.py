"""The closing report of a replay: what was held, moved and proven, for people and as JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from engine.replay.store_outcome import Sum
from kernel.money import format_minor

_LINES_SHOWN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One replay. Amounts are texts by currency; the names are stable and are the JSON's keys.

    funded = released + refunded + held, in every currency: what clients paid in, before fees, but
    for what their banks took of it while it was held (`charged_back`, less `reinstated`, is of all
    payments). `returned` went back after it was released, `paid_out` is what reached freelancers,
    `revenue` all fees earned. `accounts` are the balances by kind of account as the books have
    them, debit positive. `claims`, `open` (what is still to come) and `open_items` (what is over
    and not zero, or owed) are counts and amounts by name. `rates` are the shares in basis points by
    which everybody behaved. At `midnights_told_late` the rail had payments that it told us of
    later: they were the whole difference. `exchange` (by bought currency), `fees` (by account) and
    `documents` (by series) were counted a second time, from the central bank's file and the rows
    alone; where the books differ, a finding says so. `digest` is a SHA-256 over all balances.
    `seconds` and `lines_per_second` are the only figures that differ between two runs of one file
    and seed.
    """

    tenant: str
    source: str
    seed: int
    days: int
    first_day: str
    last_day: str
    is_complete: bool
    contracts: Mapping[str, int]
    slots: Mapping[str, int]
    funded: Mapping[str, str]
    released: Mapping[str, str]
    refunded: Mapping[str, str]
    held: Mapping[str, str]
    tips: Mapping[str, str]
    wallets: Mapping[str, str] = field(default_factory=dict)
    paid_out: Mapping[str, str]
    revenue: Mapping[str, str]
    timers_fired: int
    timers: Mapping[str, int]
    commands: int
    refusals: Mapping[str, int]
    skipped: Mapping[str, int]
    unreadable: tuple[Mapping[str, Any], ...]
    events: int
    entries: int
    lines: int
    seconds: float
    lines_per_second: int
    proven: bool
    safeguarding: bool
    findings: tuple[str, ...] = field(default=())
    contract_states: Mapping[str, int] = field(default_factory=dict)
    weeks: Mapping[str, int] = field(default_factory=dict)
    periods: Mapping[str, int] = field(default_factory=dict)
    disputes: Mapping[str, int] = field(default_factory=dict)
    lines_disputed: Mapping[str, int] = field(default_factory=dict)
    returned: Mapping[str, str] = field(default_factory=dict)
    chargebacks: Mapping[str, int] = field(default_factory=dict)
    charged_back: Mapping[str, str] = field(default_factory=dict)
    reinstated: Mapping[str, str] = field(default_factory=dict)
    accounts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    claims: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    open: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    open_items: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    midnights: int = 0
    midnights_told_late: int = 0
    digest: str = ""
    rates: Mapping[str, int] = field(default_factory=dict)
    exchange: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fees: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    documents: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether the books are proven and client money is there."""
        return self.proven and self.safeguarding

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values under stable keys."""
        return asdict(self)


def amounts(by_currency: Mapping[str, int]) -> dict[str, str]:
    """Minor units by currency as the digits that people write."""
    return {
        currency: format_minor(minor, currency) for currency, minor in sorted(by_currency.items())
    }


def items(sums: Iterable[Sum]) -> dict[str, dict[str, Any]]:
    """Counts and amounts by name."""
    found: dict[str, dict[str, Any]] = {}
    for name, currency, number, amount_minor in sums:
        item = found.setdefault(name, {"count": 0, "amounts": {}})
        item["count"] += number
        item["amounts"][currency] = item["amounts"].get(currency, 0) + amount_minor
    return {name: {**item, "amounts": amounts(item["amounts"])} for name, item in found.items()}


def from_json(stored: Mapping[str, Any]) -> Report:
    """A report that was kept, perhaps by an older or a newer version of ours.

    What a later version adds to `Report` has a default; what it has that we lack is left out.
    """
    names = {each.name for each in fields(Report)}
    known = {name: value for name, value in stored.items() if name in names}
    known["unreadable"] = tuple(known.get("unreadable", ()))
    known["findings"] = tuple(known.get("findings", ()))
    return Report(**known)


def show(report: Report, console: Console) -> None:
    """Print the report as a table."""
    table = Table(
        title=f"{report.first_day} to {report.last_day}, {report.source}, tenant {report.tenant}",
        show_header=False,
        title_justify="left",
    )
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in _rows(report):
        table.add_row(name, value)
    console.print(table)
    console.print(_accounts(report))
    console.print(_rates(report))
    for row in report.unreadable[:_LINES_SHOWN]:
        console.print(f"line {row['line']} was skipped: {row['reason']}", markup=False)
    more = report.skipped.get("unreadable", 0) - _LINES_SHOWN
    if more > 0:
        console.print(f"and {more} more lines; --json lists the first thousand")
    for finding in report.findings:
        console.print(finding, style="bold red", markup=False)
    if not report.is_complete:
        console.print(
            f"Stopped early, after {report.days} days; what was done is settled and proven."
        )


def _accounts(report: Report) -> Table:
    """The balances by kind of account, debit positive."""
    table = Table("account", title="Money by account, debit positive", title_justify="left")
    table.add_column("balance", justify="right")
    for kind, by_currency in report.accounts.items():
        table.add_row(kind, _money(by_currency))
    return table


def _rates(report: Report) -> Table:
    """How everybody behaved: the stated shares."""
    table = Table("of the cases that get that far", title="Stated rates", title_justify="left")
    table.add_column("share", justify="right")
    for name, bps in report.rates.items():
        table.add_row(name.replace("_", " "), f"{bps / 100:.2f} %")
    return table


def _rows(report: Report) -> list[tuple[str, str]]:
    return [
        ("contracts", _counts(report.contracts)),
        ("how they stand", _counts(report.contract_states)),
        ("slots", _counts(report.slots)),
        ("weeks", _counts(report.weeks)),
        ("periods", _counts(report.periods)),
        ("disputes", _counts(report.disputes)),
        ("disputed lines", _counts(report.lines_disputed)),
        ("funded", _money(report.funded)),
        ("released", _money(report.released)),
        ("refunded", _money(report.refunded)),
        ("given back after release", _money(report.returned)),
        ("still held", _money(report.held)),
        ("chargebacks", _counts(report.chargebacks)),
        ("charged back", _money(report.charged_back)),
        ("and given back by the bank", _money(report.reinstated)),
        ("tips", _money(report.tips)),
        ("in clients' wallets", _money(report.wallets)),
        ("paid out", _money(report.paid_out)),
        ("revenue", _money(report.revenue)),
        ("exchanged, with margin and loss", _exchange(report.exchange)),
        ("tax on fees, by country", _taxes(report.fees)),
        ("documents", _counts(report.documents)),
        ("claims", _items(report.claims)),
        ("still to come", _items(report.open)),
        ("open items", _items(report.open_items)),
        ("timers fired", _counts(report.timers)),
        ("commands", f"{report.commands:,}"),
        ("refused", _counts(report.refusals)),
        ("skipped postings", _counts(report.skipped)),
        (
            "books",
            f"{report.events:,} events, {report.entries:,} entries, {report.lines:,} lines",
        ),
        ("speed", f"{report.lines_per_second:,} lines/s, {report.seconds:.1f} s"),
        (
            "midnights checked",
            f"{report.midnights}, at {report.midnights_told_late} the rail had payments untold",
        ),
        ("digest of the balances", report.digest[:32]),
        ("books proven", "yes" if report.proven else "NO"),
        ("client money safe", "yes" if report.safeguarding else "NO"),
    ]


def _exchange(exchange: Mapping[str, Mapping[str, Any]]) -> str:
    if not exchange:
        return "none"
    return "\n".join(
        f"{each['conversions']:,} into {currency} ({each['open']:,} open):"
        f" {each['margin']}, {each['loss']}"
        for currency, each in exchange.items()
    )


def _taxes(fees: Mapping[str, Mapping[str, str]]) -> str:
    found = {
        account.rpartition(" ")[2]: ", ".join(f"{digits} {code}" for code, digits in sums.items())
        for account, sums in fees.items()
        if account.startswith("platform.vat_payable")
    }
    return "\n".join(f"{country}: {sums}" for country, sums in found.items()) or "none"


def _counts(counts: Mapping[str, int]) -> str:
    if not counts:
        return "none"
    return "\n".join(f"{name} {number:,}" for name, number in sorted(counts.items()))


def _items(items: Mapping[str, Mapping[str, Any]]) -> str:
    if not items:
        return "none"
    return "\n".join(
        f"{name} {item['count']:,}: {_money(item['amounts'])}" for name, item in items.items()
    )


def _money(by_currency: Mapping[str, str]) -> str:
    if not by_currency:
        return "none"
    return "\n".join(_with_commas(amount, currency) for currency, amount in by_currency.items())


def _with_commas(amount: str, currency: str) -> str:
    sign = "-" if amount.startswith("-") else ""
    whole, point, cents = amount.removeprefix("-").partition(".")
    return f"{sign}{int(whole):,}{point}{cents} {currency}"
