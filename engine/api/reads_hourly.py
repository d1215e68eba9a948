"""What can be looked at of hours: terms, weeks with their invoices, entries, claims on clients."""

from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Connection

from engine.api import store
from engine.api.access import Scope
from engine.api.answers_hourly import (
    ClientClaimAnswer,
    HourlyTermAnswer,
    LineDisputeAnswer,
    RunAnswer,
    TimeEntryAnswer,
    WeekAnswer,
    WeekInFull,
)
from engine.api.calls import (
    Look,
    Page,
    PageQuery,
    Read,
    after_id,
    after_numbers,
    declare,
    page_of,
)
from engine.api.models import Id
from engine.api.views_hourly import (
    show_claim,
    show_deposit,
    show_entry,
    show_line,
    show_run,
    show_term,
    show_week,
    show_week_line,
)
from escrow import store_hourly, store_hourly_lines, store_hourly_lists
from escrow.clocks import CONSEQUENCES
from escrow.model_hourly import EntryState
from escrow.service_hourly_look import TermSeen, look_entries, look_term, look_week

_LAST_SECOND: Final = 253_402_300_799


class EntriesQuery(PageQuery):
    """Which entries."""

    week_id: Id | None = None
    state: EntryState | None = None


class ClientClaimsQuery(PageQuery):
    """Which claims."""

    state: Literal["open", "paid", "written_off"] | None = None


def sees(connection: Connection, look: Look, kind: str, named: UUID) -> bool:
    """Whether the caller may see a subject."""
    party_id = look.sees_only
    return party_id is None or store.is_seen(connection, kind, named, party_id=party_id)


def _term(connection: Connection, look: Look) -> dict[str, Any] | None:
    named = look.ids["term_id"]
    seen = look_term(connection, named)
    if seen is None or not sees(connection, look, "hourly_term", named):
        return None
    return show_term(seen)


def _terms(connection: Connection, look: Look) -> Page | None:
    contract_id = look.ids["contract_id"]
    if not store.find_currency(connection, "contract", contract_id, sees_only=look.sees_only):
        return None
    terms = store_hourly.list_contract_terms(connection, contract_id)
    rates = store_hourly.list_rates(connection, [each.term_id for each in terms])
    return Page([show_term(TermSeen(each, rates[each.term_id])) for each in terms], None)


def _week(connection: Connection, look: Look) -> dict[str, Any] | None:
    named = look.ids["week_id"]
    seen = look_week(connection, named)
    if seen is None or not sees(connection, look, "week", named):
        return None
    currency = seen.term.currency
    return {
        **show_week(seen.week, currency),
        "lines": [show_week_line(each, currency) for each in seen.lines],
        "disputed_lines": [show_line(each) for each in seen.disputes],
        "logged_minutes": sum(each.entry.minutes for each in seen.judged),
        "billable_minutes": sum(each.billed_minutes for each in seen.judged),
        "claim": show_claim(seen.claim) if seen.claim else None,
        "deposit": show_deposit(seen),
        "if_nothing_happens": [
            {
                "kind": each.kind,
                "due_at": each.due_at.isoformat(),
                "consequence": CONSEQUENCES.get(each.kind, each.kind),
            }
            for each in seen.clocks
        ],
    }


def _weeks(connection: Connection, look: Look) -> Page | None:
    named, limit = look.ids["term_id"], look.query.limit
    found = store_hourly.find_terms(connection, [named])
    if not found or not sees(connection, look, "hourly_term", named):
        return None
    (last,) = after_numbers(look)
    after = datetime.fromtimestamp(min(last, _LAST_SECOND), UTC) if look.after else None
    rows = store_hourly_lists.list_weeks_after(connection, named, after=after, limit=limit + 1)
    return page_of(
        rows,
        limit,
        show=lambda week: show_week(week, found[0].currency),
        key=lambda week: (int(week.starts_at.timestamp()),),
    )


