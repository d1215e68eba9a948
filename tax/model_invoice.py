"""Invoices, receipts and credit notes for our fees: what goes in, and what stands for ever."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class DocumentKind(StrEnum):
    """What a document is. A receipt is the client's, whose fee was paid at funding."""

    INVOICE = "invoice"
    RECEIPT = "receipt"
    CREDIT_NOTE = "credit_note"


Taxed = tuple[str, str, int]
"""Treatment, country, and rate in basis points."""


@dataclass(frozen=True, slots=True)
class Fee:
    """A fee line that no document has yet; below zero where it comes back.

    `fee_minor` is without `tax_minor`; both in minor units of `currency`. `about` tells fees of no
    release apart: the purchase or the subscription that they are for.
    """

    id: int
    kind: str
    party_id: UUID
    contract_id: UUID | None
    release_id: UUID | None
    currency: str
    gross_minor: int
    fee_minor: int
    tax_minor: int
    tax_country: str
    tax_rate_bps: int
    treatment: str
    supplied_at: datetime
    about: str | None

    @property
    def comes_back(self) -> bool:
        """Whether it is credited rather than asked for."""
        return self.fee_minor < 0 or self.tax_minor < 0

    @property
    def taxed(self) -> Taxed:
        """How it was taxed."""
        return (self.treatment, self.tax_country, self.tax_rate_bps)

    @property
    def family(self) -> tuple[object, ...]:
        """Documents of the same fee: a credit note belongs to an original of its family."""
        return (self.party_id, self.release_id, self.kind, self.currency, self.about)


@dataclass(slots=True)
class Standing:
    """A document of a family, and what of it is not credited yet; carried on by a batch."""

    id: UUID
    number: str
    net_minor: int
    tax_minor: int
    treatment: str
    tax_country: str
    tax_rate_bps: int

    @property
    def taxed(self) -> Taxed:
        """How it was taxed."""
        return (self.treatment, self.tax_country, self.tax_rate_bps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """A document as it stands. `document` is all that it shows but the buyer, who is sealed."""

    id: UUID
    number: str
    series: str
    seq: int
    kind: DocumentKind
    party_id: UUID
    contract_id: UUID | None
    release_id: UUID | None
    fee_kind: str
    currency: str
    net_minor: int
    tax_minor: int
    total_minor: int
    line_count: int
    original_id: UUID | None
    supplier_version: int
    supplied_at: datetime
    issued_at: datetime
    document: Mapping[str, Any]
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Issued:
    """What one round issued, and how many fees that came back found no original yet."""

    numbers: tuple[str, ...]
    waiting: int
