"""What rails say of payouts: left, paid, unclaimed, failed, come back; each word booked once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from kernel.errors import Broken
from payouts import operations, store
from payouts.desk import Move, post_facts, save
from payouts.model import Payout, PayoutState
from payouts.rules import is_methods_fault, trigger_of
from payouts.steps import heard
from rails import service as rails
from rails.model import RailResult

_CAME_TO_NOTHING = frozenset({PayoutState.FAILED, PayoutState.RETURNED})


def hear(connection: Connection, results: Sequence[RailResult], at: datetime) -> None:
    """Book what rails say of payouts: left (P38), failed (P39), returned (P40, then P39).

    A method that failed is disabled and its payee's payouts are paused, in the same transaction;
    not so where our own bank was short. What then lies at the payee's account is called home. A
    payout that is not ours, or that the machine cannot move so, is Broken.

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
        move = heard(payout, trigger, result, at)
        moves.append(move)
        if move.payout.state in _CAME_TO_NOTHING and is_methods_fault(result):
            at_fault[payout.id] = payout, result.code or trigger.value
    post_facts(connection, [move.draft for move in moves])
    save(connection, moves)
    stop(connection, at_fault, at)
    back = [move.payout for move in moves if move.payout.state in _CAME_TO_NOTHING]
    ask_home(connection, [payout for payout in back if payout.transferred_at is not None], at)


def stop(connection: Connection, at_fault: Mapping[UUID, tuple[Payout, str]], at: datetime) -> None:
    """Disable the methods of payouts that came to nothing, and pause their payees' payouts."""
    if not at_fault:
        return
    reasons = {payout.method_id: why for payout, why in at_fault.values()}
    store.disable_methods(connection, reasons, at)
    pauses = {payout.payee_id: why for payout, why in at_fault.values()}
    store.add_pauses(connection, pauses, at)


def ask_home(connection: Connection, payouts: Sequence[Payout], at: datetime) -> int:
    """Ask rails for what payouts left in payees' accounts; how many were asked for now."""
    if not payouts:
        return 0
    wanted = {operations.transfer_id(payout.id): payout for payout in payouts}
    asked = {operations.back_id(payout) for payout in payouts}
    known = {op.id: op for op in rails.list_operations(connection, [*wanted, *asked])}
    made = [
        operations.call_home(payout, transfer_ref=known[id_].rail_ref if id_ in known else "")
        for id_, payout in wanted.items()
        if operations.back_id(payout) not in known
    ]
    intents = [operation for operation in made if operation is not None]
    rails.intend(connection, intents, at=at)
    return len(intents)