def _entry(connection: Connection, look: Look) -> dict[str, Any] | None:
    named = look.ids["entry_id"]
    found = store_hourly.find_entries(connection, [named])
    if not found or not sees(connection, look, "time_entry", named):
        return None
    (term,) = store_hourly.find_terms(connection, [found[0].term_id])
    return show_entry(look_entries(connection, found)[0], term.currency)


def _entries(connection: Connection, look: Look) -> Page | None:
    named, query = look.ids["term_id"], look.query
    found = store_hourly.find_terms(connection, [named])
    if not found or not sees(connection, look, "hourly_term", named):
        return None
    rows = store_hourly_lists.list_term_entries(
        connection,
        named,
        week_id=query.week_id,
        state=query.state and query.state.value,
        after=after_id(look),
        limit=query.limit + 1,
    )
    return page_of(
        look_entries(connection, rows),
        query.limit,
        show=lambda each: show_entry(each, found[0].currency),
        key=lambda each: (str(each.entry.id),),
    )


def _run(connection: Connection, look: Look) -> dict[str, Any] | None:
    named = look.ids["run_id"]
    found = store_hourly_lines.find_runs(connection, [named])
    if not found or not sees(connection, look, "time_run", named):
        return None
    return show_run(found[0])


def _runs(connection: Connection, look: Look) -> Page | None:
    named = look.ids["term_id"]
    found = store_hourly.find_terms(connection, [named])
    if not found or not sees(connection, look, "hourly_term", named):
        return None
    return Page(
        [show_run(each) for each in store_hourly_lines.list_running(connection, [named])], None
    )


def _disputed_line(connection: Connection, look: Look) -> dict[str, Any] | None:
    named = look.ids["line_dispute_id"]
    found = store_hourly_lines.find_lines(connection, [named])
    if not found or not sees(connection, look, "line_dispute", named):
        return None
    return show_line(found[0])


def _claims(connection: Connection, look: Look) -> Page | None:
    query = look.query
    rows = store_hourly_lists.list_client_claims(
        connection,
        client_id=look.sees_only,
        state=query.state,
        after=after_id(look),
        limit=query.limit + 1,
    )
    return page_of(rows, query.limit, show=show_claim, key=lambda each: (str(each.week_id),))


_C = Scope.CONTRACTS_READ
_TERM = "/v1/hourly_terms/{term_id}"

HOURLY_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/contracts/{contract_id}/hourly_terms",
        _C,
        _terms,
        HourlyTermAnswer,
        summary="Hourly terms of a contract",
        pages=True,
    ),
    declare(_TERM, _C, _term, HourlyTermAnswer, summary="An hourly term with its rates"),
    declare(
        f"{_TERM}/weeks",
        _C,
        _weeks,
        WeekAnswer,
        summary="Worked weeks, oldest first",
        query=PageQuery,
        pages=True,
    ),
    declare(
        f"{_TERM}/entries",
        _C,
        _entries,
        TimeEntryAnswer,
        summary="Logged hours: billable or not, protected or why not",
        query=EntriesQuery,
        pages=True,
    ),
    declare(
        "/v1/weeks/{week_id}",
        _C,
        _week,
        WeekInFull,
        summary="A week with its invoice, and what happens if nobody acts",
    ),
    declare(
        f"{_TERM}/runs",
        _C,
        _runs,
        RunAnswer,
        summary="What runs of a term now",
        pages=True,
    ),
    declare("/v1/time_runs/{run_id}", _C, _run, RunAnswer, summary="Time that runs, or ran"),
    declare(
        "/v1/line_disputes/{line_dispute_id}",
        _C,
        _disputed_line,
        LineDisputeAnswer,
        summary="A disputed line of an invoice",
    ),
    declare("/v1/time_entries/{entry_id}", _C, _entry, TimeEntryAnswer, summary="A time entry"),
    declare(
        "/v1/client_claims",
        _C,
        _claims,
        ClientClaimAnswer,
        summary="What clients owe for hours that were paid in advance",
        query=ClientClaimsQuery,
        pages=True,
    ),
)
"""Every look at hours."""
