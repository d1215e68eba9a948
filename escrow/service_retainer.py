"""Use cases of retainers: offer, accept, cancel, draw, approve, reject, withdraw.

Drawdowns of different contracts are served together; offers and cancellations one by one. Either
way contracts, slots and periods are locked in order, then all is decided, posted and saved.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection

from escrow import (
    rules_retainer,
    rules_retainer_terms,
    store,
    store_hourly,
    store_retainer,
)
from escrow import rules_retainer_draw as draws
from escrow import rules_retainer_over as over
from escrow import service_retainer_locks as locks
from escrow.model import Contract
from escrow.model_retainer import (
    Draw,
    Drawdown,
    DrawdownCommand,
    Moves,
    OfferRetainer,
    Overage,
    PeriodState,
    Retainer,
    RetainerCommand,
    RetainerState,
)
from escrow.refusals import IdTaken, UnknownContract, UnknownParty
from escrow.refusals_retainer import UnknownDrawdown, UnknownPeriod, UnknownRetainer
from escrow.rules_retainer import Case
from escrow.rules_retainer_hours import check_apart
from escrow.rules_retainer_settle import cancel
from escrow.service_hourly_desk import taken_by_payee
from escrow.service_retainer_batch import act_all, lock_cases
from escrow.service_waves import in_waves
from kernel.commands import Command, Outcome
from kernel.ids import new_id
from kernel.principals import SYSTEM
from ledger import parties

C = TypeVar("C", bound=Command)

_CANCELLABLE = frozenset(
    {
        PeriodState.SCHEDULED,
        PeriodState.FUNDING,
        PeriodState.FUNDED,
        PeriodState.ACTIVE,
        PeriodState.PAUSED,
    }
)


def offer_retainer(
    connection: Connection, commands: Sequence[OfferRetainer], *, at: datetime
) -> list[Outcome]:
    """Offer retainers, under a contract or with a new one; by either party."""
    locks.lock_ahead(connection, [command.contract_id for command in commands])
    return [
        act(connection, command, lambda c: _offer(connection, c, at), at=at) for command in commands
    ]


def accept_retainer(
    connection: Connection, commands: Sequence[RetainerCommand], *, at: datetime
) -> list[Outcome]:
    """Sign what the other party offered; the first period is scheduled."""

    def decide(command: RetainerCommand) -> Moves:
        retainer, contract = lock_ground(connection, command.retainer_id)
        seq = locks.next_seq(connection, contract.id)
        return rules_retainer.accept(retainer, contract, command, at, slot_id=new_id(), seq=seq)

    _lock_retainers(connection, commands)
    return [act(connection, command, decide, at=at) for command in commands]


def cancel_retainer(
    connection: Connection, commands: Sequence[RetainerCommand], *, at: datetime
) -> list[Outcome]:
    """End retainers: with notice by one side, at once by both, by an operator, or after notice.

    The running period is divided by what is earned (P31), what is not begun goes back whole.
    """
    contracts = _lock_retainers(connection, commands)
    locks.lock_accounts(connection, contracts)
    return [_cancel(connection, command, at) for command in commands]


def draw_down(connection: Connection, commands: Sequence[Draw], *, at: datetime) -> list[Outcome]:
    """Charge work against the running period; by the payee.

    No hour may have been billed before, by any term of the payee's.
    """
    known = locks.contracts_of_periods(connection, [command.period_id for command in commands])
    found = store.find_contracts(connection, sorted(set(known.values())))
    payees = {each.id: each.payee_id for each in found}
    store_hourly.lock_payees(connection, payees.values())
    locks.lock_ahead(connection, payees)

    def wave(some: Sequence[Draw]) -> list[Outcome]:
        cases = lock_cases(connection, [c.period_id for c in some if c.period_id in known])
        ids = [each for c in some for each in (c.drawdown_id, c.over_id) if each is not None]
        taken = store_retainer.list_taken(connection, ids)
        steps = [partial(_draw, connection, cases, taken, each, at) for each in some]
        return act_all(connection, steps, at=at)

    def subject(command: Draw) -> UUID:
        """Hours of one payee are looked at one after the other, whatever the contract."""
        contract_id = known.get(command.period_id)
        return command.period_id if contract_id is None else payees[contract_id]

    return in_waves(commands, subject, wave)


def approve_drawdown(
    connection: Connection, commands: Sequence[DrawdownCommand], *, at: datetime
) -> list[Outcome]:
    """Pay for what was drawn (P10), or be charged for what exceeds the period; by the client."""

    def decide(case: Case, drawdown: Drawdown, command: DrawdownCommand) -> Moves:
        if drawdown.exceeds:
            return _bill(connection, case, drawdown, command, at)
        return draws.approve(case, drawdown, command, at, new_id())

    return _on_drawdowns(connection, commands, decide, at=at)


def end_review(
    connection: Connection, commands: Sequence[DrawdownCommand], *, at: datetime
) -> list[Outcome]:
    """Pay for what nobody spoke against; by the engine (P10).

    What exceeds the period is charged, or has lapsed: as the terms say.
    """

    def decide(case: Case, drawdown: Drawdown, command: DrawdownCommand) -> Moves:
        if not drawdown.exceeds:
            return draws.review_ends(case, drawdown, command, at, new_id())
        if case.retainer.terms.overage is Overage.BILL:
            return _bill(connection, case, drawdown, command, at)
        return over.lapse(case, drawdown, command, at)

    return _on_drawdowns(connection, commands, decide, at=at)


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


def wind_up(connection: Connection, retainer_id: UUID, *, at: datetime) -> Outcome:
    """End a retainer without notice, because both signed that or an operator decided it.

    What stands in the way (a drawdown that waits, a hold) is waited for: the engine tries again
    each day.
    """
    command = RetainerCommand(actor=SYSTEM, retainer_id=retainer_id)

    def notice(given: RetainerCommand) -> Moves:
        retainer, contract = lock_ground(connection, retainer_id)
        if retainer.state is RetainerState.OFFERED:
            return rules_retainer.decline(retainer, contract, given, at)
        return rules_retainer.give_notice(retainer, contract, given, at)

    noticed = act(connection, command, notice, at=at)
    if not noticed.is_done or noticed.facts["state"] == RetainerState.ENDED:
        return noticed
    ended = _cancel(connection, command, at)
    return ended if ended.is_done else noticed


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
    contract = locks.lock_contracts(connection, [found[0].contract_id])[found[0].contract_id]
    return store_retainer.lock_retainer(connection, retainer_id), contract


def lock_case(connection: Connection, period_id: UUID, at: datetime) -> Case:
    """A period with its money and its neighbours, locked in order; its terms with its price."""
    return lock_cases(connection, [period_id], priced_at=at)[period_id]


def _lock_retainers(connection: Connection, commands: Sequence[RetainerCommand]) -> list[Contract]:
    known = locks.contracts_of_retainers(connection, [each.retainer_id for each in commands])
    return locks.lock_ahead(connection, known.values())


def _bill(
    connection: Connection,
    case: Case,
    drawdown: Drawdown,
    command: DrawdownCommand,
    at: datetime,
) -> Moves:
    seq = locks.next_seq(connection, case.contract.id)
    return over.bill(case, drawdown, command, at, slot_id=new_id(), seq=seq)


def _offer(connection: Connection, command: OfferRetainer, at: datetime) -> Moves:
    ids = [command.retainer_id]
    if store_retainer.list_taken(connection, ids) or store.find_slots(connection, ids):
        raise IdTaken(id=str(command.retainer_id))
    known = store.find_contracts(connection, [command.contract_id])
    if command.new is None:
        if not known:
            raise UnknownContract(contract_id=str(command.contract_id))
        contract = locks.lock_contracts(connection, [command.contract_id])[command.contract_id]
        return rules_retainer_terms.offer(contract, command, at)
    if known:
        raise IdTaken(id=str(command.contract_id))
    sides = {command.new.client_id, command.new.payee_id}
    present = parties.lock_share(connection, sides)
    for party_id in sorted(sides):
        if party_id not in present:
            raise UnknownParty(party_id=str(party_id))
    contract = rules_retainer_terms.new_contract(command.new, command, at)
    return rules_retainer_terms.offer(contract, command, at)


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
                    lock_case(connection, period_id, at), c, at, new_id
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
    contracts = locks.contracts_of_periods(connection, sorted(set(period_of.values())))
    locks.lock_ahead(connection, contracts.values())

    def choose(cases: Mapping[UUID, Case], command: DrawdownCommand) -> Moves:
        if command.drawdown_id not in period_of:
            raise UnknownDrawdown(drawdown_id=str(command.drawdown_id))
        case = cases[period_of[command.drawdown_id]]
        (drawdown,) = [each for each in case.drawdowns if each.id == command.drawdown_id]
        return decide(case, drawdown, command)

    def wave(some: Sequence[DrawdownCommand]) -> list[Outcome]:
        cases = lock_cases(
            connection,
            [period_of[c.drawdown_id] for c in some if c.drawdown_id in period_of],
            priced_at=at,
        )
        return act_all(connection, [partial(choose, cases, c) for c in some], at=at)

    def subject(command: DrawdownCommand) -> UUID:
        period_id = period_of.get(command.drawdown_id)
        return command.drawdown_id if period_id is None else contracts[period_id]

    return in_waves(commands, subject, wave)


def _draw(
    connection: Connection,
    cases: Mapping[UUID, Case],
    taken: set[UUID],
    command: Draw,
    at: datetime,
) -> Moves:
    case = cases.get(command.period_id)
    if case is None:
        raise UnknownPeriod(period_id=str(command.period_id))
    if {command.drawdown_id, command.over_id} & taken:
        raise IdTaken(id=str(command.drawdown_id))
    moves = draws.draw(case, replace(command, over_id=command.over_id or new_id()), at)
    if command.hours:
        payee_id = case.contract.payee_id
        known = taken_by_payee(connection, [payee_id], command.hours)[payee_id]
        near = [span for span in known if any(_touches(span, each) for each in command.hours)]
        check_apart([*command.hours, *near])
    return moves


def _touches(one: tuple[datetime, datetime], other: tuple[datetime, datetime]) -> bool:
    return one[0] < other[1] and other[0] < one[1]
