"""What can be asked of money that changes its currency: one frozen command per use case."""

from dataclasses import dataclass
from uuid import UUID

from kernel.commands import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Convert(Command):
    """Exchange a payee's available money at a quote of his; the quote names both amounts.

    `is_wallet`: a client's wallet instead.
    """

    conversion_id: UUID
    quote_id: UUID
    is_wallet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFill(Command):
    """What a provider gave for the sold amount of a conversion.

    `filled_minor` is above zero, in the bought currency, which `currency` repeats where the
    provider names it; `provider_ref` is the provider's own name of the trade: the same one again
    changes nothing.
    """

    conversion_id: UUID
    provider: str
    provider_ref: str
    filled_minor: int
    currency: str = ""
