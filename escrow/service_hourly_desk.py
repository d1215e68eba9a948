"""What logging looks at, read under its locks: terms with contracts, weeks and taken hours."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from escrow import store, store_hourly, store_hourly_lines
from escrow.model import Contract
from escrow.model_hourly import HourlyTerm, Week
from escrow.refusals_hourly import UnknownTerm
from escrow.rules_hourly import Desk
from escrow.service_batch import list_holds
from escrow.service_hourly_look import judged_facts, look_entries
from kernel.commands import Outcome
from ledger import parties
from ledger.model_parties import KycState, SanctionState

Span = tuple[datetime, datetime]

_REACH: Final = timedelta(hours=25)


def lock_desks(
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
    parties.lock_share(connection, {p for c in known for p in (c.client_id, c.payee_id)})
    store.share_contracts(connection, [each.id for each in known])
    terms = store_hourly.lock_terms(connection, [each.term_id for each in found])
    return look_desks(connection, terms, at, since=since)


def look_desks(
    connection: Connection,
    terms: Sequence[HourlyTerm],
    at: datetime | None = None,
    *,
    since: datetime | None = None,
) -> dict[UUID, Desk]:
    """Terms that are locked, with what logging looks at; their open weeks are locked, too."""
    contracts = by_id(store.find_contracts(connection, [each.contract_id for each in terms]))
    people = parties.find_many(connection, {each.payee_id for each in terms})
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


def with_taken(
    connection: Connection, desk: Desk, spans: Sequence[Span], own: Sequence[UUID]
) -> Desk:
    """The desk with the payee's other hours near these, but for the entries named."""
    if not spans:
        return desk
    begin, end = _near(spans)
    payee_id = desk.term.payee_id
    known = store_hourly.list_spans(connection, payee_id, begin=begin, end=end)
    taken = (
        *((s, e) for entry_id, s, e in known if entry_id not in own),
        *(span for each in _running(connection, [payee_id], end).values() for span in each),
    )
    return replace(desk, taken=taken)


def taken_by_payee(
    connection: Connection, payee_ids: Sequence[UUID], spans: Sequence[Span]
) -> dict[UUID, list[Span]]:
    """The hours that payees have logged near these, under any term, and what runs of them."""
    taken: dict[UUID, list[Span]] = {each: [] for each in payee_ids}
    if spans:
        begin, end = _near(spans)
        for payee_id, started_at, ended_at in store_hourly.list_payee_spans(
            connection, payee_ids, begin=begin, end=end
        ):
            taken[payee_id].append((started_at, ended_at))
        for payee_id, running in _running(connection, payee_ids, end).items():
            taken[payee_id] += running
    return taken


def tell_live(connection: Connection, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The answers with each entry as it looks now: what is billable of it, protected or why not."""
    told = [each["entry_id"] for o in outcomes if o.is_done for each in o.facts["entries"]]
    found = store_hourly.find_entries(connection, [UUID(each) for each in told])
    live = {str(each.entry.id): judged_facts(each) for each in look_entries(connection, found)}
    return [
        Outcome(
            outcome.code,
            {
                **outcome.facts,
                "entries": [
                    {**each, **live[each["entry_id"]]} for each in outcome.facts["entries"]
                ],
            },
        )
        if outcome.is_done
        else outcome
        for outcome in outcomes
    ]


def tell_one(connection: Connection, outcome: Outcome) -> Outcome:
    """The answer on one entry, as it looks now."""
    if not outcome.is_done:
        return outcome
    found = store_hourly.find_entries(connection, [UUID(outcome.facts["entry_id"])])
    (judged,) = look_entries(connection, found)
    return Outcome(outcome.code, {**outcome.facts, **judged_facts(judged)})


def get_desk(desks: Mapping[UUID, Desk], term_id: UUID) -> Desk:
    """The desk of a term; refuses `escrow.unknown_term`."""
    desk = desks.get(term_id)
    if desk is None:
        raise UnknownTerm(term_id=str(term_id))
    return desk


def by_id(contracts: Iterable[Contract]) -> dict[UUID, Contract]:
    """Contracts by their ids."""
    return {each.id: each for each in contracts}


def _near(spans: Sequence[Span]) -> Span:
    return min(s for s, _ in spans) - _REACH, max(e for _, e in spans) + _REACH


def _running(
    connection: Connection, payee_ids: Sequence[UUID], end: datetime
) -> dict[UUID, list[Span]]:
    """What runs takes all time from its start on."""
    return {
        run.payee_id: [(run.started_at, max(end, run.started_at + _REACH))]
        for run in store_hourly_lines.find_running(connection, payee_ids)
    }


def _minutes(connection: Connection, weeks: Iterable[Week]) -> int:
    ids = [week.id for week in weeks]
    return sum(each.minutes for each in store_hourly.list_entries(connection, ids))
