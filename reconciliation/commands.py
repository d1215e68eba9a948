"""The commands of statements and matching. Pure."""

from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from kernel.commands import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAccount(Command):
    """Say which place of the books an account stands for; `reference` as statements name it."""

    reference: str
    currency: str
    place: str
    rail_account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeFile(Command):
    """Take the statements of a file in."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMatching(Command):
    """Match what is open of a place; with `is_dry` only say what would come of it."""

    place: str
    currency: str
    rail_account: str = ""
    from_on: date | None = None
    to_on: date | None = None
    is_dry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideProposal(Command):
    """Accept or reject a proposal."""

    proposal_id: UUID
    is_accepted: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoMatch(Command):
    """Take a match back."""

    match_id: UUID
    reason: str
