"""What may still leave, by where payouts leave from: the custody bank, or an account at a rail."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection

from ledger.chart import account
from ledger.service import balances
from payouts import settlement, store, treasury
from rails import service as rails
from rails.capabilities import rail_of
from rails.model import RailAccount, RailOperation

_REFUNDS: Final = "escrow.refund"
"""Under this name refunds wait for rails; what they need is promised."""


def free_money(
    connection: Connection, wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """What may still leave by (place, currency): booked, less what is promised or on its way out.

    A place is the platform's account at a rail, or empty for the custody bank. Until the end of
    the transaction nobody else promises anything away. What leaves meanwhile is read before the
    balance, so that it is counted twice rather than not at all. A rail's account that is below
    zero pays nothing: it would be other clients' money.

    Source: domain/escrow.md 2.11, edge case 45.
    """
    purse = {
        ("", currency): minor for currency, minor in settlement.free_in_bank(connection).items()
    }
    at_rails = sorted({(place, currency) for place, currency in wanted if place})
    if not at_rails:
        return purse
    promised = store.sum_promised(connection, only_submitted=True)
    leaving = [(_rail(op), op.currency, op.amount_minor) for op in _leaving(connection)]
    keys = {each: account("custody.processor_available", each[1], each[0]) for each in at_rails}
    booked = balances(connection, list(keys.values()))
    for each, key in keys.items():
        purse[each] = booked[key] - promised.get(each, 0)
    for rail, currency, minor in leaving:
        if (rail, currency) in keys:
            purse[rail, currency] -= minor
    for _, currency in treasury.below_zero(connection):
        for rail, other in keys:
            if other == currency:
                purse[rail, other] = min(0, purse[rail, other])
    return purse


def _leaving(connection: Connection) -> list[RailOperation]:
    """What leaves platform accounts at rails and is no payout: refunds, and settlements' moves."""
    moves = [
        operation
        for operation in rails.list_open(connection, settlement.HANDLER)
        if operation.facts["source"] == RailAccount.PROCESSOR_AVAILABLE.value
    ]
    return [*moves, *rails.list_open(connection, _REFUNDS)]


def _rail(operation: RailOperation) -> str:
    """The rail whose account an operation takes from; a settlement's may be made by the bank's."""
    return rail_of(operation.facts.get("rail_account") or operation.rail)
