"""The commands on plans and products."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from commissions.model import Side
from commissions.model_plans import Every, OfferingKind, PriceOf, RefundRule
from kernel.commands import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareOffering(Command):
    """A new version of a plan or a product; another person approves it."""

    offering_id: UUID
    kind: OfferingKind
    name: str
    side: Side
    refund: RefundRule
    prices: tuple[PriceOf, ...]
    days: int | None = None
    wanted_from: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideOffering(Command):
    """Approve a version, or give it up."""

    offering_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe(Command):
    """Take a plan, and pay its first period. `offering_version`, where given, is what was shown."""

    subscription_id: UUID
    party_id: UUID
    plan: str
    currency: str
    every: Every
    offering_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelSubscription(Command):
    """End a plan: as its terms say, at its period's end or now."""

    subscription_id: UUID
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuyProduct(Command):
    """Buy a product for some days; `about` is what it promotes."""

    purchase_id: UUID
    party_id: UUID
    product: str
    currency: str
    about: str = ""
    offering_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnProduct(Command):
    """Give a product back before its days are over, where its terms allow that."""

    purchase_id: UUID
    version: int | None = None
