"""Quotes of exchange that somebody was shown before he let money go: locked, and put on the price.

Called after the pairs are locked: quotes come after counters (design.md, section 4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from commissions.service_fx import policy_of
from commissions.store_fx_quotes import lock_quotes
from escrow.commands import SlotCommand
from escrow.model_price import Shown
from escrow.rules import Deal


def show_quotes(
    connection: Connection,
    commands: Sequence[SlotCommand],
    deals: Mapping[UUID, Deal],
    *,
    at: datetime,
) -> None:
    """Lock the quotes that commands name, and put each on the price of its deal."""
    named = {each.slot_id: each.quote_id for each in commands if each.quote_id is not None}
    if not named:
        return
    quotes = lock_quotes(connection, named.values())
    tolerance_bps = policy_of(connection).tolerance_bps
    for slot_id, quote_id in named.items():
        deal = deals.get(slot_id)
        if deal is None:
            continue
        shown = Shown(
            quote_id,
            quotes.get(quote_id),
            deal.contract.id,
            deal.contract.terms.payee_currency,
            tolerance_bps,
            at,
        )
        deal.pricing.put(replace(deal.pricing.price, shown=shown))
