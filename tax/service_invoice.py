"""The invoicer: what was posted becomes documents with numbers that have no gaps.

Numbers follow the posting, in the order of fee lines, under the lock of their series' rows; a
release never waits for a number. What is rolled back gives its numbers back, since the rows of
the series are rolled back with it.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from kernel.ids import new_id
from ledger import personal
from ledger.model_personal import PersonalKey
from rails.rates.model import Rate, Source
from tax import rules_invoice, service_profile, store_invoice, store_profile
from tax.model_invoice import DocumentKind, Fee, Invoice, Issued, Standing
from tax.model_profile import Person, Supplier

FRESH_DAYS = 7
"""A rate of exchange on an invoice is of the day of the supply, or of the days just before it."""

Families = dict[tuple[object, ...], list[Standing]]


@dataclass(slots=True)
class _Round:
    """What a round of issuing carries from document to document."""

    supplier: Supplier
    people: Mapping[UUID, Person]
    keys: Mapping[UUID, PersonalKey]
    series: dict[str, tuple[int, datetime]]
    families: Families
    rates: Source | None
    at: datetime

    def rate_of(self, sold: str, bought: str, on: date) -> Rate | None:
        """The rate of a day, if the source has one that is fresh."""
        found = self.rates.find(sold=sold, bought=bought, on=on) if self.rates else None
        return found if found and (on - found.as_of).days <= FRESH_DAYS else None


def issue_due(
    connection: Connection,
    at: datetime,
    limit: int = 500,
    *,
    rates: Source | None = None,
    everything: bool = False,
) -> Issued:
    """Issue documents for fees that have none, in their order, at most `limit` fees.

    Nothing where the tenant has no supplier's profile. Of one release what one party bears is one
    document; what comes back is a credit note that names its original, and waits where that is
    not issued yet. Takes the lock of the year's series before it looks at what is due.

    Args:
        connection: in a transaction of its own, so that the series wait for nothing else.
        at: the tenant's clock; the date of the documents, never before that of the last one.
        limit: how many fee lines to look at.
        rates: for the tax in the currency of its country; None: the document says there is none.
        everything: look at all fees, not only at those near the last that has a document.
    """
    supplier = store_profile.find_supplier(connection, at=at)
    if supplier is None:
        return Issued((), 0)
    codes = [(rules_invoice.series_of(kind, at), kind) for kind in DocumentKind]
    series = store_invoice.lock_series(connection, codes)
    fees = store_invoice.list_due(connection, limit=limit, everything=everything)
    if not fees:
        return Issued((), 0)
    going = _begin(connection, supplier, fees, series, rates, at)
    made, waiting = [], 0
    groups = rules_invoice.together(fees)
    # In order, since two of one millisecond are not.
    ids = sorted(new_id() for _ in groups)
    for invoice_id, group in zip(ids, groups, strict=True):
        invoice = _document(going, invoice_id, group)
        if invoice is None:
            waiting += len(group)
        else:
            made.append((invoice, group))
    if made:
        counted = [(code, next_seq, last) for code, (next_seq, last) in going.series.items()]
        store_invoice.save_series(connection, counted)
        store_invoice.add_invoices(connection, made)
    return Issued(tuple(invoice.number for invoice, _ in made), waiting)


def as_json(connection: Connection, invoices: Sequence[Invoice]) -> list[dict[str, Any]]:
    """Documents as they stand; the buyer is None where his personal data were erased."""
    texts = personal.opened(
        connection, [(invoice.sealed, _bound(invoice.id)) for invoice in invoices]
    )
    return [
        rules_invoice.as_json(invoice, None if text is None else json.loads(text))
        for invoice, text in zip(invoices, texts, strict=True)
    ]


def _begin(
    connection: Connection,
    supplier: Supplier,
    fees: Sequence[Fee],
    series: dict[str, tuple[int, datetime]],
    rates: Source | None,
    at: datetime,
) -> _Round:
    party_ids = sorted({fee.party_id for fee in fees})
    return _Round(
        supplier,
        service_profile.find_people(connection, party_ids, at=at),
        personal.get_keys(connection, party_ids, at=at),
        series,
        _families(connection, [fee for fee in fees if fee.comes_back]),
        rates,
        at,
    )


def _document(going: _Round, invoice_id: UUID, fees: Sequence[Fee]) -> Invoice | None:
    """The document of some fees, its number taken; None if its original is not there yet."""
    first, kind = fees[0], rules_invoice.kind_of(fees[0])
    net, tax = sum(each.fee_minor for each in fees), sum(each.tax_minor for each in fees)
    family = going.families[first.family]
    referred: list[Standing] = []
    if kind is DocumentKind.CREDIT_NOTE:
        referred = rules_invoice.originals(
            family, fee_minor=-net, tax_minor=-tax, taxed=first.taxed
        )
        if not referred:
            return None
        rules_invoice.take_off(referred, fee_minor=-net, tax_minor=-tax)
    code = rules_invoice.series_of(kind, going.at)
    seq, last_at = going.series[code]
    issued_at = max(going.at, last_at)
    going.series[code] = (seq + 1, issued_at)
    number = rules_invoice.number_of(code, seq)
    if kind is not DocumentKind.CREDIT_NOTE:
        family.append(Standing(invoice_id, number, net, tax, *first.taxed))
    buyer = json.dumps(asdict(going.people[first.party_id]))
    return Invoice(
        id=invoice_id,
        number=number,
        series=code,
        seq=seq,
        kind=kind,
        party_id=first.party_id,
        contract_id=first.contract_id,
        release_id=first.release_id,
        fee_kind=first.kind,
        currency=first.currency,
        net_minor=net,
        tax_minor=tax,
        total_minor=net + tax,
        line_count=len(fees),
        original_id=referred[0].id if referred else None,
        supplier_version=going.supplier.version,
        supplied_at=first.supplied_at,
        issued_at=issued_at,
        document=rules_invoice.document(fees, going.supplier, referred, going.rate_of),
        sealed=going.keys[first.party_id].seal(buyer, bound_to=_bound(invoice_id)),
    )


def _families(connection: Connection, fees: Sequence[Fee]) -> Families:
    """What stands of the documents that these credits may refer to."""
    found: Families = defaultdict(list)
    rows = store_invoice.list_standing(connection, fees) if fees else []
    for family, referred, each in rows:
        if not referred:
            found[family].append(each)
    for family, referred, each in rows:
        named = [by for number in referred for by in found[family] if by.number == number]
        rules_invoice.take_off(named, fee_minor=-each.net_minor, tax_minor=-each.tax_minor)
    return found


def _bound(invoice_id: UUID) -> str:
    return f"invoice:{invoice_id}"
