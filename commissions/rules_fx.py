"""Decisions of exchange: what a quote says, who may use it, and what a policy may be."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import chain
from typing import Final
from uuid import UUID

from commissions.maths_fx import (
    TooMuch,
    bought_at_quote,
    customer_rate,
    margin,
    sold_at_quote,
)
from commissions.model_fx import FixedSide, Policy, Priced, Quote, QuoteState
from commissions.refusals_fx import (
    BadPolicy,
    NotOperator,
    OverLimit,
    QuoteExpired,
    QuoteOfAnotherPair,
    QuoteUsed,
    SecondPerson,
    UnknownQuote,
)
from kernel.money import MAX_MINOR, exponent
from kernel.principals import Actor, PrincipalKind
from rails.rates.model import Rate

SHORTEST: Final = timedelta(seconds=10)
LONGEST: Final = timedelta(hours=24)
"""No quote of a provider lives longer (domain/escrow.md 2.11, case 36)."""

MOST_BPS: Final = 9_999
MOST_ROWS: Final = 1_000


def price(mid: Rate, *, margin_bps: int, fixed: FixedSide, amount_minor: int) -> Priced:
    """The two amounts of an exchange of which one is given.

    Where the bought side is given, the customer gets exactly that, for the least that buys it.
    Refuses `fx.zero_rate`, `fx.too_small`, `fx.too_much`.
    """
    at = customer_rate(mid.rate, margin_bps)
    if fixed is FixedSide.SELL:
        sold, bought = amount_minor, bought_at_quote(amount_minor, mid, at)
    else:
        sold, bought = sold_at_quote(amount_minor, mid, at), amount_minor
    if max(sold, bought) > MAX_MINOR:
        raise TooMuch(amount_minor=amount_minor, currency=mid.sold)
    return Priced(at, sold, bought, margin(sold, mid, at))


def check_use(quote: Quote | None, quote_id: UUID, *, party_id: UUID, at: datetime) -> Quote:
    """The quote, if this party may use it now for what is no release.

    Refuses `fx.unknown_quote`, `fx.quote_used`, `fx.quote_expired`, `fx.quote_does_not_fit`.
    """
    if quote is None or quote.party_id != party_id:
        raise UnknownQuote(quote_id=str(quote_id))
    if quote.state is QuoteState.USED:
        raise QuoteUsed(quote_id=str(quote_id), used_by=quote.used_by)
    if quote.state is QuoteState.EXPIRED or at >= quote.expires_at:
        raise QuoteExpired(quote_id=str(quote_id), expires_at=quote.expires_at.isoformat())
    if quote.contract_id is not None:
        raise QuoteOfAnotherPair(quote_id=str(quote_id), contract_id=str(quote.contract_id))
    return quote


def check_limits(
    policy: Policy, open_minor: Mapping[str, int], *, sold: str, bought: str, priced: Priced
) -> None:
    """Refuses `fx.over_limit` where the bridge would stand further open than the policy allows."""
    for currency, moved in ((sold, -priced.sold_minor), (bought, priced.bought_minor)):
        limit = policy.limits.get(currency)
        if limit is not None and abs(open_minor.get(currency, 0) + moved) > limit:
            raise OverLimit(
                currency=currency, limit_minor=limit, open_minor=open_minor.get(currency, 0)
            )


def check_policy(policy: Policy) -> None:
    """Refuses `fx.bad_policy` or `money.unknown_currency`."""
    if not 1 <= len(policy.source) <= 40:
        raise BadPolicy(why="source")
    if not SHORTEST <= policy.lifetime <= LONGEST:
        raise BadPolicy(why="lifetime")
    if len(policy.margins) > MOST_ROWS or len(policy.limits) > MOST_ROWS:
        raise BadPolicy(why="too many rows")
    if not all(0 <= each <= MOST_BPS for each in (policy.margin_bps, *policy.margins.values())):
        raise BadPolicy(why="margin")
    if not 0 <= policy.tolerance_bps <= MOST_BPS:
        raise BadPolicy(why="tolerance")
    if any(sold == bought for sold, bought in policy.margins):
        raise BadPolicy(why="a pair of one currency")
    if not all(0 <= limit <= MAX_MINOR for limit in policy.limits.values()):
        raise BadPolicy(why="limit")
    for currency in (policy.reporting, *chain.from_iterable(policy.margins), *policy.limits):
        exponent(currency)


def check_operator(actor: Actor) -> None:
    """Refuses `fx.not_operator`: the platform alone, or the engine, does this."""
    if not actor.is_operator and actor.kind not in {PrincipalKind.SYSTEM, PrincipalKind.RAIL}:
        raise NotOperator


def check_person(actor: Actor, *, not_by: UUID | None = None) -> None:
    """Refuses `fx.not_operator` and `fx.second_person`: people of the platform, and two of them."""
    if not actor.is_operator:
        raise NotOperator
    if actor.kind is not PrincipalKind.PERSON or actor.principal_id == not_by:
        raise SecondPerson
