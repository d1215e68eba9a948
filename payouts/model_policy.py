"""What a tenant asks for before money leaves: cooling, verification, limits. Versions, by date."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from kernel.money import to_json

COOLING_DAYS: Final = 3
"""How old a method must be where no policy says otherwise (domain/escrow.md 2.9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One version: of methods (`currency` None), or of the limits of a currency.

    It counts from the later of `valid_from` and its approval. `approval_above_minor`: a payout of
    more than this needs a second person; None: none does. `minimum_minor`: the least that is paid
    out at a time.
    """

    id: UUID
    currency: str | None
    valid_from: datetime
    cooling_days: int | None = None
    needs_verifying: bool | None = None
    approval_above_minor: int | None = None
    minimum_minor: int | None = None
    reason: str = ""
    prepared_by: UUID
    prepared_at: datetime
    approved_by: UUID | None = None
    approved_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What counts for payouts of one currency."""

    approval_above_minor: int | None = None
    minimum_minor: int = 0

    def needs_second_person(self, amount_minor: int) -> bool:
        """Whether so much is paid out only after a second person has said yes."""
        return self.approval_above_minor is not None and amount_minor > self.approval_above_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What counts at one time: for new methods, and by currency."""

    cooling_days: int = COOLING_DAYS
    needs_verifying: bool = True
    limits: Mapping[str, Limits] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, currency: str) -> Limits:
        """The limits of a currency; none where no policy names it."""
        return self.limits.get(currency, Limits())


def as_json(policy: Policy) -> dict[str, Any]:
    """The version as the API shows it."""
    money = {
        name: None if minor is None or policy.currency is None else to_json(minor, policy.currency)
        for name, minor in (
            ("approval_above", policy.approval_above_minor),
            ("minimum", policy.minimum_minor),
        )
    }
    return {
        "id": str(policy.id),
        "currency": policy.currency,
        "valid_from": policy.valid_from.isoformat(),
        "cooling_days": policy.cooling_days,
        "needs_verifying": policy.needs_verifying,
        **money,
        "reason": policy.reason,
        "prepared_by": str(policy.prepared_by),
        "prepared_at": policy.prepared_at.isoformat(),
        "approved_by": None if policy.approved_by is None else str(policy.approved_by),
        "approved_at": None if policy.approved_at is None else policy.approved_at.isoformat(),
    }
