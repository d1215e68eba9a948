"""What the clocks of plans set off: the next charge, its retries, the end, and what a day earns.

The party is locked before its subscription, and the subscription before the clock is taken. A party
that is held, and a charge that the books refuse for another reason than want of money, are looked
at again in a day: nobody loses a plan by what he cannot help.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from commissions import rules_plans as rules
from commissions import store_plans
from commissions.model_plans import PurchaseState, Subscription, SubscriptionState
from escrow import rules_plans
from escrow.rules_plans import EARN, RENEW, Step
from escrow.service_plans import check_held, list_held, run_steps, taxes_of
from kernel import timers
from kernel.commands import Command, Outcome
from kernel.ids import new_id
from kernel.principals import SYSTEM
from kernel.timers import Arm, DueTimer
from ledger import parties
from ledger.rules import InsufficientFunds

AGAIN: Final = timedelta(days=1)
WAITED: Final = 0
"""The version of a clock that was set again because a charge could not be tried."""

Handler = Callable[[Connection, Sequence[DueTimer], datetime], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring(Command):
    """A clock's own command: the row that it is about."""

    row_id: UUID
    has_waited: bool = False


def renew(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Periods that are over: the next one is charged, or what was ended runs out."""
    ids = [_id(each) for each in due]
    found = store_plans.find_subscriptions(connection, ids)
    people = parties.lock_share(connection, [each.party_id for each in found])
    known = store_plans.lock_subscriptions(connection, ids, skip_locked=True)
    claimed = timers.claim(connection, [each for each in due if _id(each) in known])
    taxes, held = taxes_of(connection, people, at), list_held(connection, people)

    def decide(command: Ring) -> Step:
        old = known[command.row_id]
        if old.state is SubscriptionState.ENDING:
            return rules_plans.cancelled(None, SYSTEM, at, before=old, after=rules.run_out(old, at))
        check_held(held, old.party_id)
        new = rules.renewed(old, at, has_waited=command.has_waited)
        paid = rules.paid_for(new, new_id(), tax=taxes[old.party_id], at=at)
        return rules_plans.charged(old, new, paid, SYSTEM, at)

    commands = [
        Ring(actor=SYSTEM, row_id=_id(each), has_waited=each.subject_version == WAITED)
        for each in claimed
    ]
    outcomes = run_steps(connection, commands, decide, at=at)
    _fail(connection, _refused(commands, outcomes, known, poor=True), at)
    again = [
        Arm(each.subject, RENEW, at + AGAIN, WAITED)
        for each in _refused(commands, outcomes, known, poor=False)
    ]
    timers.arm(connection, again, at=at)
    return len(claimed)


def earn(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
    """Days that are over: their part of the price is ours now."""
    ids = [_id(each) for each in due]
    known = store_plans.lock_purchases(connection, ids, skip_locked=True)
    claimed = timers.claim(connection, [each for each in due if _id(each) in known])

    def decide(command: Ring) -> Step:
        old = known[command.row_id]
        return rules_plans.earned(SYSTEM, at, before=old, after=rules.earned(old, at))

    earning = [
        Ring(actor=SYSTEM, row_id=_id(each))
        for each in claimed
        if known[_id(each)].state is PurchaseState.EARNING
    ]
    outcomes = run_steps(connection, earning, decide, at=at)
    late = [
        known[command.row_id]
        for command, outcome in zip(earning, outcomes, strict=True)
        if not outcome.is_done
    ]
    timers.arm(connection, [Arm(each.subject, EARN, at + AGAIN, 0) for each in late], at=at)
    return len(claimed)


HANDLERS: Final[Mapping[str, Handler]] = MappingProxyType({RENEW: renew, EARN: earn})
"""The kinds of timers that plans have, for the engine's table of handlers."""


def _refused(
    commands: Sequence[Ring],
    outcomes: Sequence[Outcome],
    known: Mapping[UUID, Subscription],
    *,
    poor: bool,
) -> list[Subscription]:
    """The subscriptions whose charge was refused: for want of money, or for another reason."""
    return [
        known[command.row_id]
        for command, outcome in zip(commands, outcomes, strict=True)
        if not outcome.is_done and (outcome.code == InsufficientFunds.code) is poor
    ]


def _fail(connection: Connection, poor: Sequence[Subscription], at: datetime) -> None:
    """Write down what could not be charged: tried again, and in the end lapsed."""
    by_id = {each.id: each for each in poor}

    def decide(command: Ring) -> Step:
        old = by_id[command.row_id]
        new, retry_at = rules.failed(old, at)
        return rules_plans.failed(retry_at, SYSTEM, at, before=old, after=new)

    run_steps(connection, [Ring(actor=SYSTEM, row_id=each) for each in by_id], decide, at=at)


def _id(timer: DueTimer) -> UUID:
    return UUID(timer.subject.partition(":")[2])
