"""What payouts can be asked to do: one frozen command per use case.

Ids of new things come from the caller (`kernel.ids.new_id`), so that a repeated request names
the same thing. Amounts are minor units and above zero, as `kernel.money.parse_minor` gives them.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kernel.commands import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPayout(Command):
    """Pay out part of a payee's available money; our fee is taken from `amount_minor`."""

    payout_id: UUID
    payee_id: UUID
    method_id: UUID
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutCommand(Command):
    """A command on a payout that needs nothing more: submit, cancel."""

    payout_id: UUID
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddMethod(Command):
    """Name a new place to be paid to: a token at the rail, never a bank number."""

    method_id: UUID
    party_id: UUID
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(Command):
    """Let a payee's payouts go on after one failed or came back; an operator's decision."""

    party_id: UUID
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCapital(Command):
    """The owner pays capital into the platform's bank."""

    currency: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFee(Command):
    """What a payout in a currency costs from a time on, until a later fee counts; 0: nothing."""

    currency: str
    fee_minor: int
    valid_from: datetime
