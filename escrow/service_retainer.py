"""Use cases of retainers: offer, accept, cancel, draw, approve, reject, withdraw.

Retainers move seldom and each step is a case of its own: its contract, its slots and its periods
are locked in order, then it is decided, posted and saved.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_retainer, store, store_retainer
from escrow import rules_retainer_draw as draws
from escrow.machine_slot import WORKING
from escrow.model import Contract, Plan
from escrow.model_retainer import (
    Draw,
    Drawdown,
    DrawdownCommand,
    Moves,
    OfferRetainer,
    PeriodState,
    Retainer,
    RetainerCommand,
    RetainerState,
)
from escrow.refusals import IdTaken, UnknownContract, UnknownParty
from escrow.refusals_retainer import UnknownDrawdown, UnknownPeriod, UnknownRetainer
from escrow.rules_retainer import Case
from escrow.rules_retainer_settle import cancel
from escrow.service_batch import run, share_people
from escrow.service_refund import lock_with_lots
from kernel.commands import Command, Outcome
from kernel.ids import new_id
from ledger import parties

C = TypeVar("C", bound=Command)

_CANCELLABLE = frozenset(
    {PeriodState.SCHEDULED, PeriodState.FUNDING, PeriodState.FUNDED, PeriodState.ACTIVE}
)


def offer_retainer(
    connection: Connection, commands: Sequence[OfferRetainer], *, at: datetime
) -> list[Outcome]:
    """Offer retainers, under a contract or with a new one; by either party."""
    return [
        act(connection, command, lambda c: _offer(connection, c, at), at=at) for command in commands
    ]


def accept_retainer(
    connection: Connection, commands: Sequence[RetainerCommand], *, at: datetime
) -> list[Outcome]:
    """Sign what the other party offered; the first period is scheduled."""

    def decide(command: RetainerCommand) -> Moves:
        retainer, contract = lock_ground(connection, command.retainer_id)
        seq = len(store.find_contract_slots(connection, [contract.id])) + 1
        return rules_retainer.accept(retainer, contract, command, at, slot_id=new_id(), seq=seq)

    return [act(connection, command, decide, at=at) for command in commands]


def cancel_retainer(
    connection: Connection, commands: Sequence[RetainerCommand], *, at: datetime
) -> list[Outcome]:
    """End retainers: with notice by one side, at once by both, by an operator, or after notice.

    The running period is divided by what is earned (P31), what is not begun goes back whole.
    """
    return [_cancel(connection, command, at) for command in commands]


def draw_down(connection: Connection, commands: Sequence[Draw], *, at: datetime) -> list[Outcome]:
    """Charge work against the running period; by the payee."""

    def decide(command: Draw) -> Moves:
        case = lock_case(connection, command.period_id)
        if store_retainer.list_taken(connection, [command.drawdown_id]):
            raise IdTaken(id=str(command.drawdown_id))
        return draws.draw(case, command, at)

    return [act(connection, command, decide, at=at) for command in commands]


def approve_drawdown(
    connection: Connection, commands: Sequence[DrawdownCommand], *, at: datetime
) -> list[Outcome]:
    """Pay for what was drawn (P10); by the client."""
    return _on_drawdowns(
        connection,
        commands,
        lambda case, drawdown, c: draws.approve(case, drawdown, c, at, new_id()),
        at=at,
    )


def end_review(
    connection: Connection, commands: Sequence[DrawdownCommand], *, at: datetime
) -> list[Outcome]:
    """Pay for what nobody spoke against; by the engine (P10)."""
    return _on_drawdowns(
        connection,
        commands,
        lambda case, drawdown, c: draws.review_ends(case, drawdown, c, at, new_id()),
        at=at,
    )


def reject_drawdown(
    connection: Connection, commands: Sequence[DrawdownCommand], *, at: datetime
) -> list[Outcome]:
    """Say no, with a reason; by the client."""
    return _on_drawdowns(
        connection, commands, lambda case, drawdown, c: draws.reject(case, drawdown, c, at), at=at
    )


def withdraw_drawdown(
    connection: Connection, commands: Sequence[DrawdownCommand], *, at: datetime
) -> list[Outcome]:
    """Take back what was drawn; by the payee."""
    return _on_drawdowns(
        connection,
        commands,
        lambda case, drawdown, c: draws.withdraw(case, drawdown, c, at),
        at=at,
    )


def act(
    connection: Connection, command: C, decide: Callable[[C], Moves], *, at: datetime
) -> Outcome:
    """One step: decide, post, and save the rows of the deal and of the retainer."""
    moves: list[Moves] = []

    def plan(given: C) -> Plan:
        moves.append(decide(given))
        return moves[0].plan

    (outcome,) = run(connection, [command], plan, at=at)
    if outcome.is_done:
        store_retainer.save_moves(connection, moves[0])
    return outcome


def lock_ground(connection: Connection, retainer_id: UUID) -> tuple[Retainer, Contract]:
    """A retainer with its contract, locked after the contract's parties."""
    found = store_retainer.find_retainers(connection, [retainer_id])
    if not found:
        raise UnknownRetainer(retainer_id=str(retainer_id))
    contract = _lock_contract(connection, found[0].contract_id)
    return store_retainer.lock_retainer(connection, retainer_id), contract


