"""Rules of dormancy, what became unclaimed by them, and its way to a state."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from kernel.commands import Command
from kernel.money import to_json


class Owner(StrEnum):
    """Whose money it is: rules differ for what was earned and what a client left with us."""

    PAYEE = "payee"
    CLIENT = "client"


KIND_OF: Final = {Owner.PAYEE: "custody.earned_available", Owner.CLIENT: "custody.wallet"}
"""Where the money of each owner lies."""

OWNER_OF: Final = {kind: owner for owner, kind in KIND_OF.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class DormancyRule:
    """After how many years of silence money is due to a state, from a day on.

    `jurisdiction` is a country, or a country and its part: US-CA. The owner is written to
    `notice_days` before. `source` names the law.
    """

    jurisdiction: str
    owner: Owner
    valid_from: date
    years: int
    notice_days: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """Money of one party in one account, and where the party lives."""

    party_id: UUID
    kind: str
    currency: str
    amount_minor: int
    jurisdiction: str


class UnclaimedState(StrEnum):
    """Where unclaimed money is."""

    HELD = "held"
    REMITTING = "remitting"
    REMITTED = "remitted"
    REACTIVATED = "reactivated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclaimed:
    """Money of one party that is owed to a state now; `kind` is where it came from."""

    id: UUID
    party_id: UUID
    kind: str
    currency: str
    amount_minor: int
    jurisdiction: str
    last_contact_at: datetime
    noticed_at: datetime
    moved_at: datetime
    state: UnclaimedState = UnclaimedState.HELD
    remittance_id: UUID | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remittance:
    """Unclaimed money of one state and currency on its way there; two people send it."""

    id: UUID
    jurisdiction: str
    currency: str
    amount_minor: int
    state: str
    method: str
    reason: str
    prepared_by: UUID
    prepared_at: datetime
    approved_by: UUID | None = None
    approved_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDormancyRule(Command):
    """A rule from a day on; it never changes, a later one follows it."""

    rule: DormancyRule


@dataclass(frozen=True, slots=True, kw_only=True)
class SetResidence(Command):
    """Where a party lives from a day on; without it the party's country counts."""

    party_id: UUID
    jurisdiction: str
    since: date


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteContact(Command):
    """A word of an owner that reached us by letter or telephone."""

    party_id: UUID
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reactivate(Command):
    """The owner turned up: give him back what no state has yet."""

    party_id: UUID
    how: str = "the owner asked for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareRemittance(Command):
    """Send all that is held for a state in a currency; `method` is its account, as a token."""

    remittance_id: UUID
    jurisdiction: str
    currency: str
    method: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRemittance(Command):
    """The second person's word on a prepared remittance, or its withdrawal."""

    remittance_id: UUID


def years_after(start: datetime, years: int) -> datetime:
    """The same day so many years later; 28 February for a 29th that there is not."""
    try:
        return start.replace(year=start.year + years)
    except ValueError:
        return start.replace(year=start.year + years, day=28)


def unclaimed_facts(each: Unclaimed) -> dict[str, Any]:
    """Unclaimed money as the API shows it."""
    return {
        "id": str(each.id),
        "party_id": str(each.party_id),
        "from": each.kind,
        "amount": to_json(each.amount_minor, each.currency),
        "jurisdiction": each.jurisdiction,
        "last_contact_at": each.last_contact_at.isoformat(),
        "noticed_at": each.noticed_at.isoformat(),
        "moved_at": each.moved_at.isoformat(),
        "state": each.state.value,
        "remittance_id": str(each.remittance_id) if each.remittance_id else None,
        "ended_at": each.ended_at.isoformat() if each.ended_at else None,
    }


def remittance_facts(each: Remittance) -> dict[str, Any]:
    """A remittance as the API shows it."""
    return {
        "remittance_id": str(each.id),
        "jurisdiction": each.jurisdiction,
        "amount": to_json(each.amount_minor, each.currency),
        "state": each.state,
        "reason": each.reason,
        "prepared_by": str(each.prepared_by),
        "prepared_at": each.prepared_at.isoformat(),
        "approved_by": str(each.approved_by) if each.approved_by else None,
        "approved_at": each.approved_at.isoformat() if each.approved_at else None,
        "ended_at": each.ended_at.isoformat() if each.ended_at else None,
    }


def rule_facts(rule: DormancyRule) -> dict[str, Any]:
    """A rule as the API shows it."""
    return {
        "jurisdiction": rule.jurisdiction,
        "owner": rule.owner.value,
        "valid_from": rule.valid_from.isoformat(),
        "years": rule.years,
        "notice_days": rule.notice_days,
        "source": rule.source,
    }
