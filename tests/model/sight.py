"""Everything that the tables of the tenant show, as plain rows: what an act is judged by."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection

from kernel.database import driver
from tests.model.prices import PriceBook

Row = dict[str, Any]

_TABLES: Final = (
    *(
        "slot",
        "lot",
        "pair_billing",
        "fee_line",
        "funding",
        "release",
        "refund",
        "dispute",
        "dispute_offer",
    ),
    *("dispute_evidence", "dispute_decision", "claim", "claim_write_off", "hourly_term"),
    *("work_week", "week_line", "time_entry", "client_claim", "line_dispute", "time_run"),
    *("retainer", "retainer_period", "drawdown", "contract", "reservation", "journal", "period"),
    *("hold", "chargeback", "term_amendment"),
)

_SHOW: Final = " UNION ALL ".join(
    [
        "SELECT 'account', to_jsonb(t) FROM account t WHERE balance_minor <> 0",
        *(f"SELECT '{name}', to_jsonb(t) FROM {name} t" for name in _TABLES),
    ]
)

_TOGETHER: Final = frozenset(
    {"custody.refund_in_transit", "custody.payout_in_transit"}
    | {"custody.processor_pending", "custody.processor_available"}
)
"""Accounts that are told in one sum: the model does not know the ids that the engine draws."""

SUMS: Final = (
    *("held_minor", "released_minor", "refunded_minor", "returned_minor", "disputed_minor"),
    *("contested_minor", "fee_deferred_minor", "rolled_in_minor", "rolled_out_minor"),
)
"""The sums of a slot that a model must know."""


@dataclass(frozen=True)
class Sight:
    """All rows by table, and all balances; debit positive, in minor units.

    `book` is what the people of the market know of prices.
    """

    book: PriceBook
    rows: dict[str, list[Row]] = field(default_factory=dict)
    accounts: Counter[str] = field(default_factory=Counter)

    def all_of(self, table: str, likely: Callable[[Row], object] = bool) -> list[Row]:
        """The rows of a table, oldest id first."""
        return [row for row in self.rows.get(table, []) if likely(row)]

    def one(self, table: str, **cells: Any) -> Row:
        """The one row with these cells."""
        (found,) = self.all_of(table, lambda row: cells.items() <= row.items())
        return found

    def balance(self, kind: str, subject: object = "") -> int:
        """What an account owes or has, as people read it: never negative."""
        return abs(self.accounts[f"{kind}[{subject}]"])

    def sums(self) -> dict[str, dict[str, int]]:
        """The sums of every slot."""
        return {row["id"]: {name: row[name] for name in SUMS} for row in self.all_of("slot")}


def look(connection: Connection, book: PriceBook, currency: str) -> Sight:
    """Read everything at once; accounts in another currency than the market's have it named."""
    rows: dict[str, list[Row]] = {}
    accounts: Counter[str] = Counter()
    for table, row in driver(connection).execute(_SHOW.encode()):
        if table == "account":
            subject = "" if row["kind"] in _TOGETHER else row["subject"]
            other = "" if row["currency"] == currency else f" {row['currency']}"
            accounts[f"{row['kind']}[{subject}]{other}"] += row["balance_minor"]
        else:
            rows.setdefault(table, []).append(row)
    for some in rows.values():
        some.sort(key=lambda row: str(row.get("id", "")))
    seen = Counter({key: amount for key, amount in accounts.items() if amount})
    return Sight(book, rows, seen)
