"""Which document each fee goes into, what it says, and which one a credit note refers to."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from functools import partial
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final

from kernel.money import convert, format_minor, to_json
from rails.rates.model import PLACES, Rate
from tax.model_invoice import DocumentKind, Fee, Invoice, Standing, Taxed
from tax.model_profile import Supplier
from tax.vat import TERRITORIES

PREFIXES: Final[Mapping[DocumentKind, str]] = MappingProxyType(
    {
        DocumentKind.INVOICE: "INV",
        DocumentKind.RECEIPT: "RCP",
        DocumentKind.CREDIT_NOTE: "CRN",
    }
)
_CURRENCIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "CZ": "CZK",
        "DK": "DKK",
        "HU": "HUF",
        "PL": "PLN",
        "RO": "RON",
        "SE": "SEK",
        "GB": "GBP",
        "AU": "AUD",
        "IN": "INR",
    }
)
_EURO_IN_BULGARIA: Final = date(2026, 1, 1)

RateOf = Callable[[str, str, date], Rate | None]
"""The rate from one currency into another on a day, from a source that it names."""


def series_of(kind: DocumentKind, at: datetime) -> str:
    """The series of a kind of document in a year (UTC): INV2026."""
    return f"{PREFIXES[kind]}{at.year:04d}"


def number_of(series: str, seq: int) -> str:
    """A number as it is written: INV2026-000001."""
    return f"{series}-{seq:06d}"


def kind_of(fee: Fee) -> DocumentKind:
    """A credit note for what comes back, a receipt for a client's fee, else an invoice."""
    if fee.comes_back:
        return DocumentKind.CREDIT_NOTE
    return DocumentKind.RECEIPT if fee.kind == "client_fee" else DocumentKind.INVOICE


def together(fees: Sequence[Fee]) -> list[list[Fee]]:
    """Fees that one document tells: those that one party bears of one release at one time.

    In the order of the fees; each document bears one tax, so that a credit note can name it.
    """
    return [list(group) for _, group in groupby(fees, key=_document_key)]


def originals(
    family: Sequence[Standing], *, fee_minor: int, tax_minor: int, taxed: Taxed
) -> list[Standing]:
    """The documents that a credit of so much (positive amounts) refers to: mostly one.

    Those taxed alike first, the newest first. Empty where what stands of the family is less: then
    the credit waits.
    """
    found: list[Standing] = []
    net, tax = 0, 0
    newest_first = list(reversed(family))
    for each in sorted(newest_first, key=lambda standing: standing.taxed != taxed):
        if net >= fee_minor and tax >= tax_minor:
            break
        if each.net_minor or each.tax_minor:
            found.append(each)
            net, tax = net + each.net_minor, tax + each.tax_minor
    return found if net >= fee_minor and tax >= tax_minor else []


def take_off(from_: Iterable[Standing], *, fee_minor: int, tax_minor: int) -> None:
    """Note down what a credit note leaves of the documents that it refers to."""
    for each in from_:
        net, tax = min(fee_minor, each.net_minor), min(tax_minor, each.tax_minor)
        each.net_minor, each.tax_minor = each.net_minor - net, each.tax_minor - tax
        fee_minor, tax_minor = fee_minor - net, tax_minor - tax


def document(
    fees: Sequence[Fee], supplier: Supplier, referred: Sequence[Standing], rate_of: RateOf
) -> dict[str, Any]:
    """All that a document shows but the buyer: plain JSON, amounts in minor units.

    A credit note's amounts are below zero. Source: Directive 2006/112/EC, Art. 226 and 230.
    """
    first = fees[0]
    net, tax = sum(each.fee_minor for each in fees), sum(each.tax_minor for each in fees)
    notes = [first.treatment] if first.treatment in {"reverse_charge", "outside_scope"} else []
    return {
        "supplier": _supplier(supplier, first.tax_country),
        "lines": [
            {
                "fee_line_id": each.id,
                "what": each.kind,
                "gross_minor": each.gross_minor,
                "net_minor": each.fee_minor,
                "tax_minor": each.tax_minor,
                "supplied_at": each.supplied_at.isoformat(),
            }
            for each in fees
        ],
        "taxes": [
            {
                "country": first.tax_country,
                "rate_bps": first.tax_rate_bps,
                "treatment": first.treatment,
                "net_minor": net,
                "tax_minor": tax,
                "national": _national(first, tax, rate_of),
            }
        ],
        "notes": notes,
        "originals": [each.number for each in referred],
    }


