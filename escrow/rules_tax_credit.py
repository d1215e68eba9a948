"""Which fees a proof that came later makes free of tax, and the lines that say so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from uuid import UUID

from escrow.model_price import FeeKind, FeeLine
from escrow.movements_tax import tax_credited
from escrow.rules_price import standing
from kernel.commands import Command
from ledger.entries import Entries
from tax.model_vat import Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditTax(Command):
    """Give the tax back that a party bore while its number was valid and nobody had checked it."""

    party_id: UUID
    reason: str = ""


class Credit(NamedTuple):
    """The tax of one fee that goes back: the line that takes the fee back, and the one anew."""

    back: FeeLine
    anew: FeeLine

    @property
    def tax_minor(self) -> int:
        """How much, in minor units of the fee's currency."""
        return -self.back.tax_minor

    def entries(self) -> Entries:
        """The money of it."""
        return tax_credited(
            payee_id=self.back.payee_id,
            currency=self.back.currency,
            country=self.back.tax_country or "",
            tax_minor=self.tax_minor,
        )


def credits_of(lines: Sequence[FeeLine], decision: Decision) -> list[Credit]:
    """What goes back of fees whose tax would have been decided so; none where it bears tax.

    `lines` are all lines of the releases concerned, oldest first. Per release what still stands
    of the commission is taken back with its tax, and earned anew without: the fee stays as it
    was. A client's fee includes its tax, so that none of it goes back.
    """
    if decision.rate_bps:
        return []
    made = []
    for family in _families(lines).values():
        tax = sum(line.tax_minor for line in family)
        if tax <= 0:
            continue
        stands = replace(
            standing(family),
            gross_minor=sum(line.gross_minor for line in family),
            fee_minor=sum(line.fee_minor for line in family),
            tax_minor=tax,
            foregone_minor=sum(line.foregone_minor for line in family),
        )
        back = replace(
            stands,
            gross_minor=-stands.gross_minor,
            fee_minor=-stands.fee_minor,
            tax_minor=-stands.tax_minor,
            foregone_minor=-stands.foregone_minor,
        )
        anew = replace(
            stands,
            tax_minor=0,
            tax_rate_bps=0,
            tax_country=decision.country,
            treatment=decision.treatment.value,
            note=decision.note,
        )
        made.append(Credit(back, anew))
    return made


def _families(lines: Sequence[FeeLine]) -> Mapping[UUID, list[FeeLine]]:
    found: dict[UUID, list[FeeLine]] = {}
    for line in lines:
        if line.kind is FeeKind.COMMISSION:
            found.setdefault(line.release_id, []).append(line)
    return found
