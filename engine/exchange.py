"""Conversions that wait for their fill, taken to the provider: the simulated bank is one.

The price of a fill follows from its conversion alone, and the bank moves a fill once: whoever runs
this again, after an end at any point, comes to the same books.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine

from commissions import store_fx
from commissions.maths_fx import customer_rate
from commissions.model_fx import Conversion
from escrow.commands_fx import RecordFill
from escrow.service_fx import record_fills
from kernel.database import Tenant, transaction
from kernel.errors import Broken
from kernel.money import convert
from kernel.principals import RAIL
from rails.model import RailAccount
from rails.simulated import exchange
from rails.simulated.service import SimulatedRail

PROVIDER: Final = "simulated"
_PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """How the simulated provider trades: below the mid rate, and some time after the deal.

    At 30 basis points it fills 90.00 EUR at 1.0967 where the mid was 1.1000 (P34).
    """

    spread_bps: int = 30
    delay: timedelta = timedelta(hours=1)


USUAL: Final = Market()


def filled_minor(conversion: Conversion, market: Market = USUAL) -> int:
    """What the provider gives for the sold amount, at least one minor unit."""
    rate = customer_rate(conversion.mid.rate, market.spread_bps)
    found = convert(
        conversion.sold_minor, sold=conversion.sold, bought=conversion.bought, rate=rate
    )
    return max(1, found)


def fill_open(
    engine: Engine, tenant: Tenant, rail: SimulatedRail, *, at: datetime, market: Market = USUAL
) -> int:
    """Have all conversions filled whose time has come and whose money lies there; how many were.

    Two transactions with the bank between them. What the account cannot pay yet is left open.
    """
    filled, after = 0, None
    while True:
        with transaction(engine, tenant) as connection:
            page = store_fx.list_open(connection, after=after, limit=_PAGE)
        due = [each for each in page if each.at + market.delay <= at]
        if due:
            filled += _fill(engine, tenant, rail, due, at, market)
        if len(page) < _PAGE:
            return filled
        after = page[-1].id


def _fill(
    engine: Engine,
    tenant: Tenant,
    rail: SimulatedRail,
    due: Sequence[Conversion],
    at: datetime,
    market: Market,
) -> int:
    orders = [
        exchange.Fill(
            id=each.id,
            account=RailAccount.PROCESSOR_AVAILABLE
            if each.rail_account
            else RailAccount.CUSTODY_BANK,
            sold=each.sold,
            sold_minor=each.sold_minor,
            bought=each.bought,
            bought_minor=filled_minor(each, market),
        )
        for each in due
    ]
    made = exchange.fill(rail, orders, at=at)
    commands = [
        RecordFill(
            actor=RAIL,
            conversion_id=order.id,
            provider=PROVIDER,
            provider_ref=f"sim_fill_{order.id.hex}",
            filled_minor=order.bought_minor,
        )
        for order in orders
        if order.id in made
    ]
    if not commands:
        return 0
    with transaction(engine, tenant) as connection:
        outcomes = record_fills(connection, commands, at=at)
    # Told once the others are booked: one that cannot be booked must not undo its neighbours.
    refused = [each.code for each in outcomes if not each.is_done]
    if refused:
        raise Broken("a fill that the bank made was refused", codes=refused)
    return len(commands)
