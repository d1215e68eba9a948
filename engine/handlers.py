"""The tables of handlers by name: what fires a timer, hears a rail, or does a job.

Rows of timers and of rail operations carry these names, so a name never changes its meaning.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection

from commissions import service_experiments_desk, service_fx
from engine import care
from engine.scanner import TimerHandler
from escrow import service as escrow
from escrow import service_fee_move, service_reserve
from escrow import timers as escrow_timers
from escrow.service_batch import CANCEL_HANDLER, FUNDING_HANDLER, REFUND_HANDLER
from escrow.service_chargeback import EVIDENCE_HANDLER, evidence_results
from escrow.service_plans_clocks import HANDLERS as PLANS
from escrow.store import find_fundings
from ledger import holds, journals, reservations
from payouts import service as payouts
from payouts import (
    service_chain,
    service_dormant,
    service_payees,
    service_schedules,
    service_transactions,
    settlement,
)
from payouts.operations import TRANSFERS
from rails.capabilities import capabilities_of
from rails.model import (
    CHARGEBACK_CHANGED,
    CHARGEBACK_FUNDS,
    FUNDS_AVAILABLE,
    PAYEE_CHANGED,
    TRANSACTIONS_BOOKED,
    Notice,
    RailOutcome,
    RailResult,
)
from rails.telling import NoticeHandler, ResultHandler

TIMERS: Final[Mapping[str, TimerHandler]] = MappingProxyType(
    {
        **escrow_timers.HANDLERS,
        **PLANS,
        **reservations.HANDLERS,
        **journals.HANDLERS,
        **service_experiments_desk.HANDLERS,
        **service_fx.HANDLERS,
        **service_fee_move.HANDLERS,
        **service_schedules.HANDLERS,
        **service_dormant.HANDLERS,
        "escrow.max_hold": service_reserve.max_hold(
            lambda connection, account, at: len(
                settlement.settle(connection, at=at, rail_account=account)
            )
        ),
    }
)
"""By the kind of the timer."""


def hear_fundings(connection: Connection, results: Sequence[RailResult], at: datetime) -> None:
    """What rails say of payments; money of a rail that limits how long it keeps it has a clock."""
    escrow.funding_results(connection, results, at=at)
    settlement.hear_available(connection, _at_once(connection, results), at)
    service_reserve.watch_limits(connection, results, at)


def _at_once(connection: Connection, results: Sequence[RailResult]) -> list[Notice]:
    """Payments that can be paid out as soon as they are made, at rails that say nothing of it."""
    made = {each.operation_id: each for each in results if each.outcome is RailOutcome.DONE}
    paid = [
        (each.rail_account, made[each.id])
        for each in find_fundings(connection, list(made))
        if each.rail_account and capabilities_of(each.rail_account).available_at_once
    ]
    return [
        Notice(
            rail=rail_account,
            notice_id=f"{result.operation_id}:available",
            kind=FUNDS_AVAILABLE,
            amount_minor=result.amount_minor - result.fee_minor,
            currency=result.currency,
            occurred_at=result.occurred_at,
        )
        for rail_account, result in paid
    ]


def hear_payees(connection: Connection, notices: Sequence[Notice], at: datetime) -> None:
    """What rails let payees' accounts do; the clocks of whoever is held stand still."""
    _follow_holds(connection, service_payees.hear_payees(connection, notices, at), at)


def hear_opened(connection: Connection, results: Sequence[RailResult], at: datetime) -> None:
    """Accounts that rails opened for payees; one that is replaced holds nobody any more."""
    _follow_holds(connection, service_payees.hear_opened(connection, results, at), at)


def _follow_holds(connection: Connection, subjects: Sequence[str], at: datetime) -> None:
    """Stop the clocks of subjects that are held by now, let the others' run on."""
    held = holds.list_open(connection, subjects) if subjects else {}
    stopped = sorted(each for each in set(subjects) if held.get(each))
    freed = sorted(set(subjects) - set(stopped))
    if stopped:
        escrow_timers.pause_clocks(connection, stopped, at=at)
    if freed:
        escrow_timers.resume_clocks(connection, freed, at=at)


RAIL_RESULTS: Final[Mapping[str, ResultHandler]] = MappingProxyType(
    {
        FUNDING_HANDLER: hear_fundings,
        REFUND_HANDLER: lambda connection, results, at: escrow.refund_results(
            connection, results, at=at
        ),
        # Whether it came in time is said of the payment itself.
        CANCEL_HANDLER: lambda _connection, _results, _at: None,
        EVIDENCE_HANDLER: lambda connection, results, at: evidence_results(
            connection, results, at=at
        ),
        payouts.HANDLER: payouts.hear,
        TRANSFERS: service_chain.hear_transfers,
        service_payees.HANDLER: hear_opened,
        settlement.HANDLER: settlement.hear_transfers,
        **care.RESULTS,
    }
)
"""By the handler that a rail operation names."""

RAIL_NOTICES: Final[Mapping[str, NoticeHandler]] = MappingProxyType(
    {
        FUNDS_AVAILABLE: settlement.hear_available,
        TRANSACTIONS_BOOKED: service_transactions.hear_statement,
        CHARGEBACK_CHANGED: care.hear_chargebacks,
        PAYEE_CHANGED: hear_payees,
        CHARGEBACK_FUNDS: care.hear_chargebacks,
    }
)
"""By the kind of a notice that is no result of an operation of ours."""
