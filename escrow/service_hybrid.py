"""Use cases on the terms of a contract: amendments that both sign, and how each kind of term ends.

Ending a contract runs the exit of each of its terms: what a milestone holds is asked back, hours
have a last short week, a retainer ends with notice or pro rata (P31). It is closed when all is
zero.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_hybrid, service_hourly_end, store, store_hybrid, store_retainer
from escrow import service_retainer_locks as locks
from escrow.commands import ContractCommand
from escrow.machine import Trigger
from escrow.model import Contract, Plan, SlotState
from escrow.model_hybrid import (
    ProposeTermAmendment,
    Term,
    TermAction,
    TermAmendment,
    TermAmendmentCommand,
    TermKind,
)
from escrow.model_retainer import Retainer, RetainerCommand, RetainerState
from escrow.refusals import FundingOpen, IdTaken
from escrow.refusals_hourly import UnknownTerm
from escrow.refusals_hybrid import TermOver, UnknownTermAmendment
from escrow.rules_deal import end_slot
from escrow.rules_retainer import is_at_once, priced
from escrow.service_batch import run
from escrow.service_hourly_run import lock_at_work
from escrow.service_retainer import cancel_retainer, wind_up
from escrow.service_retainer_batch import list_prices
from kernel.commands import Command, Outcome

C = TypeVar("C", bound=Command)
Pair = tuple[TermAmendment | None, TermAmendment]

_FOR_EVER: Final = 2**31 - 1


def propose_term_amendment(
    connection: Connection, commands: Sequence[ProposeTermAmendment], *, at: datetime
) -> list[Outcome]:
    """Offer to end a term, or another price of a retainer; by either party."""

    def decide(command: ProposeTermAmendment) -> tuple[Pair, Plan]:
        term, contract = _lock_term(connection, command.term_id)
        if store_hybrid.find_amendments(connection, [command.amendment_id]):
            raise IdTaken(id=str(command.amendment_id))
        offer, plan = rules_hybrid.propose(
            contract,
            term,
            _retainer_of(connection, term),
            command,
            at,
            is_open=store_hybrid.has_open_offer(connection, term.id),
        )
        return (None, offer), plan

    found = store_hybrid.find_terms(connection, [command.term_id for command in commands])
    locks.lock_ahead(connection, [term.contract_id for term in found])
    return [_act(connection, command, decide, at) for command in commands]


def reject_term_amendment(
    connection: Connection, commands: Sequence[TermAmendmentCommand], *, at: datetime
) -> list[Outcome]:
    """Say no to an offer; by the other side."""
    return _answer(connection, commands, Trigger.REJECT, at=at)


def withdraw_term_amendment(
    connection: Connection, commands: Sequence[TermAmendmentCommand], *, at: datetime
) -> list[Outcome]:
    """Take an offer back; by the side that made it."""
    return _answer(connection, commands, Trigger.WITHDRAW, at=at)


def sign_term_amendment(
    connection: Connection, commands: Sequence[TermAmendmentCommand], *, at: datetime
) -> list[Outcome]:
    """Sign an offer; by the other side. A price counts from the next period, an end at once.

    A retainer ends pro rata (P31), a milestone's money is asked back, hours have a short week.
    """
    contracts = _lock_offers(connection, commands)
    locks.lock_accounts(connection, contracts)
    return [_sign(connection, command, at) for command in commands]


def end(
    connection: Connection, commands: Sequence[ContractCommand], *, at: datetime
) -> list[Outcome]:
    """End contracts; by either party or an operator: each term ends in its own way.

    A retainer of one who ends alone has its notice; by both, or by an operator, it ends at once,
    or as soon as its drawdowns are decided. An earned part is never refunded.
    """
    contract_ids = [command.contract_id for command in commands]
    lock_at_work(connection, contract_ids=contract_ids)
    contracts = locks.lock_contracts(connection, contract_ids)
    if store_retainer.list_retainers(connection, list(contracts)):
        locks.lock_accounts(connection, contracts.values())
    outcomes = service_hourly_end.end(connection, commands, at=at)
    for command, outcome in zip(commands, outcomes, strict=True):
        if outcome.is_done:
            for retainer in store_retainer.list_retainers(connection, [command.contract_id]):
                _end_retainer(connection, retainer, contracts[command.contract_id], command, at)
    return outcomes


def _end_retainer(
    connection: Connection,
    retainer: Retainer,
    contract: Contract,
    command: ContractCommand,
    at: datetime,
) -> None:
    if retainer.state is RetainerState.ENDED:
        return
    mine = RetainerCommand(actor=command.actor, retainer_id=retainer.id)
    if retainer.state is RetainerState.OFFERED or is_at_once(retainer, contract, mine):
        assert wind_up(connection, retainer.id, at=at).is_done
    elif retainer.state is RetainerState.RUNNING:
        (noticed,) = cancel_retainer(connection, [mine], at=at)
        assert noticed.is_done, noticed


def _sign(connection: Connection, command: TermAmendmentCommand, at: datetime) -> Outcome:
    def decide(given: TermAmendmentCommand) -> tuple[Pair, Plan]:
        offer, contract = _lock_offer(connection, given)
        after, plan = rules_hybrid.answer(offer, contract, Trigger.ACCEPT, given, at)
        (term,) = store_hybrid.find_terms(connection, [offer.term_id])
        if offer.action is TermAction.CHANGE:
            _check_running(connection, term)
            retainer = store_retainer.lock_retainer(connection, term.id)
            last = store_retainer.list_periods(connection, term.id)[-1]
            (slot,) = store.lock_slots(connection, [last.id])
            after, plan = rules_hybrid.change_price(after, plan, retainer, last, slot)
        elif term.kind is TermKind.MILESTONE:
            plan = _end_milestone(connection, term, contract, plan, given, at)
        else:
            _check_running(connection, term)
        return (offer, after), plan

    outcome = _act(connection, command, decide, at)
    if not outcome.is_done or outcome.facts["action"] != TermAction.END:
        return outcome
    (term,) = store_hybrid.find_terms(connection, [UUID(outcome.facts["term_id"])])
    if term.kind is TermKind.RETAINER:
        ended = wind_up(connection, term.id, at=at)
        assert ended.is_done, ended
        return Outcome(outcome.code, {**outcome.facts, "retainer": dict(ended.facts)})
    if term.kind is TermKind.HOURLY:
        service_hourly_end.end_term(connection, term.id, at=at)
    return outcome


def _end_milestone(
    connection: Connection,
    term: Term,
    contract: Contract,
    plan: Plan,
    command: TermAmendmentCommand,
    at: datetime,
) -> Plan:
    """The milestone's exit: its money is asked back; without money it is cancelled."""
    (slot,) = store.lock_slots(connection, [term.id])
    if slot.state is SlotState.FUNDING:
        raise FundingOpen(contract_id=str(contract.id))
    ended = end_slot(slot, contract, command, at)
    if not ended.moved_slots:
        raise TermOver(term_id=str(term.id), state=slot.state)
    return Plan(
        drafts=(*plan.drafts, *ended.drafts),
        facts={**plan.facts, "slot_state": ended.moved_slots[0][1].state.value},
        moved_slots=ended.moved_slots,
        alarms=ended.alarms,
        cancelled=ended.cancelled,
        paused=ended.paused,
    )


