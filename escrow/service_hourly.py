"""Use cases of hours: offer, accept, change, log, edit, delete, approve late hours."""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
from escrow.model import Contract, Plan
from escrow.model_hourly import HourlyTerm, Step, TimeEntry, Week, Worked
from escrow.refusals import IdTaken, UnknownContract, UnknownParty
from escrow.refusals_hourly import UnknownEntry, UnknownTerm
from escrow.rules_hourly import Desk
from escrow.service_batch import list_holds, once_each, run
from escrow.service_waves import in_waves
from escrow.tables import CONTRACT, TERM
from escrow.tables_hourly import TIME_ENTRY
from kernel.commands import Command, Outcome
from kernel.ids import new_id
from ledger import parties
from ledger.model_parties import KycState, SanctionState

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
        contracts = _by_id(store.share_contracts(connection, [c.contract_id for c in alone]))
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
        contracts = _by_id(store.lock_contracts(connection, [each.contract_id for each in found]))
        terms = {
            t.term_id: t for t in store_hourly.lock_terms(connection, [t.term_id for t in found])
        }

        def decide(command: TermCommand) -> Step:
            term = _get_term(terms, command.term_id)
            contract = contracts[term.contract_id]
            return rules_hourly_terms.accept_hours(contract, term, command, at, new_id)

        def wave(some: Sequence[TermCommand]) -> list[Outcome]:
            outcomes = run_hours(connection, some, decide, at=at)
            contracts.update(_by_id(store.find_contracts(connection, list(contracts))))
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
        desks = _lock_desks(connection, [c.term_id for c in alone], at)

        def decide(command: ChangeHours) -> Step:
            return rules_hourly_terms.change_hours(_get(desks, command.term_id), command, at)

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
        desks = _lock_desks(connection, [c.term_id for c in alone], None, since=since)
        taken_ids = store.list_taken(
            connection, TIME_ENTRY, [each.entry_id for c in alone for each in c.entries]
        )
        taken = _taken_by_payee(connection, payees, spans)

        def decide(command: LogTime) -> Step:
            desk = _get(desks, command.term_id)
            _check_free(taken_ids, [each.entry_id for each in command.entries])
            mine = taken[desk.term.payee_id]
            decided = rules_hourly.log_time(replace(desk, taken=mine), command, at, new_id)
            # the hours of one are what the next of the same payee must not overlap
            mine += [(each.started_at, each.ended_at) for each in decided.worked.entries]
            return decided

        return run_hours(connection, alone, decide, at=at)

    return once_each(commands, lambda c: (c.term_id, *(each.entry_id for each in c.entries)), serve)


def edit_time(
    connection: Connection, commands: Sequence[EditTime], *, at: datetime
) -> list[Outcome]:
    """Correct entries that are not locked; by the payee."""

    def decide(desk: Desk, entry: TimeEntry, command: EditTime) -> Step:
        span = (command.started_at or entry.started_at, command.ended_at or entry.ended_at)
        looked_at = _with_taken(connection, desk, [span], (entry.id,))
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
        desks = _lock_desks(connection, [each.term_id for each in found], None)
        entries = {
            each.id: each
            for each in store_hourly.lock_entries(connection, [each.id for each in found])
        }

        def choose(command: E) -> Step:
            entry = entries.get(command.entry_id)
            if entry is None:
                raise UnknownEntry(entry_id=str(command.entry_id))
            return decide(desks[entry.term_id], entry, command)

        return [
            outcome
            for command in alone
            for outcome in run_hours(connection, [command], choose, at=at)
        ]

    return once_each(commands, lambda c: (c.entry_id,), serve)


