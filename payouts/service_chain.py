"""The chain over payees' accounts at a rail: to the payee's account, out of it, and home again.

What is at a payee's account is only on its way: it is client money there as it was before, and
whatever does not leave it comes back (decision 0013).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.errors import Broken
from kernel.money import to_json
from kernel.principals import RAIL, SYSTEM
from ledger import parties
from ledger.entries import Entries
from ledger.model import Draft
from ledger.model_parties import SanctionState
from payouts import movements, operations, service_blocked, store
from payouts.desk import Move, post_facts, save
from payouts.hearing import ask_home, stop
from payouts.machine import Trigger
from payouts.model import Payout, PayoutState
from payouts.refusals import SanctionsHit
from payouts.rules import is_methods_fault
from payouts.steps import heard, told_by
from rails import service as rails
from rails.model import OperationKind, RailOutcome, RailResult

_MEANWHILE: Final = "a match while a payout was under way"


def hear_transfers(connection: Connection, results: Sequence[RailResult], at: datetime) -> None:
    """Book transfers to payees' accounts and back as rails confirm them; ask for the next link.

    A transfer that was made is followed by the payout itself; one that was refused is a payout
    that failed before it left (P39). What was not called home stays to be asked for once more.
    Where the payee was found on a sanctions list meanwhile nothing is paid: P39, then P43.
    """
    answers = [each for each in results if each.outcome in (RailOutcome.DONE, RailOutcome.REFUSED)]
    there = [each for each in answers if each.kind is OperationKind.TRANSFER]
    home = [each for each in answers if each.kind is OperationKind.TRANSFER_BACK]
    if there:
        _hear_there(connection, there, at)
    if home:
        _hear_home(connection, home, at)


def call_home(connection: Connection, *, at: datetime, limit: int = 1_000) -> int:
    """Ask once more for what lies in payees' accounts though its payouts came to nothing.

    So is what an account holds that its payee has replaced. How many were asked for now.
    """
    payouts = store.lock_payouts(connection, store.list_to_call_home(connection, limit=limit))
    return ask_home(connection, list(payouts.values()), at)


def _hear_there(connection: Connection, results: Sequence[RailResult], at: datetime) -> None:
    ids = [_payout_id(result) for result in results]
    payees = {payout.payee_id for payout in store.find_payouts(connection, ids).values()}
    known = parties.lock_share(connection, payees)
    payouts = store.lock_payouts(connection, ids)
    moves: list[Move] = []
    at_fault: dict[UUID, tuple[Payout, str]] = {}
    for result in results:
        payout = _ours(payouts, result)
        if result.outcome is RailOutcome.DONE:
            if payout.transferred_at is None:
                moves.append(_arrived(payout, result, at))
            continue
        if payout.transferred_at is not None:
            raise Broken("a transfer that was made is refused", payout_id=str(payout.id))
        moves.append(heard(payout, Trigger.FAIL, result, at))
        if is_methods_fault(result):
            at_fault[payout.id] = payout, result.code or Trigger.FAIL.value
    post_facts(connection, [move.draft for move in moves])
    save(connection, moves)
    stop(connection, at_fault, at)
    there = [move.payout for move in moves if move.payout.state is PayoutState.SUBMITTED]
    clear = {id_ for id_, each in known.items() if each.sanction_state is SanctionState.CLEAR}
    matched = [payout for payout in there if payout.payee_id not in clear]
    _turn_back(connection, matched, results, at)
    arrived = [payout for payout in there if payout.payee_id in clear]
    methods = store.find_methods(connection, {payout.method_id for payout in arrived})
    intents = [operations.pay(each, token=methods[each.method_id].token) for each in arrived]
    rails.intend(connection, intents, at=at)


def _turn_back(
    connection: Connection, payouts: Sequence[Payout], results: Sequence[RailResult], at: datetime
) -> None:
    """End payouts of payees who were found on a list while their money was moved; block it."""
    if not payouts:
        return
    words = {_payout_id(result): replace(result, code=SanctionsHit.code) for result in results}
    moves = [heard(payout, Trigger.FAIL, words[payout.id], at) for payout in payouts]
    post_facts(connection, [move.draft for move in moves])
    save(connection, moves)
    ask_home(connection, [move.payout for move in moves], at)
    payees = {payout.payee_id for payout in payouts}
    service_blocked.block(connection, payees, actor=SYSTEM, list_name=_MEANWHILE, at=at)


def _hear_home(connection: Connection, results: Sequence[RailResult], at: datetime) -> None:
    payouts = store.lock_payouts(connection, [_payout_id(result) for result in results])
    moves: list[Move] = []
    for result in results:
        payout = _ours(payouts, result)
        if payout.back_at is None:
            moves.append(_came_home(payout, result, at))
    post_facts(connection, [move.draft for move in moves])
    save(connection, moves)


def _arrived(payout: Payout, result: RailResult, at: datetime) -> Move:
    if payout.state is not PayoutState.SUBMITTED:
        raise Broken("a transfer was made for a payout that is over", payout_id=str(payout.id))
    moved = replace(payout, version=payout.version + 1, transferred_at=at)
    entries = movements.transfer_to_payee(payout)
    draft = _draft("payout.transferred", payout, result, at, entries)
    return Move(moved, payout.state, draft)


def _came_home(payout: Payout, result: RailResult, at: datetime) -> Move:
    is_home = result.outcome is RailOutcome.DONE
    moved = replace(
        payout,
        version=payout.version + 1,
        back_at=at if is_home else None,
        back_tries=payout.back_tries + (not is_home),
    )
    entries = movements.transfer_back(payout, result.amount_minor) if is_home else ()
    kind = "payout.called_home" if is_home else "payout.call_home_refused"
    return Move(moved, payout.state, _draft(kind, payout, result, at, entries))


def _draft(kind: str, payout: Payout, result: RailResult, at: datetime, entries: Entries) -> Draft:
    detail = {
        "payee_id": str(payout.payee_id),
        "rail": payout.rail,
        "account": payout.paid_from,
        "amount": to_json(result.amount_minor, result.currency),
        **told_by(result),
    }
    return Draft(kind, payout.subject, RAIL, at, entries, detail=detail)


def _payout_id(result: RailResult) -> UUID:
    return UUID(result.subject.removeprefix("payout:"))


def _ours(payouts: dict[UUID, Payout], result: RailResult) -> Payout:
    payout = payouts.get(_payout_id(result))
    if payout is None:
        raise Broken("a rail moved money for no payout of ours", subject=result.subject)
    return payout