def _check_running(connection: Connection, term: Term) -> None:
    """Refuse what is signed of a term that has ended, or that was never signed itself."""
    if term.kind is TermKind.RETAINER:
        state = store_retainer.lock_retainer(connection, term.id).state
        if state in {RetainerState.OFFERED, RetainerState.ENDED}:
            raise TermOver(term_id=str(term.id), state=state)
    elif not service_hourly_end.is_running(connection, term.id):
        raise TermOver(term_id=str(term.id))


def _retainer_of(connection: Connection, term: Term) -> Retainer | None:
    """The term's retainer at its newest price."""
    found = store_retainer.find_retainers(connection, [term.id])
    if not found:
        return None
    return priced(found[0], list_prices(connection, [term.id]).get(term.id, ()), _FOR_EVER)


def _answer(
    connection: Connection,
    commands: Sequence[TermAmendmentCommand],
    trigger: Trigger,
    *,
    at: datetime,
) -> list[Outcome]:
    def decide(command: TermAmendmentCommand) -> tuple[Pair, Plan]:
        offer, contract = _lock_offer(connection, command)
        after, plan = rules_hybrid.answer(offer, contract, trigger, command, at)
        return (offer, after), plan

    _lock_offers(connection, commands)
    return [_act(connection, command, decide, at) for command in commands]


def _act(
    connection: Connection,
    command: C,
    decide: Callable[[C], tuple[Pair, Plan]],
    at: datetime,
) -> Outcome:
    pairs: list[Pair] = []

    def plan(given: C) -> Plan:
        pair, decided = decide(given)
        pairs.append(pair)
        return decided

    (outcome,) = run(connection, [command], plan, at=at)
    if outcome.is_done:
        before, after = pairs[0]
        if before is None:
            store_hybrid.add_amendment(connection, after)
        else:
            store_hybrid.save_amendment(connection, (before, after))
    return outcome


def _lock_term(connection: Connection, term_id: UUID) -> tuple[Term, Contract]:
    found = store_hybrid.find_terms(connection, [term_id])
    if not found:
        raise UnknownTerm(term_id=str(term_id))
    contract_id = found[0].contract_id
    return found[0], locks.lock_contracts(connection, [contract_id])[contract_id]


def _lock_offer(
    connection: Connection, command: TermAmendmentCommand
) -> tuple[TermAmendment, Contract]:
    found = store_hybrid.find_amendments(connection, [command.amendment_id])
    if not found:
        raise UnknownTermAmendment(amendment_id=str(command.amendment_id))
    contract_id = found[0].contract_id
    contract = locks.lock_contracts(connection, [contract_id])[contract_id]
    return store_hybrid.lock_amendment(connection, command.amendment_id), contract


def _lock_offers(
    connection: Connection, commands: Sequence[TermAmendmentCommand]
) -> list[Contract]:
    found = store_hybrid.find_amendments(connection, [each.amendment_id for each in commands])
    contract_ids = [each.contract_id for each in found]
    lock_at_work(connection, contract_ids=contract_ids)
    return locks.lock_ahead(connection, contract_ids)