def as_json(invoice: Invoice, buyer: Mapping[str, str] | None) -> dict[str, Any]:
    """A document as it is shown, in JSON and on paper; the same on every reading.

    `buyer` is None where his personal data were erased.
    """
    money = partial(to_json, currency=invoice.currency)
    said = invoice.document
    return {
        "id": str(invoice.id),
        "number": invoice.number,
        "series": invoice.series,
        "kind": invoice.kind.value,
        "fee_kind": invoice.fee_kind,
        "party_id": str(invoice.party_id),
        "contract_id": invoice.contract_id and str(invoice.contract_id),
        "release_id": invoice.release_id and str(invoice.release_id),
        "issued_at": invoice.issued_at.isoformat(),
        "supplied_at": invoice.supplied_at.isoformat(),
        "supplier": said["supplier"],
        "buyer": None if buyer is None else dict(buyer),
        "lines": [
            {
                "what": line["what"],
                "gross": money(line["gross_minor"]),
                "net": money(line["net_minor"]),
                "tax": money(line["tax_minor"]),
                "supplied_at": line["supplied_at"],
            }
            for line in said["lines"]
        ],
        "taxes": [_tax_as_json(each, invoice.currency) for each in said["taxes"]],
        "net": money(invoice.net_minor),
        "tax": money(invoice.tax_minor),
        "total": money(invoice.total_minor),
        "notes": list(said["notes"]),
        "originals": list(said["originals"]),
    }


def _tax_as_json(each: Mapping[str, Any], currency: str) -> dict[str, Any]:
    national = each["national"]
    shown_national = national and {
        "currency": national["currency"],
        "tax": None
        if national["tax_minor"] is None
        else to_json(national["tax_minor"], national["currency"]),
        "rate": national.get("rate"),
        "as_of": national.get("as_of"),
        "source": national.get("source"),
    }
    return {
        "country": each["country"],
        "rate_bps": each["rate_bps"],
        "treatment": each["treatment"],
        "net": to_json(each["net_minor"], currency),
        "tax": to_json(each["tax_minor"], currency),
        "national": shown_national,
    }


def currency_of(country: str, on: date) -> str:
    """The currency that a country's tax is told in."""
    if country == "BG" and on < _EURO_IN_BULGARIA:
        return "BGN"
    return _CURRENCIES.get(TERRITORIES.get(country, country), "EUR")


def _document_key(fee: Fee) -> tuple[object, ...]:
    alone = fee.id if fee.release_id is None else 0
    return (*fee.family, fee.contract_id, fee.supplied_at, kind_of(fee), *fee.taxed, alone)


def _supplier(supplier: Supplier, tax_country: str) -> dict[str, Any]:
    numbers = supplier.tax_numbers
    shown = [country for country in (tax_country, supplier.country) if country in numbers]
    return {
        "name": supplier.name,
        "address": supplier.address,
        "country": supplier.country,
        "tax_number": numbers[shown[0]] if shown else "",
    }


def _national(fee: Fee, tax_minor: int, rate_of: RateOf) -> dict[str, Any] | None:
    """The tax in the currency of its country, as it must be told; None where it is that already.

    Without a rate it says so: `tax_minor` is None.
    """
    on = fee.supplied_at.date()
    currency = currency_of(fee.tax_country, on)
    if not tax_minor or currency == fee.currency:
        return None
    rate = rate_of(fee.currency, currency, on)
    if rate is None:
        return {"currency": currency, "tax_minor": None}
    amount = convert(abs(tax_minor), sold=fee.currency, bought=currency, rate=rate.rate)
    return {
        "currency": currency,
        "tax_minor": amount if tax_minor > 0 else -amount,
        "rate": _decimal(rate.rate),
        "as_of": rate.as_of.isoformat(),
        "source": rate.source,
    }


def _decimal(rate: Fraction) -> str:
    """A rate at its ten decimals, the last zeros left out."""
    scaled = rate * 10**PLACES
    assert scaled.denominator == 1
    digits = f"{scaled.numerator:0{PLACES + 1}d}"
    return f"{digits[:-PLACES]}.{digits[-PLACES:]}".rstrip("0").rstrip(".")


def shown(amount_minor: int, currency: str) -> str:
    """An amount for people, its thousands apart: -63,985.71."""
    whole, point, cents = format_minor(abs(amount_minor), currency).partition(".")
    return f"{'-' if amount_minor < 0 else ''}{int(whole):,}{point}{cents}"
