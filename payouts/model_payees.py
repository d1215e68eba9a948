"""Payees' accounts at rails: what the rail lets them do, by its newest word."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class AccountState(StrEnum):
    """How far an account is; a payee has one OPEN at a rail, and one that comes after it."""

    OPENING = "opening"
    OPEN = "open"
    REPLACED = "replaced"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class PayeeAccount:
    """One account of a payee at a rail. Its id is the key of the operation that opened it.

    `account_ref` is the rail's name of it, empty until the rail has opened it. `as_of` is the
    rail's time of what we know; None until it was read. `hold_id` is the hold that we placed
    while the rail does not let it be paid out.
    """

    id: UUID
    party_id: UUID
    rail: str
    account_ref: str = ""
    state: AccountState = AccountState.OPENING
    may_receive: bool = False
    may_be_paid_out: bool = False
    requirements: tuple[str, ...] = ()
    deadline: datetime | None = None
    disabled_reason: str = ""
    as_of: datetime | None = None
    is_live: bool = True
    hold_id: UUID | None = None
    code: str = ""
    opened_at: datetime

    @property
    def rail_account(self) -> str:
        """The subject of its money in the books."""
        return f"{self.rail}:{self.account_ref}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PayeeWord:
    """What a rail says of an account at its own time `as_of`."""

    rail: str
    account_ref: str
    may_receive: bool
    may_be_paid_out: bool
    requirements: tuple[str, ...]
    deadline: datetime | None
    disabled_reason: str
    as_of: datetime
    is_live: bool = True

    @property
    def why_not(self) -> str:
        """Why it may not be paid out, in the rail's words; shown to whoever is held."""
        words = [self.disabled_reason, *self.requirements]
        told = ", ".join(word for word in words if word) or "no reason given"
        return f"{self.rail}: {told}"[:500]


def word_of(rail: str, facts: Mapping[str, Any]) -> PayeeWord:
    """The word of a notice; KeyError, TypeError or ValueError if it is not what the port says."""
    deadline, as_of = facts.get("deadline"), facts["as_of"]
    word = PayeeWord(
        rail=rail,
        account_ref=str(facts["account"]),
        may_receive=facts["may_receive"] is True,
        may_be_paid_out=facts["may_be_paid_out"] is True,
        requirements=tuple(str(each)[:200] for each in facts.get("requirements") or ())[:50],
        deadline=_time(deadline) if deadline else None,
        disabled_reason=str(facts.get("disabled_reason") or "")[:200],
        as_of=_time(as_of),
        is_live=facts.get("is_live", True) is True,
    )
    if word.as_of.tzinfo is None:
        raise ValueError(as_of)
    return word


def as_json(account: PayeeAccount) -> dict[str, Any]:
    """The account as the API shows it."""
    return {
        "id": str(account.id),
        "party_id": str(account.party_id),
        "rail": account.rail,
        "account": account.account_ref,
        "state": account.state.value,
        "may_receive": account.may_receive,
        "may_be_paid_out": account.may_be_paid_out,
        "requirements": list(account.requirements),
        "deadline": account.deadline.isoformat() if account.deadline else None,
        "disabled_reason": account.disabled_reason,
        "as_of": account.as_of.isoformat() if account.as_of else None,
        "is_live": account.is_live,
        "code": account.code,
        "opened_at": account.opened_at.isoformat(),
    }


def _time(value: object) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
