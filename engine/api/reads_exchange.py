"""What can be looked at of exchange: rates, policy, quotes, conversions, what stands open."""

from datetime import UTC
from typing import Any, Final

from sqlalchemy import Connection

from commissions import store_fx, store_fx_quotes
from commissions.service_fx import policy_of, quote_facts
from commissions.service_fx_policy import policy_facts
from engine.api import answers_exchange as answers
from engine.api.access import Scope
from engine.api.calls import Look, Page, PageQuery, Read, after_id, by_id, declare, page_of
from engine.api.models import Request
from engine.api.refusals import PlatformOnly
from engine.api.writes_exchange import Day
from escrow.rules_fx import conversion_facts
from escrow.service_fx import exposure
from kernel import clock
from rails.rates.model import show_rate


class RatesQuery(Request):
    """By which day; today if left out."""

    on: Day | None = None


def _rates(connection: Connection, look: Look) -> dict[str, Any]:
    on = look.query.on or clock.now(connection).astimezone(UTC).date()
    source = policy_of(connection).source
    return {
        "source": source,
        "on": on.isoformat(),
        "rates": [
            {
                "source": each.source,
                "sold": each.sold,
                "bought": each.bought,
                "rate": show_rate(each.rate),
                "as_of": each.as_of.isoformat(),
            }
            for each in store_fx_quotes.list_rates(connection, source, on=on)
        ],
    }


def _policy(connection: Connection, look: Look) -> dict[str, Any] | None:
    if look.sees_only is not None:
        raise PlatformOnly
    found = store_fx_quotes.find_policy(connection)
    return policy_facts(found) if found else None


def _quote(connection: Connection, look: Look) -> dict[str, Any] | None:
    quote_id = look.ids["quote_id"]
    found = store_fx_quotes.find_quotes(connection, [quote_id]).get(quote_id)
    if found is None or look.sees_only not in {None, found.party_id}:
        return None
    return quote_facts(found)


def _conversions(connection: Connection, look: Look) -> Page:
    limit = look.query.limit
    rows = store_fx.list_conversions(
        connection, after=after_id(look), limit=limit + 1, party_id=look.sees_only
    )
    return page_of(rows, limit, show=conversion_facts, key=by_id)


def _conversion(connection: Connection, look: Look) -> dict[str, Any] | None:
    conversion_id = look.ids["conversion_id"]
    found = store_fx.find_conversions(connection, [conversion_id]).get(conversion_id)
    if found is None or look.sees_only not in {None, found.party_id}:
        return None
    return conversion_facts(found)


def _exposure(connection: Connection, look: Look) -> dict[str, Any]:
    if look.sees_only is not None:
        raise PlatformOnly
    at = clock.now(connection)
    return {
        "at": at.isoformat(),
        "currencies": [each.as_json(at) for each in exposure(connection)],
    }


EXCHANGE_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/fx/rates",
        Scope.CONTRACTS_READ,
        _rates,
        answers.RatesAnswer,
        summary="The newest mid rates of our source by a day",
        query=RatesQuery,
    ),
    declare(
        "/v1/fx/policy",
        Scope.LEDGER_READ,
        _policy,
        answers.PolicyAnswer,
        summary="How the tenant exchanges now",
    ),
    declare(
        "/v1/fx/quotes/{quote_id}",
        Scope.PAYOUTS_READ,
        _quote,
        answers.FxQuoteAnswer,
        summary="A quote",
    ),
    declare(
        "/v1/conversions",
        Scope.PAYOUTS_READ,
        _conversions,
        answers.ConversionAnswer,
        summary="Money that changed its currency, oldest first",
        query=PageQuery,
        pages=True,
    ),
    declare(
        "/v1/conversions/{conversion_id}",
        Scope.PAYOUTS_READ,
        _conversion,
        answers.ConversionAnswer,
        summary="A conversion, and its fill",
    ),
    declare(
        "/v1/fx/exposure",
        Scope.LEDGER_READ,
        _exposure,
        answers.ExposureAnswer,
        summary="What was promised in each currency and not yet filled",
    ),
)
"""Every look at exchange."""
