"""The shapes of answers about the tax on fees: profiles, checks, invoices, and what is owed."""

from typing import Literal

from engine.api.answers import Answer, IdText, Money, OpenAnswer, TimeText


class SupplierAnswer(Answer):
    """The tenant as its invoices name it, from a time on."""

    version: int
    in_force_from: TimeText
    country: str
    name: str
    address: str
    tax_numbers: dict[str, str]
    service: Literal["electronic", "intermediation"]
    when_unsure: Literal["domestic", "likeliest"]
    check_days: int


class TaxEvidenceAnswer(Answer):
    """One piece that says where a buyer is."""

    kind: str
    country: str


class BuyerActed(OpenAnswer):
    """What is known of a party that pays fees, without its name, address and number."""

    party_id: IdText
    version: int
    evidence: list[TaxEvidenceAnswer]
    is_business: bool
    tax_country: str | None


class CheckActed(OpenAnswer):
    """What a register said of a party's number."""

    party_id: IdText
    check_id: IdText
    country: str
    source: str
    reference: str
    is_valid: bool
    checked_at: TimeText
    valid_since: TimeText | None


class TaxCredited(OpenAnswer):
    """The tax that went back to a party, by currency."""

    party_id: IdText
    event_id: str
    check_id: IdText
    valid_since: TimeText
    fees: int
    credited: list[Money]


class InvoiceSupplier(Answer):
    """Who supplied, as the document names him."""

    name: str
    address: str
    country: str
    tax_number: str


class InvoiceBuyer(Answer):
    """Who was supplied, as the document names him; empty where it was not known."""

    name: str
    address: str
    tax_number: str


class InvoiceLineAnswer(Answer):
    """One fee. `gross` is the payee's money that it was taken of."""

    what: str
    gross: Money
    net: Money
    tax: Money
    supplied_at: TimeText


class NationalTax(Answer):
    """The tax in the currency of its country; `tax` null: no rate of exchange was known."""

    currency: str
    tax: Money | None
    rate: str | None
    as_of: str | None
    source: str | None


class InvoiceTax(Answer):
    """Net and tax at one rate."""

    country: str
    rate_bps: int
    treatment: str
    net: Money
    tax: Money
    national: NationalTax | None


class InvoiceAnswer(Answer):
    """A document as it stands. `buyer` null: personal data were erased."""

    id: IdText
    number: str
    series: str
    kind: Literal["invoice", "receipt", "credit_note"]
    fee_kind: str
    party_id: IdText
    contract_id: IdText | None
    release_id: IdText | None
    issued_at: TimeText
    supplied_at: TimeText
    supplier: InvoiceSupplier
    buyer: InvoiceBuyer | None
    lines: list[InvoiceLineAnswer]
    taxes: list[InvoiceTax]
    net: Money
    tax: Money
    total: Money
    notes: list[str]
    originals: list[str]


class VatRow(Answer):
    """The tax of one country in one currency: by fees, by documents, and in the ledger."""

    country: str
    currency: str
    net: Money
    fees: Money
    documents: Money
    waiting: int
    posted: Money
    other: Money
    owed: Money
    ties: bool


class VatAnswer(Answer):
    """The tax owed on fees of a time; the three sides tie."""

    since: TimeText
    until: TimeText
    ties: bool
    rows: list[VatRow]
