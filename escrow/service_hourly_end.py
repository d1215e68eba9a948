"""What pausing and ending a contract does to its hours: runs stop, a last short week is billed."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_hourly_end, service_deal, store, store_hourly
from escrow.commands import ContractCommand
from escrow.commands_hourly import TermCommand
from escrow.model_hourly import HourlyTerm, TermState
from escrow.service_hourly import run_hours
from escrow.service_hourly_run import lock_at_work, stop_runs
from kernel.commands import Outcome
from kernel.principals import SYSTEM


def pause(
    connection: Connection, commands: Sequence[ContractCommand], *, at: datetime
) -> list[Outcome]:
    """As `service_deal.pause`; time that runs is stopped."""
    lock_at_work(connection, contract_ids=[command.contract_id for command in commands])
    outcomes = service_deal.pause(connection, commands, at=at)
    stop_runs(connection, _terms(connection, outcomes), at)
    return outcomes


def end(
    connection: Connection, commands: Sequence[ContractCommand], *, at: datetime
) -> list[Outcome]:
    """As `service_deal.end`; each hourly term has a last short week, which ends now.

    It is invoiced twelve hours later and reviewed as long as any other week.
    """
    lock_at_work(connection, contract_ids=[command.contract_id for command in commands])
    outcomes = service_deal.end(connection, commands, at=at)
    for term in _terms(connection, outcomes):
        _end(connection, term, at)
    return outcomes


def end_term(connection: Connection, term_id: UUID, *, at: datetime) -> None:
    """The last short week of one hourly term, which both sides have ended."""
    for term in store_hourly.lock_terms(connection, [term_id]):
        _end(connection, term, at)


def is_running(connection: Connection, term_id: UUID) -> bool:
    """Whether an hourly term was signed and has not ended."""
    found = store_hourly.find_terms(connection, [term_id])
    return any(each.state is TermState.ACTIVE and each.ended_at is None for each in found)


def _end(connection: Connection, term: HourlyTerm, at: datetime) -> None:
    command = TermCommand(actor=SYSTEM, term_id=term.term_id)
    weeks = store_hourly.lock_term_weeks(connection, [term.term_id])
    run_hours(
        connection, [command], lambda c: rules_hourly_end.end_hours(term, weeks, c, at), at=at
    )
    stop_runs(connection, store_hourly.find_terms(connection, [term.term_id]), at)


def _terms(connection: Connection, outcomes: Sequence[Outcome]) -> list[HourlyTerm]:
    """The running hourly terms of the contracts that moved, locked."""
    moved = [UUID(each.facts["contract_id"]) for each in outcomes if each.is_done]
    found = [
        term
        for contract in store.find_contracts(connection, moved)
        for term in store_hourly.list_contract_terms(connection, contract.id)
        if term.state is TermState.ACTIVE and term.ended_at is None
    ]
    return store_hourly.lock_terms(connection, [each.term_id for each in found])
