"""Use cases of hours: offer, accept, change, log, edit, delete, approve late hours."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_hourly, rules_hourly_terms, store, store_hourly
from escrow.commands_hourly import (
    AddHours,
    ChangeHours,
    EditTime,
    EntryCommand,
    LogTime,
    ProposeHours,
    TermCommand,
)
from escrow.model import Plan
from escrow.model_hourly import HourlyTerm, Step, TimeEntry, Worked
from escrow.refusals import IdTaken, UnknownContract, UnknownParty
from escrow.refusals_hourly import UnknownEntry, UnknownTerm
from escrow.rules_hourly import Desk
from escrow.service_batch import once_each, run
from escrow.service_hourly_desk import (
    by_id,
    get_desk,
    lock_desks,
    taken_by_payee,
    tell_live,
    tell_one,
    with_taken,
)
from escrow.service_waves import in_waves
from escrow.tables import CONTRACT, TERM
from escrow.tables_hourly import TIME_ENTRY
from kernel.commands import Command, Outcome
from kernel.ids import new_id
from ledger import parties

C = TypeVar("C", bound=Command)
E = TypeVar("E", bound=EntryCommand)

_REACH = timedelta(hours=25)
_WEEK = timedelta(days=8)


def run_hours(
    connection: Connection,
    commands: Sequence[C],
    decide: Callable[[C], Step],
    *,
    at: datetime,
) -> list[Outcome]:
    """As `service_batch.run`, and the hours of what was accepted are written after it."""
    worked: dict[int, Worked] = {}

    def choose(numbered: tuple[int, C]) -> Plan:
        number, command = numbered
        found = decide(command)
        worked[number] = found.worked
        return found.plan

    numbers = {id(command): number for number, command in enumerate(commands)}
    outcomes = run(connection, commands, lambda c: choose((numbers[id(c)], c)), at=at)
    store_hourly.write(
        connection, [worked[i] for i, outcome in enumerate(outcomes) if outcome.is_done]
    )
    return outcomes


def propose_hours(
    connection: Connection, commands: Sequence[ProposeHours], *, at: datetime
) -> list[Outcome]:
    """Offer contracts on hours; by client or payee. As `propose`."""

    def serve(alone: Sequence[ProposeHours]) -> list[Outcome]:
        wanted = {each for c in alone for each in (c.client_id, c.payee_id)}
        known = parties.lock_share(connection, wanted)
        taken = store.list_taken(connection, CONTRACT, [c.contract_id for c in alone])
        taken |= store.list_taken(connection, TERM, [c.offer.term_id for c in alone])

        def decide(command: ProposeHours) -> Step:
            for party_id in (command.client_id, command.payee_id):
                if party_id not in known:
                    raise UnknownParty(party_id=str(party_id))
            _check_free(taken, (command.contract_id, command.offer.term_id))
            return rules_hourly_terms.propose_hours(command, at)

        return run_hours(connection, alone, decide, at=at)

    return once_each(commands, lambda c: (c.contract_id, c.offer.term_id), serve)


def add_hours(
    connection: Connection, commands: Sequence[AddHours], *, at: datetime
) -> list[Outcome]:
    """Offer hours under running contracts; by either party, for the other to accept."""

    def serve(alone: Sequence[AddHours]) -> list[Outcome]:
        contracts = by_id(store.share_contracts(connection, [c.contract_id for c in alone]))
        taken = store.list_taken(connection, TERM, [c.offer.term_id for c in alone])

        def decide(command: AddHours) -> Step:
            contract = contracts.get(command.contract_id)
            if contract is None:
                raise UnknownContract(contract_id=str(command.contract_id))
            _check_free(taken, (command.offer.term_id,))
            return rules_hourly_terms.add_hours(contract, command, at)

        return run_hours(connection, alone, decide, at=at)

    return once_each(commands, lambda c: (c.contract_id, c.offer.term_id), serve)


def accept_hours(
    connection: Connection, commands: Sequence[TermCommand], *, at: datetime
) -> list[Outcome]:
    """Sign the hourly term that the other party offered; its first week opens."""

    def serve(alone: Sequence[TermCommand]) -> list[Outcome]:
        found = store_hourly.find_terms(connection, [c.term_id for c in alone])
        contracts = by_id(store.lock_contracts(connection, [each.contract_id for each in found]))
        terms = {
            t.term_id: t for t in store_hourly.lock_terms(connection, [t.term_id for t in found])
        }

        def decide(command: TermCommand) -> Step:
            term = _get_term(terms, command.term_id)
            contract = contracts[term.contract_id]
            return rules_hourly_terms.accept_hours(contract, term, command, at, new_id)

        def wave(some: Sequence[TermCommand]) -> list[Outcome]:
            outcomes = run_hours(connection, some, decide, at=at)
            contracts.update(by_id(store.find_contracts(connection, list(contracts))))
            return outcomes

        # two terms of one contract sign it one after the other
        contract_of = {each.term_id: each.contract_id for each in terms.values()}
        return in_waves(alone, lambda c: contract_of.get(c.term_id, c.term_id), wave)

    return once_each(commands, lambda c: (c.term_id,), serve)


def change_hours(
    connection: Connection, commands: Sequence[ChangeHours], *, at: datetime
) -> list[Outcome]:
    """Another limit, or a higher rate; by the client."""

    def serve(alone: Sequence[ChangeHours]) -> list[Outcome]:
        desks = lock_desks(connection, [c.term_id for c in alone], at)

        def decide(command: ChangeHours) -> Step:
            return rules_hourly_terms.change_hours(get_desk(desks, command.term_id), command, at)

        return run_hours(connection, alone, decide, at=at)

    return once_each(commands, lambda c: (c.term_id,), serve)


def log_time(connection: Connection, commands: Sequence[LogTime], *, at: datetime) -> list[Outcome]:
    """Keep hours that were worked; by the payee. All entries of a command or none.

    Refuses `escrow.hours_overlap` where the payee has logged some of them, whatever the contract.
    """

    def serve(alone: Sequence[LogTime]) -> list[Outcome]:
        found = store_hourly.find_terms(connection, [c.term_id for c in alone])
        payees = sorted({each.payee_id for each in found})
        store_hourly.lock_payees(connection, payees)
        spans = [(each.started_at, each.ended_at) for c in alone for each in c.entries]
        since = min((begin for begin, _ in spans), default=at) - _WEEK
        desks = lock_desks(connection, [c.term_id for c in alone], None, since=since)
        taken_ids = store.list_taken(
            connection, TIME_ENTRY, [each.entry_id for c in alone for each in c.entries]
        )
        taken = taken_by_payee(connection, payees, spans)

        def decide(command: LogTime) -> Step:
            desk = get_desk(desks, command.term_id)
            _check_free(taken_ids, [each.entry_id for each in command.entries])
            mine = taken[desk.term.payee_id]
            decided = rules_hourly.log_time(replace(desk, taken=mine), command, at, new_id)
            # the hours of one are what the next of the same payee must not overlap
            mine += [(each.started_at, each.ended_at) for each in decided.worked.entries]
            return decided

        return tell_live(connection, run_hours(connection, alone, decide, at=at))

    return once_each(commands, lambda c: (c.term_id, *(each.entry_id for each in c.entries)), serve)


def edit_time(
    connection: Connection, commands: Sequence[EditTime], *, at: datetime
) -> list[Outcome]:
    """Correct entries that are not locked; by the payee."""

    def decide(desk: Desk, entry: TimeEntry, command: EditTime) -> Step:
        span = (command.started_at or entry.started_at, command.ended_at or entry.ended_at)
        looked_at = with_taken(connection, desk, [span], (entry.id,))
        return rules_hourly.edit_time(looked_at, entry, command, at)

    return _on_entries(connection, commands, decide, at=at)


def delete_time(
    connection: Connection, commands: Sequence[EntryCommand], *, at: datetime
) -> list[Outcome]:
    """Take back entries that are not locked; by the payee."""

    def decide(desk: Desk, entry: TimeEntry, command: EntryCommand) -> Step:
        return rules_hourly.delete_time(desk, entry, command, at)

    return _on_entries(connection, commands, decide, at=at)


def approve_late(
    connection: Connection, commands: Sequence[EntryCommand], *, at: datetime
) -> list[Outcome]:
    """Agree that late hours go on the next invoice; by the client (edge case 30)."""

    def decide(desk: Desk, entry: TimeEntry, command: EntryCommand) -> Step:
        return rules_hourly.approve_late(desk, entry, command, at)

    return _on_entries(connection, commands, decide, at=at)


def _on_entries(
    connection: Connection,
    commands: Sequence[E],
    decide: Callable[[Desk, TimeEntry, E], Step],
    *,
    at: datetime,
) -> list[Outcome]:
    def serve(alone: Sequence[E]) -> list[Outcome]:
        found = store_hourly.find_entries(connection, [c.entry_id for c in alone])
        store_hourly.lock_payees(connection, [each.payee_id for each in found])
        desks = lock_desks(connection, [each.term_id for each in found], None)
        entries = {
            each.id: each
            for each in store_hourly.lock_entries(connection, [each.id for each in found])
        }

        def choose(command: E) -> Step:
            entry = entries.get(command.entry_id)
            if entry is None:
                raise UnknownEntry(entry_id=str(command.entry_id))
            return decide(desks[entry.term_id], entry, command)

        outcomes = [
            outcome
            for command in alone
            for outcome in run_hours(connection, [command], choose, at=at)
        ]
        return [tell_one(connection, outcome) for outcome in outcomes]

    return once_each(commands, lambda c: (c.entry_id,), serve)


def _get_term(terms: Mapping[UUID, HourlyTerm], term_id: UUID) -> HourlyTerm:
    term = terms.get(term_id)
    if term is None:
        raise UnknownTerm(term_id=str(term_id))
    return term


def _check_free(taken: set[UUID], ids: Sequence[UUID]) -> None:
    for each in ids:
        if each in taken:
            raise IdTaken(id=str(each))
