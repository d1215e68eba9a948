"""What exchange can be asked to do: one frozen command per use case.

Ids of new things come from the caller (`kernel.ids.new_id`). Amounts are minor units above zero.
"""

from dataclasses import dataclass
from uuid import UUID

from commissions.model_fx import FixedSide, Policy
from kernel.commands import Command
from rails.rates.model import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparePolicy(Command):
    """Write down how the tenant shall exchange; a second person approves it."""

    policy_id: UUID
    policy: Policy
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovePolicy(Command):
    """Let a prepared policy hold from now on."""

    policy_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeRates(Command):
    """Write down the rates that a source gave; `origin` is the file or feed that they stood in."""

    rates: tuple[Rate, ...]
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskQuote(Command):
    """Promise a party two amounts for a while; `amount_minor` is of the fixed side's currency.

    With a `contract_id` they are for a release under it: what the payee gets of it, before and
    after exchange.
    """

    quote_id: UUID
    party_id: UUID
    sold: str
    bought: str
    fixed: FixedSide
    amount_minor: int
    contract_id: UUID | None = None
