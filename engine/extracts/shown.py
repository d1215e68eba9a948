"""An account extract as JSON: stable keys, exact amounts, times in UTC."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from escrow.model_extract import Exchange, Fees, Movement, Standing, Summary
from escrow.rules_extract import ACCOUNT_WORDS, month_of, sort_of
from escrow.service_extract import Book, movements, open_book, summaries
from kernel.money import to_json
from ledger import parties
from ledger.known import Known
from ledger.reports import Span, time_text


@dataclass(frozen=True, slots=True)
class Extract:
    """One party over one span: its accounts by currency, and the book that its lines are read of.

    `month` is empty where the span is no calendar month.
    """

    party_id: UUID
    party_kind: str
    month: str
    span: Span
    known: Known
    summaries: tuple[Summary, ...]
    book: Book


def of_month(
    connection: Connection,
    party_id: UUID,
    month: str,
    *,
    known: Known,
    currency: str | None = None,
) -> Extract | None:
    """A party's extract of a month in UTC; None: there is no such party.

    Refuses `extract.bad_month`.
    """
    span = Span(*month_of(month))
    found = parties.find_many(connection, [party_id]).get(party_id)
    if found is None:
        return None
    book = open_book(connection, party_id, known=known, span=span, currency=currency)
    told = tuple(summaries(connection, book))
    return Extract(party_id, found.kind.value, month, span, known, told, book)


def lines_of(connection: Connection, extract: Extract, currency: str) -> Iterator[Movement]:
    """The lines of one currency of an extract, a page in memory at a time."""
    book = open_book(
        connection, extract.party_id, known=extract.known, span=extract.span, currency=currency
    )
    return movements(connection, book)


def extract_json(extract: Extract) -> dict[str, Any]:
    """The extract without its lines."""
    return {
        "party_id": str(extract.party_id),
        "party_kind": extract.party_kind,
        "month": extract.month,
        "from": time_text(extract.span.start),
        "until": time_text(extract.span.end),
        "journal_no": str(extract.known.journal_no),
        "provisional": extract.known.provisional,
        "currencies": [_summary(each) for each in extract.summaries],
    }


def movement_json(each: Movement) -> dict[str, Any]:
    """One line of an extract or of the transaction history."""
    about = each.about
    return {
        "event_id": str(each.spot.event_id),
        "entry_no": each.spot.entry_no,
        "line_no": each.spot.line_no,
        "journal_no": None if each.journal_no is None else str(each.journal_no),
        "effective_at": time_text(each.effective_at),
        "recorded_at": time_text(each.spot.recorded_at),
        "account": each.account,
        "kind": sort_of(each.event_kind).value,
        "what": each.what,
        "event_kind": each.event_kind,
        "event_subject": each.event_subject,
        "contract_id": about.contract_id and str(about.contract_id),
        "slot_id": about.slot_id and str(about.slot_id),
        "title": about.title,
        "debit": to_json(each.debit_minor, each.currency),
        "credit": to_json(each.credit_minor, each.currency),
        "balance": to_json(each.balance_minor, each.currency),
        "fees": each.fees and fees_json(each.fees),
        "exchange": each.exchange and _exchange(each.exchange),
    }


def fees_json(fees: Fees) -> dict[str, Any]:
    """What we took of one party, or gave back (less than nothing)."""
    return _amounts(
        {
            "gross": fees.gross_minor,
            "commission": fees.commission_minor,
            "client_fee": fees.client_fee_minor,
            "other": fees.other_minor,
            "tax": fees.tax_minor,
            "total": fees.total_minor,
        },
        fees.currency,
    )


def _exchange(exchange: Exchange) -> dict[str, Any]:
    return {
        "sold": to_json(exchange.sold_minor, exchange.sold),
        "bought": to_json(exchange.bought_minor, exchange.bought),
    }


def _summary(each: Summary) -> dict[str, Any]:
    return {
        "currency": each.currency,
        **_totals(each),
        "accounts": [_standing(standing) for standing in each.standings],
        "fees": fees_json(each.fees),
    }


def _standing(each: Standing) -> dict[str, Any]:
    return {
        "account": each.account,
        "words": ACCOUNT_WORDS[each.account],
        "line_count": each.line_count,
        **_totals(each),
    }


def _totals(each: Summary | Standing) -> dict[str, Any]:
    return _amounts(
        {
            "opening": each.opening_minor,
            "credits": each.credits_minor,
            "debits": each.debits_minor,
            "closing": each.closing_minor,
        },
        each.currency,
    )


def _amounts(amounts: Mapping[str, int], currency: str) -> dict[str, Any]:
    return {name: to_json(minor, currency) for name, minor in amounts.items()}
