"""The treasury's page: what is where, why it stays, and what settles next; nothing is written."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from kernel.money import to_json
from payouts import treasury
from payouts.model_settlement import Mode, Position, ProcessorPosition
from payouts.rules_settlement import settle_currency
from payouts.settlement import look
from rails.capabilities import CAPABILITIES


def page(connection: Connection, *, at: datetime) -> list[dict[str, Any]]:
    """One row per currency. What stands as next is what `settlement.settle` would ask for now."""
    places = treasury.at_rails(connection)
    stopped = {currency for _, currency in treasury.below_zero(connection)}
    return [_row(position, places, stopped) for position in look(connection, at=at)]


def _row(position: Position, places: Mapping[str, Any], stopped: Collection[str]) -> dict[str, Any]:
    currency = position.currency
    settlement = settle_currency(position)
    return {
        "currency": currency,
        "bank": to_json(position.bank_minor, currency),
        "platform_bank": to_json(position.platform_bank_minor, currency),
        "promised_by_bank": to_json(position.payouts_minor, currency),
        "due_to_platform": to_json(position.due_to_platform_minor, currency),
        "due_from_platform": to_json(position.due_from_platform_minor, currency),
        "places": [_place(each, currency, places) for each in position.processors],
        "set_off": to_json(settlement.set_off_minor, currency),
        "next": [
            {
                "source": transfer.source,
                "target": transfer.target,
                "rail_account": transfer.rail_account,
                "amount": to_json(transfer.amount_minor, currency),
            }
            for transfer in settlement.transfers
        ],
        "shortfall": to_json(settlement.shortfall_minor, currency),
        "payouts_stopped": currency in stopped,
    }


def _place(each: ProcessorPosition, currency: str, places: Mapping[str, Any]) -> dict[str, Any]:
    def there(kind: str) -> dict[str, str]:
        return to_json(places[kind][currency].get(each.rail_account, 0), currency)

    limits = CAPABILITIES[each.rail_account].hold_deadline_days
    return {
        "rail_account": each.rail_account,
        "mode": each.mode.value,
        "pending": there(treasury.PENDING),
        "available": to_json(each.available_minor, currency),
        "reserved": there(treasury.RESERVED),
        "promised_refunds": to_json(each.refunds_minor, currency),
        "promised_payouts": to_json(each.payouts_minor, currency),
        "floor": to_json(each.floor_minor, currency),
        "stays_at_most_days": limits.get(""),
        "why": _why(each),
    }


def _why(each: ProcessorPosition) -> str:
    if each.available_minor < 0:
        return "below zero: payouts of the currency have stopped"
    if each.available_minor <= each.promised_minor:
        return "promised to refunds and payouts by this rail"
    if each.mode is Mode.STAY:
        return "stays until the bank needs it, or the rail's limit ends"
    if each.floor_minor:
        return "the floor stays, the rest lands"
    return "what is not promised lands"
