"""What the platform sells besides its fees: plans, and products as a promoted profile.

An offering is one version of such a thing; a party subscribes to a plan and buys a product. What
was paid for a time, by a subscriber or a buyer, is a purchase. Amounts are minor units.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from commissions.model import Side
from kernel.money import to_json


class OfferingKind(StrEnum):
    """A plan renews itself until somebody ends it; a product is bought for some days."""

    PLAN = "plan"
    PRODUCT = "product"


class Every(StrEnum):
    """For what time a price is paid; `once` is a product's."""

    MONTH = "month"
    YEAR = "year"
    ONCE = "once"


class RefundRule(StrEnum):
    """What ending early gives back: nothing, and it runs to its end; or the days not begun."""

    KEEPS = "keeps"
    PRO_RATA = "pro_rata"


class Role(StrEnum):
    """What an actor is to an offering, a subscription, or a purchase."""

    PARTY = "party"
    OPERATOR = "operator"
    SYSTEM = "system"


class OfferingState(StrEnum):
    """The life of one version."""

    PREPARED = "prepared"
    APPROVED = "approved"
    REJECTED = "rejected"


class SubscriptionState(StrEnum):
    """The life of a subscription. `ending`: it was ended, and what is paid runs out."""

    ACTIVE = "active"
    PAST_DUE = "past_due"
    ENDING = "ending"
    LAPSED = "lapsed"
    CANCELLED = "cancelled"


class PurchaseState(StrEnum):
    """Money that we have and earn day by day; what was given back is earned no more."""

    EARNING = "earning"
    EARNED = "earned"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class PriceOf:
    """What a month, a year, or a product costs in one currency, without tax."""

    currency: str
    every: Every
    amount_minor: int

    @property
    def as_json(self) -> dict[str, Any]:
        """The price as people are shown it."""
        return {"every": self.every.value, "price": to_json(self.amount_minor, self.currency)}


class TaxOn(NamedTuple):
    """The tax that a charge bears: the decision of the day, or none at all."""

    rate_bps: int = 0
    country: str | None = None
    treatment: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offering:
    """One version of a plan or a product: immutable, sold from `valid_from` until the next one.

    `side` says whose money pays: what a payee has earned, or a client's wallet. `days` is how
    long a product lasts. `wanted_from` None: from its approval. One without prices ends the sale.
    """

    id: UUID
    kind: OfferingKind
    name: str
    version: int
    side: Side
    refund: RefundRule
    prices: tuple[PriceOf, ...]
    days: int | None
    reason: str
    wanted_from: datetime | None
    prepared_by: UUID
    prepared_at: datetime
    state: OfferingState = OfferingState.PREPARED
    decided_by: UUID | None = None
    decided_at: datetime | None = None
    valid_from: datetime | None = None

    @property
    def subject(self) -> str:
        """The offering's name in events."""
        return f"offering:{self.id}"

    def price(self, currency: str, every: Every) -> PriceOf | None:
        """Its price for a time in a currency, or None."""
        asked = (currency, every)
        return next((each for each in self.prices if (each.currency, each.every) == asked), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A party's plan. `period_from` to `period_to` is paid; both are counted from `anchor_at`.

    The offering and its price are pinned: a newer version is for new subscribers. `failures` is
    how often in a row the charge of the next period failed.
    """

    id: UUID
    party_id: UUID
    offering_id: UUID
    plan: str
    side: Side
    refund: RefundRule
    currency: str
    every: Every
    price_minor: int
    anchor_at: datetime
    period_no: int
    period_from: datetime
    period_to: datetime
    failures: int = 0
    state: SubscriptionState = SubscriptionState.ACTIVE
    version: int = 1
    ended_at: datetime | None = None

    @property
    def subject(self) -> str:
        """The subscription's name in events and timers."""
        return f"subscription:{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What was paid for a time: a product's, or one period of a subscription.

    `net_minor` is earned from `from_at` to `to_at`, of which `earned_minor` is; `refunded_minor`
    and `refunded_tax_minor` went back. `about` is what a product promotes: `profile:...`.
    """

    id: UUID
    kind: OfferingKind
    name: str
    party_id: UUID
    offering_id: UUID
    subscription_id: UUID | None
    about: str
    side: Side
    refund: RefundRule
    currency: str
    net_minor: int
    tax_minor: int
    tax_rate_bps: int
    tax_country: str | None
    treatment: str | None
    note: str | None
    from_at: datetime
    to_at: datetime
    bought_at: datetime
    earned_minor: int = 0
    refunded_minor: int = 0
    refunded_tax_minor: int = 0
    state: PurchaseState = PurchaseState.EARNING
    version: int = 1

    @property
    def subject(self) -> str:
        """The purchase's name in events and timers."""
        return f"purchase:{self.id}"

    @property
    def days(self) -> int:
        """How many days it was paid for."""
        return (self.to_at - self.from_at).days

    @property
    def total_minor(self) -> int:
        """What was paid, with its tax."""
        return self.net_minor + self.tax_minor


def offering_json(offering: Offering) -> dict[str, Any]:
    """An offering as the API shows it."""
    return {
        "offering_id": str(offering.id),
        "kind": offering.kind.value,
        "name": offering.name,
        "version": offering.version,
        "side": offering.side.value,
        "refund": offering.refund.value,
        "prices": [each.as_json for each in offering.prices],
        "days": offering.days,
        "reason": offering.reason,
        "state": offering.state.value,
        "prepared_at": offering.prepared_at.isoformat(),
        "wanted_from": _time(offering.wanted_from),
        "decided_at": _time(offering.decided_at),
        "valid_from": _time(offering.valid_from),
    }


def subscription_json(subscription: Subscription) -> dict[str, Any]:
    """A subscription as the API shows it."""
    return {
        "subscription_id": str(subscription.id),
        "party_id": str(subscription.party_id),
        "offering_id": str(subscription.offering_id),
        "plan": subscription.plan,
        "every": subscription.every.value,
        "price": to_json(subscription.price_minor, subscription.currency),
        "state": subscription.state.value,
        "version": subscription.version,
        "period_from": subscription.period_from.isoformat(),
        "period_to": subscription.period_to.isoformat(),
        "failures": subscription.failures,
        "ended_at": _time(subscription.ended_at),
    }


def purchase_json(purchase: Purchase) -> Mapping[str, Any]:
    """A purchase as the API shows it."""
    currency = purchase.currency
    return {
        "purchase_id": str(purchase.id),
        "kind": purchase.kind.value,
        "name": purchase.name,
        "party_id": str(purchase.party_id),
        "subscription_id": str(purchase.subscription_id) if purchase.subscription_id else None,
        "about": purchase.about,
        "net": to_json(purchase.net_minor, currency),
        "tax": to_json(purchase.tax_minor, currency),
        "tax_rate_bps": purchase.tax_rate_bps,
        "tax_country": purchase.tax_country,
        "total": to_json(purchase.total_minor, currency),
        "earned": to_json(purchase.earned_minor, currency),
        "refunded": to_json(purchase.refunded_minor + purchase.refunded_tax_minor, currency),
        "from_at": purchase.from_at.isoformat(),
        "to_at": purchase.to_at.isoformat(),
        "state": purchase.state.value,
        "version": purchase.version,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
