"""What every way of paying a payee has in common: his release, our fees of it, his currency.

A movement gives the entries in the contract's currency, with all that we take as one figure;
`Payout.entries` adds the tax and the exchange to them. Amounts are minor units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from commissions.maths_fx import margin
from commissions.model_fx import Conversion, ConversionKind
from escrow.machine import Timer, Trigger
from escrow.model import Alarm, Contract, Release
from escrow.model_price import Charge, FeeKind, FeeLine, Pair, Price
from escrow.movements_price import with_exchange, with_taxes
from escrow.rules import Deal
from escrow.rules_price import charge, lines_of, taxes_of
from kernel.money import to_json
from ledger.entries import Entries
from rails.rates.model import PLACES

UNATTENDED: Final = frozenset(
    {Trigger.AUTO_RELEASE, Trigger.RELEASE_DORMANT, Trigger.RELEASE_EARNED}
)
"""Releases that nobody asked for now: without a rate of exchange they are paid unconverted."""


@dataclass(frozen=True, slots=True)
class Payout:
    """One release as it is paid: its price, its row, its fee lines, and what was converted."""

    charge: Charge
    release: Release
    lines: tuple[FeeLine, ...]
    pair: Pair
    conversions: tuple[Conversion, ...] = ()

    @property
    def billed(self) -> tuple[tuple[Pair, FeeLine], ...]:
        """The fee lines, each with the pair that it moves."""
        return tuple((self.pair, line) for line in self.lines)

    @property
    def facts(self) -> dict[str, object]:
        """What an answer says of it."""
        return release_facts(self.release) | self._exchange_facts()

    @property
    def detail(self) -> dict[str, Any]:
        """What its event keeps of exchange: the lines do not show the rate."""
        return self._exchange_facts()

    def entries(self, entries: Entries) -> Entries:
        """A movement's entries, with the tax on our fees, and paid in the payee's currency."""
        found = with_tax_of(entries, self.release.currency, self.lines)
        if self.release.paid_minor is None:
            return found
        return with_exchange(
            found,
            payee_id=self.release.payee_id,
            sold=self.release.currency,
            bought=self.release.purse_currency,
            sold_minor=self.release.net_minor,
            bought_minor=self.release.paid_minor,
        )

    def _exchange_facts(self) -> dict[str, str]:
        if self.charge.unconverted:
            return {"unconverted": self.charge.unconverted}
        if not self.conversions:
            return {}
        (found,) = self.conversions
        return {
            "conversion_id": str(found.id),
            "rate": shown(found.rate),
            "rate_as_of": found.mid.as_of.isoformat(),
            **({"fx_quote_id": str(found.quote_id)} if found.quote_id else {}),
            **({"fx_quote_not_used": self.charge.instead} if self.charge.instead else {}),
        }


def shown(rate: Fraction) -> str:
    """A rate of at most ten decimals as it is written."""
    scaled = rate.numerator * 10**PLACES // rate.denominator
    return f"{scaled // 10**PLACES}.{scaled % 10**PLACES:0{PLACES}d}"


def pay_out(
    deal: Deal,
    amount_minor: int,
    *,
    release_id: UUID,
    at: datetime,
    strict: bool,
    fee_earned_minor: int | None = None,
) -> Payout:
    """Release an amount of a slot now: the first release earns the client's deferred fee.

    All of it, unless `fee_earned_minor` says otherwise.

    Refuses `fx.*` where the payee has a currency of his own without a rate, if `strict`.
    """
    return pay(
        deal.contract,
        deal.pricing.price,
        amount_minor,
        fee_earned_minor=(
            deal.slot.fee_deferred_minor if fee_earned_minor is None else fee_earned_minor
        ),
        release_id=release_id,
        slot_id=deal.slot.id,
        at=at,
        strict=strict,
    )


def pay(
    contract: Contract,
    price: Price,
    amount_minor: int,
    *,
    fee_earned_minor: int,
    release_id: UUID,
    slot_id: UUID | None,
    at: datetime,
    strict: bool,
) -> Payout:
    """The same of any money under a contract: a slot's, or a tip's."""
    made = charge(price, amount_minor, fee_earned_minor=fee_earned_minor, strict=strict)
    release = Release(
        release_id,
        contract.id,
        slot_id,
        contract.payee_id,
        contract.currency,
        amount_minor,
        made.commission_minor,
        at + timedelta(days=contract.terms.security_hold_days),
        tax_minor=made.tax_minor,
        paid_currency=made.paid_currency,
        paid_minor=made.paid_minor,
    )
    lines = lines_of(made, price, contract, release_id=release_id, slot_id=slot_id)
    return Payout(made, release, lines, price.pair, _conversions(release, made, at))


def rows_of(payout: Payout | None) -> dict[str, Any]:
    """The rows of a release as a `Plan` takes them; none where the payee gets nothing."""
    if payout is None:
        return {}
    return {
        "releases": (payout.release,),
        "billed": payout.billed,
        "conversions": payout.conversions,
    }


def alarms_of(payout: Payout | None) -> tuple[Alarm, ...]:
    """The clock of its security hold."""
    return () if payout is None else (security_alarm(payout.release),)


def with_tax_of(entries: Entries, currency: str, lines: Sequence[FeeLine]) -> Entries:
    """A movement's entries with the tax of lines that move without a release.

    Lines below zero give tax back with its fee (domain/escrow.md 3.3, rule 7).
    """
    return with_taxes(
        entries,
        currency=currency,
        on_commission=taxes_of([line for line in lines if line.kind is FeeKind.COMMISSION]),
        on_client_fee=taxes_of([line for line in lines if line.kind is FeeKind.CLIENT_FEE]),
    )


def _conversions(release: Release, made: Charge, at: datetime) -> tuple[Conversion, ...]:
    exchange, quote = made.exchange, made.quote
    if release.paid_minor is None or exchange is None:
        return ()
    return (
        Conversion(
            id=release.id,
            kind=ConversionKind.RELEASE,
            subject=f"release:{release.id}",
            party_id=release.payee_id,
            mid=exchange.mid,
            rate=exchange.rate,
            margin_bps=exchange.margin_bps,
            sold_minor=release.net_minor,
            bought_minor=release.paid_minor,
            margin_minor=margin(release.net_minor, exchange.mid, exchange.rate),
            at=at,
            quote_id=quote.id if quote else None,
        ),
    )


def security_alarm(release: Release) -> Alarm:
    """The clock of a security hold."""
    return Alarm(f"release:{release.id}", Timer.SECURITY_HOLD, release.available_at, 0)


def release_facts(release: Release) -> dict[str, object]:
    """What an answer says of a release; `payee_gets` in the currency that he is paid in."""
    gets = release.net_minor if release.paid_minor is None else release.paid_minor
    return {
        "release_id": str(release.id),
        "released": to_json(release.gross_minor, release.currency),
        "commission": to_json(release.commission_minor, release.currency),
        "tax": to_json(release.tax_minor, release.currency),
        "payee_gets": to_json(gets, release.purse_currency),
        "available_at": release.available_at.isoformat(),
    }
