"""The use cases of payouts: name a method, request, submit, cancel, and hear what became of it.

Batch-first: lock parties and payouts in id order, decide one command at a time, post once, save by
arrays. A refused command writes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Outcome
from kernel.errors import Broken, Refusal
from kernel.money import MAX_MINOR, NotPositive, TooLarge, exponent, to_json
from kernel.principals import RAIL, SYSTEM
from payouts import store
from payouts.commands import PayoutCommand, RequestPayout
from payouts.desk import (
    Desk,
    Move,
    draft_of,
    lay_out,
    lock_standings,
    post_facts,
    run,
    save,
    twice_in,
)
from payouts.machine import Guard, Transition, Trigger, step
from payouts.model import Payout, PayoutMethod, PayoutState
from payouts.refusals import (
    BankShort,
    NothingLeft,
    PayoutExists,
    SubjectTwice,
    UnknownPayee,
    UnknownPayout,
)
from payouts.rules import check_method, check_payee, is_methods_fault, role_of, trigger_of
from payouts.settlement import free_in_bank
from rails import service as rails
from rails.model import OperationKind, RailOperation, RailResult

HANDLER: Final = "payouts.payout"
"""The name under which rails report payouts to `hear`."""


def request(
    connection: Connection, commands: Sequence[RequestPayout], *, at: datetime
) -> list[Outcome]:
    """Set money aside for payouts (P37), at the payout fee of the day.

    Refuses with `payouts.unknown_payee`, `not_yours`, `not_verified`, `sanctions_hit`, `on_hold`,
    `paused`, `unknown_method`, `method_disabled`, `nothing_left`, `exists`, `subject_twice`, with
    `money.*`, and with `ledger.insufficient_funds` where more is asked than is available.
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
    )
    outcomes, moves = run(connection, commands, lambda command: _request(command, desk))
    if moves:
        store.add_payouts(connection, [move.payout for move in moves], at)
    return outcomes


def submit(
    connection: Connection, commands: Sequence[PayoutCommand], *, at: datetime
) -> list[Outcome]:
    """Send requested payouts to the rail, if their payees are still clear and the bank holds them.

    Refuses like `request`, and with `payouts.unknown_payout`, `payouts.wrong_state` and
    `payouts.bank_short`. The operation's id is the payout's: a payout is sent once.
    """
    desk = lay_out(connection, commands, at, purse=free_in_bank(connection))
    outcomes, moves = run(
        connection, commands, lambda command: _advance(command, Trigger.SUBMIT, desk)
    )
    save(connection, moves)
    operations = [_operation(move.payout, desk.methods) for move in moves]
    rails.intend(connection, operations, at=at)
    return outcomes


def submit_due(connection: Connection, *, at: datetime, limit: int = 10_000) -> list[Outcome]:
    """Submit what was requested, oldest first; one outcome for each that was looked at."""
    ids = store.list_requested(connection, limit=limit)
    return submit(connection, [PayoutCommand(actor=SYSTEM, payout_id=id_) for id_ in ids], at=at)


def cancel(
    connection: Connection, commands: Sequence[PayoutCommand], *, at: datetime
) -> list[Outcome]:
    """Take back payouts that were not submitted: money and fee return to the payee (P39).

    Refuses with `payouts.unknown_payout`, `wrong_state`, `not_yours`, `subject_twice`.
    """
    desk = lay_out(connection, commands, at, purse={})
    outcomes, moves = run(
        connection, commands, lambda command: _advance(command, Trigger.CANCEL, desk)
    )
    save(connection, moves)
    return outcomes


def hear(connection: Connection, results: Sequence[RailResult], at: datetime) -> None:
    """Book what the rail says of payouts: paid (P38), failed (P39), returned (P40, then P39).

    A method that failed is disabled and its payee's payouts are paused, in the same transaction;
    not so where our own bank was short. A payout that is not ours, or that the machine cannot
    move so, is Broken.

    Source: domain/escrow.md 2.9 and 2.11, edge cases 11 and 12.
    """
    payouts = store.lock_payouts(connection, [result.operation_id for result in results])
    moves: list[Move] = []
    at_fault: dict[UUID, tuple[Payout, str]] = {}
    for result in results:
        payout = payouts.get(result.operation_id)
        if payout is None:
            raise Broken("a rail paid out what we know nothing of", id=str(result.operation_id))
        trigger = trigger_of(result, payout.state)
        if trigger is None:
            continue
        moves.append(_heard(payout, trigger, result, at))
        if trigger is not Trigger.CONFIRM and is_methods_fault(result):
            at_fault[payout.id] = payout, result.code or trigger.value
    post_facts(connection, [move.draft for move in moves])
    save(connection, moves)
    if at_fault:
        reasons = {payout.method_id: why for payout, why in at_fault.values()}
        store.disable_methods(connection, reasons, at)
        pauses = {payout.payee_id: why for payout, why in at_fault.values()}
        store.add_pauses(connection, pauses, at)


