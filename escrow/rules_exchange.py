"""At which rate a release is exchanged: that of the day, or of a quote that was shown before it.

Amounts are minor units; what is sold is the payee's part in the contract's currency.

Source: domain/escrow.md 2.11, case 35.
"""

from fractions import Fraction
from typing import Final, NamedTuple

from commissions.maths_fx import bought_for
from commissions.model_fx import FixedSide, Quote, QuoteState
from commissions.refusals_fx import QuoteOfAnotherPair, QuoteUsed, RateMoved, UnknownQuote
from escrow.model_price import Exchange, Price, Shown
from kernel.errors import Refusal
from kernel.money import to_json

_WHOLE_BPS: Final = 10_000


class Exchanged(NamedTuple):
    """The payee's part in his currency; nothing where he is paid in the contract's.

    `unconverted` is the code of the refusal that made it so, `quote` the quote that was used, and
    `instead` why it was not, where one was shown.
    """

    currency: str | None = None
    paid_minor: int | None = None
    exchange: Exchange | None = None
    unconverted: str = ""
    quote: Quote | None = None
    instead: str = ""


NOTHING: Final = Exchanged()


def exchanged(net_minor: int, price: Price, *, strict: bool) -> Exchanged:
    """The payee's part in his currency, where he has one of his own and anything to get.

    A quote that was shown is used if it stands and is of this amount. Otherwise the rate of the
    day is taken where it lies within the policy's tolerance of the quote's. Refuses
    `fx.unknown_quote`, `fx.quote_used`, `fx.quote_does_not_fit`, `fx.rate_moved`; and `fx.*` of a
    rate that there is not, if `strict`: otherwise he is paid in the contract's currency.
    """
    if price.shown is not None:
        return _as_shown(net_minor, price, price.shown)
    if price.exchange is None or net_minor == 0:
        return NOTHING
    try:
        return _today(net_minor, price)
    except Refusal as refusal:
        if strict:
            raise
        return Exchanged(unconverted=refusal.code)


def _today(net_minor: int, price: Price) -> Exchanged:
    exchange = price.exchange
    if isinstance(exchange, Refusal):
        raise exchange
    assert exchange is not None
    bought = bought_for(net_minor, exchange.mid, exchange.rate)
    return Exchanged(exchange.mid.bought, bought, exchange)


def _as_shown(net_minor: int, price: Price, shown: Shown) -> Exchanged:
    quote = _fitting(price, shown)
    has_ended = quote.state is QuoteState.EXPIRED or shown.at >= quote.expires_at
    if not has_ended and quote.sold_minor == net_minor:
        exchange = Exchange(quote.mid, quote.rate, quote.margin_bps)
        return Exchanged(quote.mid.bought, quote.bought_minor, exchange, quote=quote)
    if net_minor == 0:
        return NOTHING
    found = _today(net_minor, price)
    assert found.exchange is not None
    if not is_near(found.exchange.rate, shown=quote.rate, tolerance_bps=shown.tolerance_bps):
        raise RateMoved(
            quote_id=str(quote.id),
            quoted=to_json(quote.bought_minor, quote.mid.bought),
            quoted_for=to_json(quote.sold_minor, quote.mid.sold),
            now=to_json(found.paid_minor or 0, quote.mid.bought),
            now_for=to_json(net_minor, quote.mid.sold),
            tolerance_bps=shown.tolerance_bps,
        )
    return found._replace(instead="ended" if has_ended else "another_amount")


def _fitting(price: Price, shown: Shown) -> Quote:
    """The quote, if it was asked for a release under this contract and was not used."""
    quote = shown.quote
    if quote is None or quote.party_id not in {price.pair.client_id, price.pair.payee_id}:
        raise UnknownQuote(quote_id=str(shown.quote_id))
    if quote.state is QuoteState.USED:
        raise QuoteUsed(quote_id=str(quote.id), used_by=quote.used_by)
    pair = (price.pair.currency, shown.payee_currency)
    fits = quote.contract_id == shown.contract_id and (quote.mid.sold, quote.mid.bought) == pair
    if price.exchange is None or not fits or quote.fixed is not FixedSide.SELL:
        raise QuoteOfAnotherPair(quote_id=str(quote.id))
    return quote


def is_near(rate: Fraction, *, shown: Fraction, tolerance_bps: int) -> bool:
    """Whether a rate lies within so many basis points of the one that was shown."""
    return abs(rate - shown) * _WHOLE_BPS <= shown * tolerance_bps
