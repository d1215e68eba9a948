"""Rates of exchange and quotes on them: where a rate is from, what it buys, and until when."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from uuid import UUID

from rails.rates.model import Rate


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


@dataclass(frozen=True, slots=True)
class Quote:
    """A promise: these two amounts, until `expires_at`, once.

    `mid` is the rate of the source, `rate` the customer's, which is `mid` less `margin_bps`.
    `margin_minor` is what the margin should come to in the bought currency.
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
    used_by: UUID | None = None


class ConversionKind(StrEnum):
    """What money changed its currency for."""

    RELEASE = "release"
    FUNDING = "funding"
    REFUND = "refund"
    BALANCE = "balance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """Money that changed its currency for a customer, and waits for the provider's fill.

    `subject` is what it was for (`release:0190...`). The customer sold `sold_minor` and got
    `bought_minor`; `margin_minor` is what our margin should come to in the bought currency.
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
