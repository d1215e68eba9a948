"""VAT or GST on our own fee: what is known of buyer and seller, and what follows from it."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID


class Service(StrEnum):
    """What our fee is for, in the eyes of the tax."""

    ELECTRONIC = "electronic"
    INTERMEDIATION = "intermediation"


class WhenUnsure(StrEnum):
    """What is charged where the table does not decide: a release never waits for it.

    `DOMESTIC` is the rate of the supplier's country; `LIKELIEST` that of the country which most of
    the evidence speaks for, be it a single piece, and the supplier's where there is none.
    """

    DOMESTIC = "domestic"
    LIKELIEST = "likeliest"


class Treatment(StrEnum):
    """How a fee is taxed."""

    DOMESTIC = "domestic"
    DESTINATION = "destination"
    REVERSE_CHARGE = "reverse_charge"
    OUTSIDE_SCOPE = "outside_scope"


@dataclass(frozen=True, slots=True)
class Check:
    """That a tax number was held against its register, and what the register said.

    `reference` is the register's own number of the consultation. `number` is empty where it was
    not opened; `until` is when the check is too old to count, None for never.
    """

    number: str
    country: str
    is_valid: bool
    checked_at: datetime
    reference: str
    until: datetime | None = None
    id: UUID | None = None

    def holds(self, at: datetime) -> bool:
        """Whether it counts for a fee of this instant: valid, known by then, and not too old."""
        return self.is_valid and self.checked_at <= at and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece that says where the buyer is: an address, a bank's country, an IP address."""

    kind: str
    country: str


@dataclass(frozen=True, slots=True)
class Supply:
    """One fee, as the tax sees it. Countries are ISO 3166 codes; Northern Ireland is `XI`."""

    supplier_country: str
    evidence: tuple[Evidence, ...]
    service: Service
    on: date
    at: datetime
    check: Check | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What is charged: the treatment, the country whose tax it is, the rate, and a note.

    `note` is the key of the words on the invoice; `rule` names the row of the table.
    """

    treatment: Treatment
    country: str
    rate_bps: int
    note: str
    rule: str
    check: Check | None
