"""Where money came from that was exchanged on its way in, and the day's rate back."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from commissions.maths_fx import customer_rate
from commissions.model_fx import ConversionKind
from commissions.service_fx import margins_for, rates_for
from commissions.store_fx import find_conversions
from escrow.model import Funding, Method
from escrow.model_price import Exchange
from escrow.rules_refund_fx import Came
from escrow.store_contest import list_taken
from kernel.errors import Refusal


def find_cards(connection: Connection, funding_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """The payment by card that each of these was exchanged from; the others are missing."""
    if not funding_ids:
        return {}
    return {
        each.id: UUID(each.subject.partition(":")[2])
        for each in find_conversions(connection, funding_ids).values()
        if each.kind is ConversionKind.FUNDING
    }


def find_came(
    connection: Connection, fundings: Mapping[UUID, Funding], at: datetime
) -> dict[UUID, Came]:
    """By payment, where its money came from and the customer's rate of today back to there."""
    wallets = [each.id for each in fundings.values() if each.method is Method.WALLET]
    cards = find_cards(connection, wallets)
    if not cards:
        return {}
    pairs = {(fundings[one].currency, fundings[card].currency) for one, card in cards.items()}
    rates, margins = rates_for(connection, pairs, at), margins_for(connection, pairs)
    taken = list_taken(connection, sorted(cards.values()))
    found: dict[UUID, Came] = {}
    for one, card in cards.items():
        pair = (fundings[one].currency, fundings[card].currency)
        mid, margin_bps = rates[pair], margins[pair]
        exchange: Exchange | Refusal
        try:
            if isinstance(mid, Refusal):
                raise mid
            exchange = Exchange(mid, customer_rate(mid.rate, margin_bps), margin_bps)
        except Refusal as refusal:
            exchange = refusal
        found[one] = Came(fundings[card], exchange, is_taken=card in taken)
    return found
