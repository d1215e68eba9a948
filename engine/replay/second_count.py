"""The prices of a replay counted a second time, for its report: exchange, fees, documents.

Every finding says what the books have and what was counted. Amounts are texts by currency.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection

from engine.replay import store_recount as store
from engine.replay.exchange import fill_bps
from engine.replay.recount import (
    Recount,
    gaps,
    packaged_history,
    recount_exchange,
    recount_fees,
)
from engine.replay.report import amounts
from kernel.money import format_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondCount:
    """What was counted, as the report shows it, and where it differs from the books."""

    exchange: Mapping[str, Mapping[str, Any]]
    fees: Mapping[str, Mapping[str, str]]
    documents: Mapping[str, int]
    findings: tuple[str, ...]


def count_again(connection: Connection, seed: int) -> SecondCount:
    """Count all of it; in one snapshot."""
    exchanged = recount_exchange(
        store.list_conversions(connection),
        packaged_history(),
        store.sum_exchange(connection),
        partial(fill_bps, seed),
    )
    fees = store.sum_fees(connection)
    numbers = store.list_numbers(connection)
    findings = [
        *(
            f"the {book} book is off by {format_minor(total, currency)} {currency}"
            for (book, currency), total in store.sum_books(connection).items()
        ),
        *exchanged.findings,
        *recount_fees(lines=fees, balances=store.sum_credits(connection)),
        *(
            f"the documents {series} miss or repeat {gaps(seqs)[:10]}"
            for series, seqs in numbers.items()
            if gaps(seqs)
        ),
        *_documents_apart(connection),
    ]
    if waiting := store.count_waiting(connection):
        findings.append(f"{waiting} fees have no document")
    return SecondCount(
        exchange=_exchange(exchanged),
        fees=_by_account(fees),
        documents={series: len(seqs) for series, seqs in numbers.items()},
        findings=tuple(findings),
    )


def _documents_apart(connection: Connection) -> list[str]:
    issued, lines = store.sum_documents(connection), store.sum_documented(connection)
    return [
        f"documents of {kind} in {currency} come to {issued.get((kind, currency))},"
        f" their fees to {lines.get((kind, currency))} (net, tax)"
        for kind, currency in sorted({*issued, *lines})
        if issued.get((kind, currency)) != lines.get((kind, currency))
    ]


def _exchange(found: Recount) -> dict[str, dict[str, Any]]:
    return {
        currency: {
            "conversions": tally["conversions"],
            "open": tally["open"],
            "margin": format_minor(tally["margin"], currency),
            "loss": format_minor(tally["loss"], currency),
        }
        for currency, tally in sorted(found.exchanged.items())
    }


def _by_account(fees: Mapping[tuple[str, str], int]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, int]] = {}
    for (account, currency), minor in sorted(fees.items()):
        found.setdefault(account, {})[currency] = minor
    return {account: amounts(by_currency) for account, by_currency in found.items()}
