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
    """Pay out part of a payee's available money; our fee is taken from `amount_minor`.

    `fee_minor` None: the payout fee of the day. `instant` asks the rail for its fastest way.
    """

    payout_id: UUID
    payee_id: UUID
    method_id: UUID
    amount_minor: int
    currency: str
    fee_minor: int | None = None
    instant: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutCommand(Command):
    """A command on a payout that needs nothing more: submit, cancel, approve, refuse, block."""

    payout_id: UUID
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddMethod(Command):
    """Name a new place to be paid to: a token at the rail, never a bank number."""

    method_id: UUID
    party_id: UUID
    token: str
    rail: str = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyMethod(Command):
    """Say that a method was checked to be the payee's; an operator's word."""

    method_id: UUID
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPayeeAccount(Command):
    """Open an account for a payee at a rail; with `replaces`, one that follows the present one."""

    account_id: UUID
    party_id: UUID
    rail: str
    replaces: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparePolicy(Command):
    """What payouts shall need from a time on; counts once another person has approved it.

    Of methods where `currency` is None (`cooling_days`, `needs_verifying`), else of the currency
    (`approval_above_minor` None: no limit; `minimum_minor`).
    """

    policy_id: UUID
    currency: str | None = None
    valid_from: datetime
    cooling_days: int | None = None
    needs_verifying: bool | None = None
    approval_above_minor: int | None = None
    minimum_minor: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovePolicy(Command):
    """The second person's word on a policy."""

    policy_id: UUID
    reason: str = ""


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
