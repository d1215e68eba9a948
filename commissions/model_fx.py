"""Rates of exchange, quotes on them and conversions: from where a rate is, and what it bought."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Final
from uuid import UUID

from rails.rates.model import Rate

Pair = tuple[str, str]
"""The sold and the bought currency."""


class ConvertAt(StrEnum):
    """When money changes its currency; pinned at acceptance, at release unless told."""

    FUNDING = "funding"
    RELEASE = "release"
    PAYOUT = "payout"


class FixedSide(StrEnum):
    """Which amount of a quote is given, and which is computed."""

    SELL = "sell"
    BUY = "buy"


class QuoteState(StrEnum):
    """A quote is used once or never."""

    OPEN = "open"
    USED = "used"
    EXPIRED = "expired"


class ConversionKind(StrEnum):
    """What a conversion was for; `subject` names that row."""

    RELEASE = "release"
    FUNDING = "funding"
    PAYOUT = "payout"
    REFUND = "refund"
    BALANCE = "balance"


class ConversionState(StrEnum):
    """The customer has his money at once; the provider fills the bridge later."""

    OPEN = "open"
    FILLED = "filled"


@dataclass(frozen=True, slots=True)
class Quote:
    """A promise: these two amounts, until `expires_at`, once.

    `mid` is the rate of the source, `rate` the customer's, which is `mid` less `margin_bps`.
    `margin_minor` is what the margin should come to in the bought currency; `used_by` the subject
    (`conversion:<uuid>`, `funding:<uuid>`, `release:<uuid>`) that it was used for. With a
    `contract_id` it is for a release under that contract and nothing else.
    """

    id: UUID
    party_id: UUID
    mid: Rate
    rate: Fraction
    margin_bps: int
    fixed: FixedSide
    sold_minor: int
    bought_minor: int
    margin_minor: int
    quoted_at: datetime
    expires_at: datetime
    state: QuoteState = QuoteState.OPEN
    used_by: str | None = None
    contract_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Fill:
    """What a provider gave for what was sold, in minor units of the bought currency.

    `gap_minor` is what it gave above what the customer got, `loss_minor` what of our margin the
    market took (a gain if negative).
    """

    filled_minor: int
    filled_at: datetime
    provider: str
    provider_ref: str
    gap_minor: int
    loss_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """Money that changed its currency: the sold amount, and what the customer got for it.

    `subject` is the row that it was for (`release:<uuid>`, `refund:<uuid>`). `mid` is the rate of
    the source, `rate` the customer's; `margin_minor` what our margin should come to in the bought
    currency. `rail_account` is the processor that the sold money lies with, empty for the bank.
    """

    id: UUID
    kind: ConversionKind
    subject: str
    party_id: UUID
    mid: Rate
    rate: Fraction
    margin_bps: int
    sold_minor: int
    bought_minor: int
    margin_minor: int
    at: datetime
    quote_id: UUID | None = None
    rail_account: str = ""
    fill: Fill | None = None

    @property
    def sold(self) -> str:
        """The currency that was given away."""
        return self.mid.sold

    @property
    def bought(self) -> str:
        """The currency that the customer got."""
        return self.mid.bought

    @property
    def state(self) -> ConversionState:
        """Whether the provider has filled it."""
        return ConversionState.FILLED if self.fill else ConversionState.OPEN


_NOTHING: Final[Mapping[str, int]] = MappingProxyType({})
_NO_PAIRS: Final[Mapping[Pair, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Policy:
    """How a tenant exchanges; the newest that a second person approved holds.

    `source` is the provider whose rates are used, `margins` those of pairs that differ from
    `margin_bps`, `limits` how much of a currency may stand open on the bridge, in minor units.
    `tolerance_bps` is how far the customer's rate may have moved from a quote that has ended for a
    release to go on without asking again.
    """

    source: str = "ecb"
    margin_bps: int = 0
    lifetime: timedelta = timedelta(minutes=15)
    reporting: str = "EUR"
    margins: Mapping[Pair, int] = field(default_factory=lambda: _NO_PAIRS)
    limits: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    version: int = 0
    tolerance_bps: int = 0

    def margin_of(self, pair: Pair) -> int:
        """Our margin on a pair, in basis points."""
        return self.margins.get(pair, self.margin_bps)


DEFAULT_POLICY: Final = Policy()
"""Until two people agree on another: the central bank's mid rates, and nothing for us."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A policy with the people behind it; `approved_by` is None until a second one agrees."""

    id: UUID
    policy: Policy
    reason: str
    prepared_by: UUID
    prepared_at: datetime
    approved_by: UUID | None = None
    approved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Priced:
    """What an exchange comes to at a mid rate with a margin, in minor units of both sides."""

    rate: Fraction
    sold_minor: int
    bought_minor: int
    margin_minor: int