def _lock_desks(
    connection: Connection,
    term_ids: Sequence[UUID],
    at: datetime | None,
    *,
    since: datetime | None = None,
) -> dict[UUID, Desk]:
    """Terms with parties, contracts and weeks locked in order; with `at` the running week alone.

    With `since` only the weeks that begin then or later.
    """
    found = store_hourly.find_terms(connection, term_ids)
    known = store.find_contracts(connection, [each.contract_id for each in found])
    people = parties.lock_share(connection, {p for c in known for p in (c.client_id, c.payee_id)})
    contracts = _by_id(store.share_contracts(connection, [each.id for each in known]))
    terms = store_hourly.lock_terms(connection, [each.term_id for each in found])
    ids = [each.term_id for each in terms]
    store_hourly.lock_term_weeks(connection, ids)
    weeks = store_hourly.list_starts(connection, ids, since=since)
    rates = store_hourly.list_rates(connection, ids)
    held = list_holds(connection, contracts.values(), ())
    desks = {}
    for term in terms:
        contract, payee = contracts[term.contract_id], people[term.payee_id]
        mine = weeks.get(term.term_id, {})
        running = {s: w for s, w in mine.items() if at and s <= at < w.ends_at}
        desks[term.term_id] = Desk(
            term=term,
            contract=contract,
            rates=tuple(rates[term.term_id]),
            weeks=mine if at is None else running,
            taken=(),
            is_identified=payee.kyc_state is KycState.VERIFIED
            and payee.sanction_state is SanctionState.CLEAR,
            is_payee_clear=f"party:{payee.id}" not in held
            and f"contract:{contract.id}" not in held,
            logged_minutes=_minutes(connection, running.values()),
        )
    return desks


def _minutes(connection: Connection, weeks: Iterable[Week]) -> int:
    ids = [week.id for week in weeks]
    return sum(each.minutes for each in store_hourly.list_entries(connection, ids))


def _with_taken(
    connection: Connection,
    desk: Desk,
    spans: Sequence[tuple[datetime, datetime]],
    own: Sequence[UUID],
) -> Desk:
    """The desk with the payee's other hours near these."""
    if not spans:
        return desk
    begin, end = min(s for s, _ in spans) - _REACH, max(e for _, e in spans) + _REACH
    known = store_hourly.list_spans(connection, desk.term.payee_id, begin=begin, end=end)
    taken = tuple((s, e) for entry_id, s, e in known if entry_id not in own)
    return Desk(
        term=desk.term,
        contract=desk.contract,
        rates=desk.rates,
        weeks=desk.weeks,
        taken=taken,
        is_identified=desk.is_identified,
        is_payee_clear=desk.is_payee_clear,
    )


def _taken_by_payee(
    connection: Connection,
    payee_ids: Sequence[UUID],
    spans: Sequence[tuple[datetime, datetime]],
) -> dict[UUID, list[tuple[datetime, datetime]]]:
    """The hours that payees have logged near these, under any term."""
    taken: dict[UUID, list[tuple[datetime, datetime]]] = {each: [] for each in payee_ids}
    if spans:
        begin, end = min(s for s, _ in spans) - _REACH, max(e for _, e in spans) + _REACH
        for payee_id, started_at, ended_at in store_hourly.list_payee_spans(
            connection, payee_ids, begin=begin, end=end
        ):
            taken[payee_id].append((started_at, ended_at))
    return taken


def _by_id(contracts: Iterable[Contract]) -> dict[UUID, Contract]:
    return {each.id: each for each in contracts}


def _get_term(terms: Mapping[UUID, HourlyTerm], term_id: UUID) -> HourlyTerm:
    term = terms.get(term_id)
    if term is None:
        raise UnknownTerm(term_id=str(term_id))
    return term


def _get(desks: Mapping[UUID, Desk], term_id: UUID) -> Desk:
    desk = desks.get(term_id)
    if desk is None:
        raise UnknownTerm(term_id=str(term_id))
    return desk


def _check_free(taken: set[UUID], ids: Sequence[UUID]) -> None:
    for each in ids:
        if each in taken:
            raise IdTaken(id=str(each))