def _request(command: RequestPayout, desk: Desk) -> Move:
    _check_once(command.payout_id, desk)
    transition = step(None, Trigger.REQUEST, role_of(command.actor, command.payee_id))
    fee_minor = desk.fees.get(command.currency, 0)
    _check_amount(command, fee_minor)
    if command.payout_id in desk.payouts:
        raise PayoutExists(payout_id=str(command.payout_id))
    payout = Payout(
        id=command.payout_id,
        payee_id=command.payee_id,
        method_id=command.method_id,
        amount_minor=command.amount_minor,
        fee_minor=fee_minor,
        currency=command.currency,
        requested_at=desk.at,
    )
    _check_guards(transition, payout, desk)
    return Move(payout, None, draft_of(transition, payout, command.actor, desk.at))


def _advance(command: PayoutCommand, trigger: Trigger, desk: Desk) -> Move:
    _check_once(command.payout_id, desk)
    payout = desk.payouts.get(command.payout_id)
    if payout is None:
        raise UnknownPayout(payout_id=str(command.payout_id))
    transition = step(payout.state, trigger, role_of(command.actor, payout.payee_id))
    _check_guards(transition, payout, desk)
    is_submit = transition.to is PayoutState.SUBMITTED
    moved = replace(
        payout,
        state=transition.to,
        version=payout.version + 1,
        submitted_at=desk.at if is_submit else None,
        ended_at=None if is_submit else desk.at,
    )
    draft = draft_of(transition, moved, command.actor, desk.at, reason=command.reason)
    return Move(moved, payout.state, draft)


def _heard(payout: Payout, trigger: Trigger, result: RailResult, at: datetime) -> Move:
    try:
        transition = step(payout.state, trigger, role_of(RAIL, payout.payee_id))
    except Refusal as refusal:
        raise Broken("a rail moved a payout as it cannot", why=str(refusal)) from refusal
    has_left = trigger in (Trigger.CONFIRM, Trigger.RETURN)
    moved = replace(
        payout,
        state=transition.to,
        version=payout.version + 1,
        rail_ref=result.rail_ref or payout.rail_ref,
        code=result.code,
        charge_minor=result.fee_minor if trigger is Trigger.RETURN else 0,
        paid_at=payout.paid_at or (at if has_left else None),
        ended_at=None if trigger is Trigger.CONFIRM else at,
    )
    told = {
        "rail_ref": moved.rail_ref,
        "code": moved.code,
        "occurred_at": result.occurred_at.isoformat(),
    }
    return Move(moved, payout.state, draft_of(transition, moved, RAIL, at, told=told))


def _operation(payout: Payout, methods: Mapping[UUID, PayoutMethod]) -> RailOperation:
    return RailOperation(
        id=payout.id,
        kind=OperationKind.PAYOUT,
        handler=HANDLER,
        subject=payout.subject,
        amount_minor=payout.net_minor,
        currency=payout.currency,
        method=methods[payout.method_id].token,
    )


def _check_once(payout_id: UUID, desk: Desk) -> None:
    if payout_id in desk.twice:
        raise SubjectTwice(payout_id=str(payout_id))


def _check_amount(command: RequestPayout, fee_minor: int) -> None:
    exponent(command.currency)
    if command.amount_minor <= 0:
        raise NotPositive(amount_minor=command.amount_minor)
    if command.amount_minor > MAX_MINOR:
        raise TooLarge(amount_minor=command.amount_minor)
    if command.amount_minor <= fee_minor:
        raise NothingLeft(
            amount=to_json(command.amount_minor, command.currency),
            fee=to_json(fee_minor, command.currency),
        )


def _check_guards(transition: Transition, payout: Payout, desk: Desk) -> None:
    if Guard.PAYEE_CLEAR in transition.guards:
        standing = desk.standings.get(payout.payee_id)
        if standing is None:
            raise UnknownPayee(payee_id=str(payout.payee_id))
        check_payee(payout.payee_id, standing)
    if Guard.METHOD_ACTIVE in transition.guards:
        method = desk.methods.get(payout.method_id)
        check_method(method, method_id=payout.method_id, payee_id=payout.payee_id)
    if Guard.BANK_HOLDS_IT in transition.guards:
        there_minor = desk.purse.get(payout.currency, 0)
        if payout.net_minor > there_minor:
            raise BankShort(payout_id=str(payout.id), net_minor=payout.net_minor)
        desk.purse[payout.currency] = there_minor - payout.net_minor
