"""Use cases of retainers: offer, accept, cancel, draw, approve, reject, withdraw.

Drawdowns of different contracts are served together; offers and cancellations one by one. Either
way contracts, slots and periods are locked in order, then all is decided, posted and saved.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_retainer, store, store_retainer
from escrow import rules_retainer_draw as draws
from escrow.model import Contract
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
from escrow.service_retainer_batch import act_all, lock_cases, lock_contracts
from escrow.service_waves import in_waves
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
    found = store_retainer.find_periods(connection, [command.period_id for command in commands])
    contracts = {each.id: each.contract_id for each in found}

    def wave(some: Sequence[Draw]) -> list[Outcome]:
        known = [each.period_id for each in some if each.period_id in contracts]
        cases = lock_cases(connection, known)
        taken = store_retainer.list_taken(connection, [each.drawdown_id for each in some])
        return act_all(connection, [partial(_draw, cases, taken, each, at) for each in some], at=at)

    return in_waves(commands, lambda c: contracts.get(c.period_id, c.period_id), wave)


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
    return act_all(connection, [lambda: decide(command)], at=at)[0]


def lock_ground(connection: Connection, retainer_id: UUID) -> tuple[Retainer, Contract]:
    """A retainer with its contract, locked after the contract's parties."""
    found = store_retainer.find_retainers(connection, [retainer_id])
    if not found:
        raise UnknownRetainer(retainer_id=str(retainer_id))
    contract = _lock_contract(connection, found[0].contract_id)
    return store_retainer.lock_retainer(connection, retainer_id), contract


def lock_case(connection: Connection, period_id: UUID) -> Case:
    """A period with its money and its neighbours, locked in order."""
    return lock_cases(connection, [period_id])[period_id]


def _lock_contract(connection: Connection, contract_id: UUID) -> Contract:
    return lock_contracts(connection, [contract_id])[contract_id]


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
    found = store_retainer.find_drawdowns(connection, [c.drawdown_id for c in commands])
    period_of = {each.id: each.period_id for each in found}
    periods = store_retainer.find_periods(connection, sorted(set(period_of.values())))
    contracts = {each.id: each.contract_id for each in periods}

    def choose(cases: Mapping[UUID, Case], command: DrawdownCommand) -> Moves:
        if command.drawdown_id not in period_of:
            raise UnknownDrawdown(drawdown_id=str(command.drawdown_id))
        case = cases[period_of[command.drawdown_id]]
        (drawdown,) = [each for each in case.drawdowns if each.id == command.drawdown_id]
        return decide(case, drawdown, command)

    def wave(some: Sequence[DrawdownCommand]) -> list[Outcome]:
        cases = lock_cases(
            connection, [period_of[c.drawdown_id] for c in some if c.drawdown_id in period_of]
        )
        return act_all(connection, [partial(choose, cases, c) for c in some], at=at)

    def subject(command: DrawdownCommand) -> UUID:
        period_id = period_of.get(command.drawdown_id)
        return command.drawdown_id if period_id is None else contracts[period_id]

    return in_waves(commands, subject, wave)


def _draw(cases: Mapping[UUID, Case], taken: set[UUID], command: Draw, at: datetime) -> Moves:
    if command.period_id not in cases:
        raise UnknownPeriod(period_id=str(command.period_id))
    if command.drawdown_id in taken:
        raise IdTaken(id=str(command.drawdown_id))
    return draws.draw(cases[command.period_id], command, at)
