"""What the price of a deal stands on under its locks, and what of it is written down.

Amounts are minor units of the contract's currency, unless said.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from commissions.model import Tariff
from commissions.model_fx import Quote
from kernel.errors import Broken, Refusal
from rails.rates.model import Rate
from tax.model_vat import Decision


class FeeKind(StrEnum):
    """What a fee is for."""

    COMMISSION = "commission"
    CLIENT_FEE = "client_fee"


@dataclass(slots=True)
class Pair:
    """What a client and a payee billed in one currency, as locked; a batch carries it on.

    `billed_minor` is what was released less what came back, over the pair's life;
    `charged_month_minor` the commission of the calendar month (UTC) that begins on `month`.
    """

    client_id: UUID
    payee_id: UUID
    currency: str
    billed_minor: int
    month: date
    charged_month_minor: int

    def charged_in(self, month: date) -> int:
        """The commission of a month: nothing is known of another than the newest."""
        return self.charged_month_minor if month == self.month else 0

    def take(self, line: "FeeLine") -> None:
        """The pair after a line of commission; other fees are no billings."""
        if line.kind is not FeeKind.COMMISSION:
            return
        self.billed_minor += line.gross_minor
        if line.month > self.month:
            self.month, self.charged_month_minor = line.month, 0
        if line.month == self.month:
            self.charged_month_minor += line.fee_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeLine:
    """One fee that was earned, or that came back (below zero), with its tax.

    `gross_minor` is the payee's money that it was taken of; nothing for a client's fee, whose
    `fee_minor` is without its tax. `before_minor` and `before_month_minor` are what stood before
    the release, so that what comes back is unwound from its own bands. `foregone_minor` is what
    a promotion forwent. `month` is the calendar month of the release.
    """

    kind: FeeKind
    contract_id: UUID
    release_id: UUID
    slot_id: UUID | None
    party_id: UUID
    client_id: UUID
    payee_id: UUID
    currency: str
    gross_minor: int
    fee_minor: int
    tax_minor: int
    tax_country: str | None
    tax_rate_bps: int
    treatment: str | None
    note: str | None
    before_minor: int
    before_month_minor: int
    is_promoted: bool
    foregone_minor: int
    schedule_id: UUID | None
    promotion_id: UUID | None
    month: date

    @property
    def total_minor(self) -> int:
        """The fee with its tax."""
        return self.fee_minor + self.tax_minor


class Exchange(NamedTuple):
    """The rate that a payee's money is converted at: the source's, and his."""

    mid: Rate
    rate: Fraction
    margin_bps: int


class Shown(NamedTuple):
    """A quote of exchange that somebody names with a release; `quote` is None if there is none."""

    quote_id: UUID
    quote: Quote | None
    contract_id: UUID
    payee_currency: str | None
    tolerance_bps: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """All that a release of one contract costs, as it stands under its locks.

    `promoted` is the tariff of a promotion that holds now. `tax` is decided for the payee,
    `fee_tax` for the client; None: the platform charges none. `exchange` is the payee's rate of
    today, a refusal if there is none, None if he is paid in the contract's currency.
    `lines` are the fee lines of what was released already, and `tariffs` what they were made by.
    `shown` is the quote that the release is to be exchanged at.
    """

    pair: Pair
    tariff: Tariff
    month: date
    schedule_id: UUID | None = None
    promoted: Tariff | None = None
    promotion_id: UUID | None = None
    tax: Decision | None = None
    fee_tax: Decision | None = None
    exchange: Exchange | Refusal | None = None
    shown: Shown | None = None
    lines: tuple[FeeLine, ...] = ()
    tariffs: Mapping[UUID | None, Tariff] = field(default_factory=lambda: MappingProxyType({}))


class Pricing:
    """Where a deal's price is put once its locks are held."""

    __slots__ = ("_client", "_price")

    def __init__(self, price: Price | None = None, client: Tariff | None = None) -> None:
        """Of a price that is known already, or not yet."""
        self._price, self._client = price, client

    @property
    def price(self) -> Price:
        """What a release costs; Broken if the use case did not ask for it."""
        if self._price is None:
            raise Broken("a price was asked for that was not looked up")
        return self._price

    @property
    def client_tariff(self) -> Tariff:
        """What the client's payments cost; Broken if the use case did not ask for it."""
        if self._client is None:
            raise Broken("a client's tariff was asked for that was not looked up")
        return self._client

    def put(self, price: Price) -> None:
        """The price as its locks showed it."""
        self._price = price

    def put_client(self, tariff: Tariff) -> None:
        """The client's tariff: pinned, so it needs no lock."""
        self._client = tariff


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What one release costs: the payee's side, and the client's fee that it earns.

    `paid_minor` is what the payee gets in `paid_currency`, where that is not the contract's.
    """

    gross_minor: int
    commission_minor: int
    tax_minor: int
    foregone_minor: int
    fee_earned_minor: int
    fee_tax_minor: int
    paid_currency: str | None = None
    paid_minor: int | None = None
    unconverted: str = ""
    """Why the payee is paid in the contract's currency after all: the code of a refusal."""
    exchange: Exchange | None = None
    quote: Quote | None = None
    """The quote that it was exchanged at."""
    instead: str = ""
    """Why the rate of the day was taken, where a quote was shown: `ended`, `another_amount`."""

    @property
    def ours_minor(self) -> int:
        """What we take of it: commission and its tax."""
        return self.commission_minor + self.tax_minor

    @property
    def net_minor(self) -> int:
        """What is left to the payee, in the contract's currency."""
        return self.gross_minor - self.ours_minor


class Returned(NamedTuple):
    """What comes back of the fees of released money, and the lines that say so."""

    commission_minor: int
    tax_minor: Mapping[str, int]
    """By country."""
    lines: tuple[FeeLine, ...]

    @property
    def ours_minor(self) -> int:
        """What we give back: commission and its tax."""
        return self.commission_minor + sum(self.tax_minor.values())
