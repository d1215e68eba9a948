"""Rates for whoever converts, taken from their source and read from our own rows.

A rate that is missing, too old or nothing is a refusal beside its pair, not an error: one deal of
a batch is refused, and its neighbours go on.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime

from sqlalchemy import Connection

from commissions import store_fx
from commissions.maths_fx import ZeroRate, check_fresh
from commissions.model_fx import Pair
from commissions.refusals_fx import NoRate, SameCurrency
from kernel.errors import Refusal
from rails.rates.model import Rate


def rates_for(
    connection: Connection, pairs: Collection[Pair], at: datetime
) -> dict[Pair, Rate | Refusal]:
    """The mid rate of each pair (sold, bought), or why there is none; one statement for all.

    The source is the policy's; the day is that of `at` in UTC. Refusals among the answers:
    `fx.no_rate`, `fx.stale_rate`, `fx.zero_rate`, `fx.same_currency`.
    """
    if not pairs:
        return {}
    on = at.astimezone(UTC).date()
    _, found = store_fx.find_mids(connection, pairs, on=on)
    return {pair: _usable(pair, found, on) for pair in set(pairs)}


def _usable(pair: Pair, found: Mapping[Pair, Rate], on: date) -> Rate | Refusal:
    sold, bought = pair
    if sold == bought:
        return SameCurrency(currency=sold)
    rate = found.get(pair)
    if rate is None:
        return NoRate(sold=sold, bought=bought)
    if rate.rate <= 0:
        return ZeroRate(rate=str(rate.rate))
    try:
        check_fresh(rate, on)
    except Refusal as refusal:
        return refusal
    return rate
