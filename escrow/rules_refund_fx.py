"""Money that was exchanged when it came goes back in the currency that the client paid in.

It is exchanged at the rate of the day, and the client bears what that costs: he is told when he
pays. It goes back to the card that it came from, never more than was taken from it. What cannot be
exchanged, or is more than the card paid, is his in the contract's currency, in his wallet.

Source: domain/escrow.md 2.11, case 36. Amounts are minor units.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from commissions.maths_fx import bought_for, margin, sold_for
from commissions.model_fx import Conversion, ConversionKind
from escrow.machine import REFUNDS, Trigger
from escrow.model import Ask, Funding, Method, Plan, Refund, RefundState
from escrow.model_price import Exchange
from escrow.movements_price import with_refund_exchanged
from escrow.refusals import Held
from escrow.rules import step
from escrow.rules_payout import shown
from escrow.rules_refund import REFUNDERS, ask_of, given
from kernel.errors import Refusal
from kernel.money import to_json
from ledger.entries import Entries

EXCHANGED: Final = "exchanged"
"""Code of a refund to the wallet whose money went on to the card in the card's currency."""

ABOVE_PAYMENT: Final = "fx.above_payment"
"""Code where the card has had back all that it paid."""


@dataclass(frozen=True, slots=True)
class Came:
    """Where the money of a payment at a quote came from, and the rate back to its currency.

    `is_taken`: the client's bank took it back, and it did not come again.
    """

    card: Funding
    exchange: Exchange | Refusal
    is_taken: bool = False


@dataclass(frozen=True, slots=True)
class Back:
    """One refund on its way to the card, with what it sold of the contract's currency."""

    refund: Refund
    conversion: Conversion
    card: tuple[Funding, Funding]
    ask: Ask


def exchanged_back(
    plan: Plan, came: Mapping[UUID, Came], at: datetime, new_id: Callable[[], UUID]
) -> Plan:
    """A plan whose refunds to the wallet go on to the card, where their money came by one.

    Refuses `escrow.held` while the client's bank contests the payment, and where it took it back.
    """
    if not any(each.funding_id in came for each in plan.refunds):
        return plan
    refunds: list[Refund] = []
    made: list[Back] = []
    stayed: list[str] = []
    for each in plan.refunds:
        origin = came.get(each.funding_id)
        if origin is None or each.method is not Method.WALLET:
            refunds.append(each)
            continue
        try:
            found = _back(each, origin, at, new_id())
        except Held:
            raise
        except Refusal as refusal:
            stayed.append(refusal.code)
            refunds.append(replace(each, code=refusal.code))
            continue
        if found is None:
            stayed.append(ABOVE_PAYMENT)
            refunds.append(replace(each, code=ABOVE_PAYMENT))
            continue
        made.append(found)
        refunds += [replace(each, code=EXCHANGED), found.refund]
    return _planned(replace(plan, refunds=tuple(refunds)), made, stayed)


def _back(back: Refund, origin: Came, at: datetime, new_id: UUID) -> Back | None:
    """What goes to the card of one refund; None if the card has nothing left to get."""
    card = origin.card
    if card.in_dispute or origin.is_taken:
        raise Held(funding_id=str(card.id), holds=["funding:chargeback"])
    if isinstance(origin.exchange, Refusal):
        raise origin.exchange
    exchange = origin.exchange
    room = card.captured_minor - card.refunded_minor
    if room <= 0:
        return None
    sold, bought = back.total_minor, bought_for(back.total_minor, exchange.mid, exchange.rate)
    if bought > room:
        sold, bought = min(sold, sold_for(room, exchange.mid, exchange.rate)), room
    row, _ = step(REFUNDS, None, Trigger.CREATE, tuple(REFUNDERS))
    refund = replace(
        back,
        id=new_id,
        funding_id=card.id,
        method=card.method,
        rail_account=card.rail_account,
        currency=card.currency,
        amount_minor=bought,
        fee_minor=0,
        state=RefundState(row.to),
    )
    conversion = Conversion(
        id=new_id,
        kind=ConversionKind.REFUND,
        subject=f"refund:{new_id}",
        party_id=back.client_id,
        mid=exchange.mid,
        rate=exchange.rate,
        margin_bps=exchange.margin_bps,
        sold_minor=sold,
        bought_minor=bought,
        margin_minor=margin(sold, exchange.mid, exchange.rate),
        at=at,
    )
    return Back(refund, conversion, (card, given(card, refund)), ask_of(refund, card))


def _planned(plan: Plan, made: list[Back], stayed: list[str]) -> Plan:
    first, *others = plan.drafts
    entries: Entries = first.entries
    for each in made:
        entries = with_refund_exchanged(
            entries,
            client_id=each.refund.client_id,
            refund_id=each.refund.id,
            sold=each.conversion.sold,
            bought=each.conversion.bought,
            sold_minor=each.conversion.sold_minor,
            bought_minor=each.conversion.bought_minor,
        )
    told: dict[str, object] = {}
    if made:
        told["exchanged"] = [_told(each) for each in made]
    if stayed:
        told["unconverted"] = sorted(set(stayed))
    draft = replace(first, entries=entries, detail={**first.detail, **told})
    return replace(
        plan,
        drafts=(draft, *others),
        facts={**plan.facts, **told},
        moved_fundings=(*plan.moved_fundings, *(each.card for each in made)),
        conversions=(*plan.conversions, *(each.conversion for each in made)),
        asks=(*plan.asks, *(each.ask for each in made)),
    )


def _told(each: Back) -> dict[str, object]:
    conversion = each.conversion
    return {
        "refund_id": str(each.refund.id),
        "funding_id": str(each.refund.funding_id),
        "sold": to_json(conversion.sold_minor, conversion.sold),
        "client_gets": to_json(conversion.bought_minor, conversion.bought),
        "rate": shown(conversion.rate),
        "rate_as_of": conversion.mid.as_of.isoformat(),
    }
