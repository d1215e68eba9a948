"""What may be asked of a price before anyone signs, and what a quote answers; pure.

Amounts are minor units of the deal's currency, unless said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from commissions.maths_parts import Part
from commissions.model import Basis, Tariff
from escrow.model import Contract, Terms
from escrow.model_price import Charge, Exchange, Price
from kernel.commands import Command

KINDS = (Basis.MILESTONE, Basis.HOURLY, Basis.RETAINER, Basis.BONUS)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskQuote(Command):
    """What would a payment cost: under a contract, or under one that might be proposed.

    Either `contract_id`, or `client_id`, `payee_id` and `currency` with the terms that would be
    proposed. One of `amount_minor` (a milestone, a tip, a retainer's price per period), `minutes`
    at `rate_minor` an hour, or `net_minor`: what the payee shall get at least, in the currency
    that he is paid in. `stated_in` is the currency that the amount was given in. `promotion`
    names the code of one.
    """

    kind: Basis = Basis.MILESTONE
    contract_id: UUID | None = None
    client_id: UUID | None = None
    payee_id: UUID | None = None
    currency: str | None = None
    terms: Terms | None = None
    promotion: str | None = None
    stated_in: str | None = None
    amount_minor: int | None = None
    minutes: int | None = None
    rate_minor: int | None = None
    net_minor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """All that a quote of one deal stands on.

    `contract_id` is None where there is no such contract yet. `client_tariff` makes the client's
    fee. `normal` is the price without the arms of experiments, where one concerns the deal.
    `choices` tell how the schedules were chosen, as facts for the answer. `is_pinned`: the
    contract was accepted with them; otherwise `chosen_until` is when the first of the chosen
    schedules ends, if that is known.
    """

    contract: Contract
    contract_id: UUID | None
    price: Price
    client_tariff: Tariff
    normal: Price | None = None
    choices: tuple[Mapping[str, Any], ...] = ()
    is_pinned: bool = False
    chosen_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """The whole price of one payment.

    `client_fee_minor` has its tax in it. `following` is what the same amount would cost after
    this one, `normal` what this one costs without an experiment's arm.
    """

    kind: Basis
    amount_minor: int
    client_fee_minor: int
    charge: Charge
    parts: tuple[Part, ...]
    exchange: Exchange | None
    following: Charge
    normal: Charge | None = None

    @property
    def client_pays_minor(self) -> int:
        """What the client is charged in all."""
        return self.amount_minor + self.client_fee_minor
