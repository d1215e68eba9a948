"""The use cases of payouts: request, submit, cancel, and hear what became of it.

Batch-first: lock parties and payouts in id order, decide one command at a time, post once, save by
arrays. A refused command writes nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from kernel.commands import Outcome
from kernel.money import MAX_MINOR, NotPositive, TooLarge, exponent, to_json
from kernel.principals import SYSTEM
from payouts import operations, store, store_policy
from payouts.commands import PayoutCommand, RequestPayout
from payouts.desk import Desk, Move, draft_of, lay_out, lock_standings, run, save, twice_in
from payouts.hearing import hear
from payouts.machine import Trigger, step
from payouts.model import Payout, PayoutState, Role
from payouts.operations import PAYOUTS as HANDLER
from payouts.purses import free_money
from payouts.refusals import BelowMinimum, NothingLeft, PayoutExists
from payouts.rules import role_of
from payouts.steps import advance, check_guards, check_once
from rails import service as rails
from rails.capabilities import capabilities_of, check_amount

__all__ = ["HANDLER", "cancel", "hear", "request", "submit", "submit_due"]


def request(
    connection: Connection, commands: Sequence[RequestPayout], *, at: datetime
) -> list[Outcome]:
    """Set money aside for payouts (P37), at the payout fee of the day.

    What is above the policy's limit waits for a second person; all else needs nobody's word.
    Refuses with `payouts.unknown_payee`, `not_yours`, `not_verified`, `sanctions_hit`, `on_hold`,
    `paused`, `unknown_method`, `method_disabled`, `method_unverified`, `method_cooling`,
    `nothing_left`, `below_minimum`, `exists`, `subject_twice`, with `money.*`, with `rail.*` where
    the method's rail cannot move so much, and with `ledger.insufficient_funds` where more is asked
    than is available.
    """
    standings = lock_standings(connection, {command.payee_id for command in commands})
    ids = [command.payout_id for command in commands]
    desk = Desk(
        at=at,
        payouts=store.find_payouts(connection, ids),
        standings=standings,
        methods=store.find_methods(connection, {command.method_id for command in commands}),
        twice=twice_in(ids),
        fees=store.list_fees(connection, {command.currency for command in commands}, at),
        purse={},
        policy=store_policy.find_in_force(connection, at),
        accounts={},
    )
    outcomes, moves = run(connection, commands, lambda command: _request(command, desk))
    if moves:
        store.add_payouts(connection, [move.payout for move in moves], at)
    return outcomes


def submit(
    connection: Connection, commands: Sequence[PayoutCommand], *, at: datetime
) -> list[Outcome]:
    """Send payouts to their rails, if payees are still clear and the money is where it leaves from.

    Refuses like `request`, and with `payouts.unknown_payout`, `wrong_state`, `needs_approval`,
    `bank_short`, `processor_short`, `no_payee_account`. The operation's id is the payout's: a
    payout is sent once. Where the rail pays from accounts of payees, its money is moved there
    first.
    """
    seen = store.find_payouts(connection, [command.payout_id for command in commands]).values()
    wanted = {
        (payout.rail, payout.currency)
        for payout in seen
        if not capabilities_of(payout.rail).separate_payout
    }
    desk = lay_out(connection, commands, at, purse=free_money(connection, wanted))
    outcomes, moves = run(
        connection, commands, lambda command: advance(command, Trigger.SUBMIT, desk)
    )
    save(connection, moves)
    intents = [
        operations.transfer(move.payout)
        if move.payout.by_payees_account
        else operations.pay(move.payout, token=desk.methods[move.payout.method_id].token)
        for move in moves
    ]
    rails.intend(connection, intents, at=at)
    return outcomes


def submit_due(connection: Connection, *, at: datetime, limit: int = 10_000) -> list[Outcome]:
    """Submit what was requested or approved, oldest first; one outcome for each looked at."""
    ids = store.list_requested(connection, limit=limit)
    return submit(connection, [PayoutCommand(actor=SYSTEM, payout_id=id_) for id_ in ids], at=at)


def cancel(
    connection: Connection, commands: Sequence[PayoutCommand], *, at: datetime
) -> list[Outcome]:
    """Take back payouts that were not submitted: money and fee return to the payee (P39).

    Refuses with `payouts.unknown_payout`, `wrong_state`, `not_yours`, `subject_twice`.
    """
    desk = lay_out(connection, commands, at)
    outcomes, moves = run(
        connection, commands, lambda command: advance(command, Trigger.CANCEL, desk)
    )
    save(connection, moves)
    return outcomes


def _request(command: RequestPayout, desk: Desk) -> Move:
    check_once(command.payout_id, desk)
    transition = step(None, Trigger.REQUEST, role_of(command.actor, command.payee_id))
    fee_minor = desk.fees.get(command.currency, 0)
    if command.fee_minor is not None:
        fee_minor = command.fee_minor
    _check_amount(command, fee_minor, desk)
    if command.payout_id in desk.payouts:
        raise PayoutExists(payout_id=str(command.payout_id))
    method = desk.methods.get(command.method_id)
    payout = Payout(
        id=command.payout_id,
        payee_id=command.payee_id,
        method_id=command.method_id,
        amount_minor=command.amount_minor,
        fee_minor=fee_minor,
        currency=command.currency,
        requested_at=desk.at,
        rail="simulated" if method is None else method.rail,
        is_instant=command.instant,
        requested_by=command.actor.principal_id,
    )
    check_guards(transition, payout, desk, command.actor)
    check_amount(payout.rail, payout.net_minor, currency=payout.currency)
    if desk.policy.of(payout.currency).needs_second_person(payout.amount_minor):
        # Screening begins in the same event: the policy asks for somebody.
        screened = step(PayoutState.REQUESTED, Trigger.SCREEN, Role.SYSTEM)
        payout = replace(payout, state=screened.to)
    return Move(payout, None, draft_of(transition, payout, command.actor, desk.at))


def _check_amount(command: RequestPayout, fee_minor: int, desk: Desk) -> None:
    exponent(command.currency)
    if command.amount_minor <= 0:
        raise NotPositive(amount_minor=command.amount_minor)
    if command.amount_minor > MAX_MINOR:
        raise TooLarge(amount_minor=command.amount_minor)
    amount = to_json(command.amount_minor, command.currency)
    if command.amount_minor <= fee_minor:
        raise NothingLeft(amount=amount, fee=to_json(fee_minor, command.currency))
    minimum_minor = desk.policy.of(command.currency).minimum_minor
    if command.amount_minor < minimum_minor:
        raise BelowMinimum(amount=amount, minimum=to_json(minimum_minor, command.currency))
