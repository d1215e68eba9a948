"""What escrow can be asked to do: one frozen command per use case.

Ids of new things come from the caller (`kernel.ids.new_id`), so that a repeated request names
the same thing. `version`, where given, must be the slot's; `submission_no`, where given, must be
the submission that lies before the client. Both refuse with `escrow.stale_version`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from escrow.model import Method, Terms
from kernel.commands import Command

STANDARD: Final = Terms()
"""The terms of a proposal that names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """One milestone of a proposal; the price in minor units of the contract's currency.

    `due_at` is when the work is agreed to be there; dormancy counts from it at the earliest.
    """

    slot_id: UUID
    amount_minor: int
    title: str = ""
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Propose(Command):
    """Offer a contract to the other party: 1 to 100 milestones, and the terms."""

    contract_id: UUID
    client_id: UUID
    payee_id: UUID
    currency: str
    milestones: tuple[Milestone, ...]
    terms: Terms = STANDARD


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractCommand(Command):
    """A command on a contract: accept, pause, resume, end, close."""

    contract_id: UUID
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddMilestones(Command):
    """Offer further milestones under a running contract; the other party accepts them."""

    contract_id: UUID
    milestones: tuple[Milestone, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotCommand(Command):
    """A command on a slot that needs nothing more: cancel, accept_refund, give_back, ...

    `quote_id` is the quote of exchange that the payee's part (approve, confirm, release_part) or
    the payment (fund) was shown at; other commands take none.
    """

    slot_id: UUID
    version: int | None = None
    submission_no: int | None = None
    reason: str = ""
    quote_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fund(SlotCommand):
    """Pay for a slot, or for what an amendment added to it, by a rail or from the wallet.

    `method_token` is the rail's name for the means of payment; empty: the method's own name.
    With a `quote_id` the client pays by card in the quote's sold currency.
    """

    funding_id: UUID
    method: Method = Method.CARD
    method_token: str = ""
    rail_account: str = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingCommand(Command):
    """A command on a funding: cancel it, credit what came of it, let it expire."""

    funding_id: UUID
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip(Command):
    """Give the payee something on top; `amount_minor` is before commission and client fee."""

    contract_id: UUID
    funding_id: UUID
    amount_minor: int
    method: Method = Method.CARD
    method_token: str = ""
    rail_account: str = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit(SlotCommand):
    """Show the work: references to a message or to artefacts, at least one."""

    message_ref: str = ""
    artefact_refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePart(SlotCommand):
    """Release a part of what the slot holds: 0 < amount_minor < held."""

    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeAmendment(SlotCommand):
    """Offer a new price for a running slot, or to roll its rest forward to another slot."""

    amendment_id: UUID
    new_amount_minor: int | None = None
    to_slot_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignAmendment(Command):
    """Sign what the other party offered; it takes effect at once."""

    amendment_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseCommand(Command):
    """A command on a release: its security hold is over."""

    release_id: UUID
