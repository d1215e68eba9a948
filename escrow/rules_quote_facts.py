"""A quote as it is answered: every part by itself, why it is so, and until when it holds."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from commissions.explaining import percent
from commissions.maths_parts import Part
from escrow.model import ConvertAt
from escrow.model_price import Charge, Exchange
from escrow.model_quote import Ground, Quoted
from escrow.rules_payout import shown
from kernel.money import to_json
from tax.model_vat import Decision

Json = dict[str, Any]


def quote_facts(ground: Ground, quoted: Quoted, at: datetime) -> Json:
    """The whole price with stable keys; what does not apply is null."""
    contract, price, charge = ground.contract, ground.price, quoted.charge
    money = partial(to_json, currency=contract.currency)
    return {
        "kind": quoted.kind.value,
        "contract_id": ground.contract_id and str(ground.contract_id),
        "currency": contract.currency,
        "at": at.isoformat(),
        "amount": money(quoted.amount_minor),
        "client": {
            "pays": money(quoted.client_pays_minor),
            "fee": money(quoted.client_fee_minor),
            "tax_in_fee": money(charge.fee_tax_minor),
            "tax": _tax(price.fee_tax),
        },
        "commission": {
            "fee": money(charge.commission_minor),
            "forgone": money(charge.foregone_minor),
            "schedule_id": price.schedule_id and str(price.schedule_id),
            "promotion_id": price.promotion_id and str(price.promotion_id),
            "billed_before": money(price.pair.billed_minor),
            "parts": [_part(each, contract.currency) for each in quoted.parts],
        },
        "tax": {"amount": money(charge.tax_minor), "decision": _tax(price.tax)},
        "exchange": quoted.exchange and _exchange(ground, quoted.exchange, charge),
        "payee_gets": _gets(charge, contract.currency),
        "next": _arm(quoted.following, contract.currency),
        "normal": quoted.normal and _arm(quoted.normal, contract.currency),
        "choices": list(ground.choices),
        "why": _why(ground),
        "holds": _holds(ground, quoted),
    }


def _tax(decision: Decision | None) -> Json | None:
    if decision is None:
        return None
    return {
        "treatment": decision.treatment.value,
        "country": decision.country,
        "rate_bps": decision.rate_bps,
        "note": decision.note,
        "rule": decision.rule,
    }


def _part(part: Part, currency: str) -> Json:
    money = partial(to_json, currency=currency)
    is_band = part.on_minor > 0
    return {
        "what": part.what.value,
        "fee": money(part.fee_minor),
        "rate_bps": part.rate_bps if is_band else None,
        "on": money(part.on_minor) if is_band else None,
        "from": money(part.from_minor) if is_band else None,
        "up_to": None if part.up_to_minor is None else money(part.up_to_minor),
    }


def _exchange(ground: Ground, exchange: Exchange, charge: Charge) -> Json:
    return {
        "mid": shown(exchange.mid.rate),
        "rate": shown(exchange.rate),
        "margin_bps": exchange.margin_bps,
        "source": exchange.mid.source,
        "as_of": exchange.mid.as_of.isoformat(),
        "sold": to_json(charge.net_minor, exchange.mid.sold),
        "bought": to_json(charge.paid_minor or 0, exchange.mid.bought),
        "promise": _promise(ground, exchange, charge),
    }


def _promise(ground: Ground, exchange: Exchange, charge: Charge) -> Json | None:
    """What to post to /v1/fx/quotes to be promised the rate; null: no contract runs yet."""
    if not ground.is_pinned or ground.contract_id is None or not charge.net_minor:
        return None
    return {
        "contract_id": str(ground.contract_id),
        "sold": exchange.mid.sold,
        "bought": exchange.mid.bought,
        "amount": to_json(charge.net_minor, exchange.mid.sold),
    }


def _gets(charge: Charge, currency: str) -> Json:
    if charge.paid_minor is not None and charge.paid_currency is not None:
        return to_json(charge.paid_minor, charge.paid_currency)
    return to_json(charge.net_minor, currency)


def _arm(charge: Charge, currency: str) -> Json:
    return {
        "commission": to_json(charge.commission_minor, currency),
        "tax": to_json(charge.tax_minor, currency),
        "payee_gets": _gets(charge, currency),
    }


def _why(ground: Ground) -> list[str]:
    """How the fees were chosen, in words; without a schedule they are the terms' flat rates."""
    told = [words for choice in ground.choices for words in _words(choice)]
    chosen = {choice["part"] for choice in ground.choices if choice["schedule_id"] is not None}
    terms = ground.contract.terms
    flat = (("payee", "commission", terms.commission_bps), ("client", "fee", terms.client_fee_bps))
    for side, fee, rate_bps in flat:
        if side not in chosen:
            told.append(
                f"No fee schedule of the {side} is for this deal: the {fee} is the flat"
                f" {percent(rate_bps)} of its terms."
            )
    return told


def _words(choice: Mapping[str, Any]) -> Sequence[str]:
    found: Sequence[str] = choice["words"]
    return found


def _holds(ground: Ground, quoted: Quoted) -> Json:
    """Until when each part holds; null: no end is known."""
    pins, terms = ground.contract.pins, ground.contract.terms
    promotion = pins.promotion_until
    fees = "Pinned for the life of the contract."
    if not ground.is_pinned:
        fees = "Pinned when the deal is accepted; until then a schedule may be replaced."
    exchange = None
    if quoted.exchange is not None:
        day = quoted.exchange.mid.as_of.isoformat()
        exchange = (
            f"The rate of {day}; a release takes that of its own day, so it may differ,"
            " unless it names a quote of exchange."
        )
    elif terms.payee_currency and terms.convert_at is not ConvertAt.RELEASE:
        exchange = f"Converted to {terms.payee_currency} at {terms.convert_at.value}, at its rate."
    return {
        "fees": {
            "until": ground.chosen_until and ground.chosen_until.isoformat(),
            "promotion_until": promotion and promotion.isoformat(),
            "words": fees,
        },
        "history": "As long as client and payee bill nothing else in this currency.",
        "tax": "Decided at the release, by its day and by the evidence that is known then.",
        "exchange": exchange,
    }