def lock_case(connection: Connection, period_id: UUID) -> Case:
    """A period with its money and its neighbours, locked in order."""
    found = store_retainer.find_periods(connection, [period_id])
    if not found:
        raise UnknownPeriod(period_id=str(period_id))
    contract = _lock_contract(connection, found[0].contract_id)
    retainer = store_retainer.lock_retainer(connection, found[0].retainer_id)
    numbers = {
        each.number: each.id for each in store_retainer.list_periods(connection, retainer.id)
    }
    number = found[0].number
    near = [numbers[n] for n in (number - 1, number, number + 1) if n in numbers]
    deals, fundings = lock_with_lots(connection, near)
    periods = {each.number: each for each in store_retainer.lock_periods(connection, near)}
    after = periods.get(number + 1)
    target = deals[after.id] if after else None
    return Case(
        retainer,
        contract,
        periods[number],
        deals[period_id],
        fundings,
        drawdowns=store_retainer.list_drawdowns(connection, period_id),
        carried=store_retainer.list_carried(connection, period_id),
        before=periods.get(number - 1),
        after=after,
        target=target if target and target.slot.state in WORKING else None,
    )


def _lock_contract(connection: Connection, contract_id: UUID) -> Contract:
    share_people(connection, store.find_contracts(connection, [contract_id]))
    (contract,) = store.lock_contracts(connection, [contract_id])
    return contract


def _offer(connection: Connection, command: OfferRetainer, at: datetime) -> Moves:
    ids = [command.retainer_id]
    if store_retainer.list_taken(connection, ids) or store.find_slots(connection, ids):
        raise IdTaken(id=str(command.retainer_id))
    known = store.find_contracts(connection, [command.contract_id])
    if command.new is None:
        if not known:
            raise UnknownContract(contract_id=str(command.contract_id))
        contract = _lock_contract(connection, command.contract_id)
        return rules_retainer.offer(contract, command, at)
    if known:
        raise IdTaken(id=str(command.contract_id))
    sides = {command.new.client_id, command.new.payee_id}
    present = parties.lock_share(connection, sides)
    for party_id in sorted(sides):
        if party_id not in present:
            raise UnknownParty(party_id=str(party_id))
    contract = rules_retainer.new_contract(command.new, command, at)
    return rules_retainer.offer(contract, command, at)


def _cancel(connection: Connection, command: RetainerCommand, at: datetime) -> Outcome:
    """The retainer first, then each period from first to last; all of it or nothing."""
    with connection.begin_nested() as point:
        outcome = act(connection, command, lambda c: _end_or_notice(connection, c, at), at=at)
        if not outcome.is_done or outcome.facts.get("state") != RetainerState.ENDED:
            return outcome
        cancelled = []
        for period in store_retainer.list_periods(connection, command.retainer_id):
            if period.state not in _CANCELLABLE:
                continue
            period_id = period.id
            step = act(
                connection,
                command,
                lambda c, period_id=period_id: cancel(  # type: ignore[misc]
                    lock_case(connection, period_id), c, at, new_id
                ),
                at=at,
            )
            if not step.is_done:
                point.rollback()
                return step
            cancelled.append(step.facts)
        return Outcome(outcome.code, {**outcome.facts, "periods": cancelled})


def _end_or_notice(connection: Connection, command: RetainerCommand, at: datetime) -> Moves:
    retainer, contract = lock_ground(connection, command.retainer_id)
    if retainer.state is RetainerState.OFFERED:
        return rules_retainer.decline(retainer, contract, command, at)
    at_once = rules_retainer.is_at_once(retainer, contract, command)
    if retainer.state is RetainerState.RUNNING and not at_once:
        return rules_retainer.give_notice(retainer, contract, command, at)
    return rules_retainer.end(retainer, contract, command, at)


def _on_drawdowns(
    connection: Connection,
    commands: Sequence[DrawdownCommand],
    decide: Callable[[Case, Drawdown, DrawdownCommand], Moves],
    *,
    at: datetime,
) -> list[Outcome]:
    def choose(command: DrawdownCommand) -> Moves:
        found = store_retainer.find_drawdowns(connection, [command.drawdown_id])
        if not found:
            raise UnknownDrawdown(drawdown_id=str(command.drawdown_id))
        case = lock_case(connection, found[0].period_id)
        (drawdown,) = [each for each in case.drawdowns if each.id == command.drawdown_id]
        return decide(case, drawdown, command)

    return [act(connection, command, choose, at=at) for command in commands]
