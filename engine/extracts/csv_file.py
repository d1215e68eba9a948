"""An account extract as CSV (RFC 4180): a line of the books a row, opening and closing as rows.

Every row has the same columns. Amounts are plain digits with the currency's decimals and a point;
a text that a spreadsheet would take for a formula has an apostrophe in front.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TextIO

from engine.extracts.shown import Extract
from escrow.model_extract import Movement
from escrow.rules_extract import sort_of
from kernel.money import format_minor
from ledger.exports.csv_files import cell
from ledger.reports import time_text

COLUMNS: Final = (
    *("row", "effective_at", "recorded_at", "journal_no", "currency", "account", "kind", "what"),
    *("title", "contract_id", "slot_id", "debit", "credit", "balance"),
    *("fee_gross", "commission", "client_fee", "other_fees", "fee_tax"),
    *("sold", "sold_currency", "bought", "bought_currency", "event_id", "event_kind"),
)

_AMOUNTS: Final = frozenset(
    {
        *("debit", "credit", "balance", "fee_gross", "commission", "client_fee"),
        *("other_fees", "fee_tax", "sold", "bought"),
    }
)


def write(file: TextIO, extract: Extract, lines: Iterable[Movement]) -> None:
    """Write openings, lines and closings; of the lines only one is in memory at a time."""
    rows = csv.writer(file, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    rows.writerows(_edges(extract, "opening"))
    for line in lines:
        rows.writerow(_cells(_movement(line)))
    rows.writerows(_edges(extract, "closing"))


def _edges(extract: Extract, row: str) -> Iterator[Sequence[object]]:
    """What stood on each kind of account, at one end of the span."""
    at = extract.span.start if row == "opening" else extract.span.end
    for summary in extract.summaries:
        for standing in summary.standings:
            minor = standing.opening_minor if row == "opening" else standing.closing_minor
            yield _cells(
                {
                    "row": row,
                    "effective_at": time_text(at) or "",
                    "currency": summary.currency,
                    "account": standing.account,
                    "balance": format_minor(minor, summary.currency),
                }
            )


def _movement(line: Movement) -> dict[str, str]:
    currency, about, fees, exchange = line.currency, line.about, line.fees, line.exchange
    found = {
        "row": "line",
        "effective_at": time_text(line.effective_at) or "",
        "recorded_at": time_text(line.spot.recorded_at) or "",
        "journal_no": "" if line.journal_no is None else str(line.journal_no),
        "currency": currency,
        "account": line.account,
        "kind": sort_of(line.event_kind).value,
        "what": line.what,
        "title": about.title,
        "contract_id": str(about.contract_id or ""),
        "slot_id": str(about.slot_id or ""),
        "debit": format_minor(line.debit_minor, currency),
        "credit": format_minor(line.credit_minor, currency),
        "balance": format_minor(line.balance_minor, currency),
        "event_id": str(line.spot.event_id),
        "event_kind": line.event_kind,
    }
    if fees is not None:
        found |= {
            "fee_gross": format_minor(fees.gross_minor, fees.currency),
            "commission": format_minor(fees.commission_minor, fees.currency),
            "client_fee": format_minor(fees.client_fee_minor, fees.currency),
            "other_fees": format_minor(fees.other_minor, fees.currency),
            "fee_tax": format_minor(fees.tax_minor, fees.currency),
        }
    if exchange is not None:
        found |= {
            "sold": format_minor(exchange.sold_minor, exchange.sold),
            "sold_currency": exchange.sold,
            "bought": format_minor(exchange.bought_minor, exchange.bought),
            "bought_currency": exchange.bought,
        }
    return found


def _cells(values: dict[str, str]) -> list[object]:
    """The row's cells in order; a digit with its sign is a number and no formula."""
    return [
        values.get(name, "") if name in _AMOUNTS else cell(values.get(name, "")) for name in COLUMNS
    ]
