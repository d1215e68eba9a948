"""How hours look now: what each entry would be billed, and whether it is protected."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from escrow import store, store_hourly, store_hourly_lines
from escrow.machine_slot import WORKING
from escrow.maths_hourly import judge
from escrow.model import Slot
from escrow.model_hourly import (
    ClientClaim,
    Collect,
    EntryState,
    HourlyTerm,
    Judged,
    Rate,
    TimeEntry,
    Unprotected,
    Unused,
    Week,
    WeekLine,
)
from escrow.model_lines import LineDispute
from escrow.rules_hourly import LOGGING
from escrow.rules_hourly_prefund import surplus_minor
from escrow.rules_hourly_protection import protection
from kernel import timers
from kernel.timers import Timer


class WeekSeen(NamedTuple):
    """A week with all that is shown of it."""

    week: Week
    term: HourlyTerm
    lines: Sequence[WeekLine]
    disputes: Sequence[LineDispute]
    judged: Sequence[Judged]
    claim: ClientClaim | None
    slot: Slot | None
    clocks: Sequence[Timer]


class TermSeen(NamedTuple):
    """An hourly term with its rates, oldest first."""

    term: HourlyTerm
    rates: Sequence[Rate]


def look_term(connection: Connection, term_id: UUID) -> TermSeen | None:
    """A term to be shown; None where there is none."""
    found = store_hourly.find_terms(connection, [term_id])
    if not found:
        return None
    rates = store_hourly.list_rates(connection, [term_id])
    return TermSeen(found[0], rates[term_id])


def look_week(connection: Connection, week_id: UUID) -> WeekSeen | None:
    """A week to be shown; None where there is none."""
    weeks = store_hourly.find_weeks(connection, [week_id])
    if not weeks:
        return None
    (week,) = weeks
    (term,) = store_hourly.find_terms(connection, [week.term_id])
    claims = store_hourly.find_claims(connection, [week.id])
    return WeekSeen(
        week,
        term,
        store_hourly.list_lines(connection, week.id),
        store_hourly_lines.list_week_lines(connection, week.id),
        _judge_weeks(connection, [week], {term.term_id: term})[week.id],
        claims[0] if claims else None,
        store.find_slots(connection, [week.slot_id])[0] if week.slot_id else None,
        timers.list_of(connection, [f"week:{week.id}"]),
    )


def look_entries(connection: Connection, entries: Sequence[TimeEntry]) -> list[Judged]:
    """Entries as they stand: what is locked as it was judged, the others as they look now."""
    terms = {
        each.term_id: each
        for each in store_hourly.find_terms(connection, {entry.term_id for entry in entries})
    }
    named = {entry.week_id for entry in entries if entry.week_id and not _is_settled(entry)}
    weeks = store_hourly.find_weeks(connection, named)
    live = {
        judged.entry.id: judged
        for some in _judge_weeks(connection, weeks, terms).values()
        for judged in some
    }
    return [live.get(each.id) or as_stored(each, terms[each.term_id]) for each in entries]


def as_stored(entry: TimeEntry, term: HourlyTerm) -> Judged:
    """An entry as its lock or its invoice left it; a late one that waits is shown as it would be.

    A deleted entry bills nothing.
    """
    if _is_settled(entry):
        return Judged(
            entry, entry.billed_minutes, entry.over_limit, entry.is_protected, entry.reason
        )
    is_protected, reason = protection(
        entry, is_within_limit=True, activity_floor=term.activity_floor
    )
    minutes = 0 if entry.state is EntryState.DELETED else entry.minutes
    return Judged(entry, minutes, over_limit=False, is_protected=is_protected, reason=reason)


def look_covers(
    connection: Connection,
    weeks: Sequence[Week],
    terms: Mapping[UUID, HourlyTerm],
    *,
    with_surplus: bool = False,
) -> dict[UUID, int]:
    """What deposits cover, of weeks that are paid ahead; zero where none was made.

    `with_surplus` counts what the week before will surely leave over, and has not rolled on yet.
    """
    ahead = [week for week in weeks if terms[week.term_id].collect is Collect.PREFUND]
    if not ahead:
        return {}
    slots = store.find_slots(connection, [week.slot_id for week in ahead if week.slot_id])
    held = {slot.id: slot.held_minor for slot in slots if slot.state in WORKING}
    found = {week.id: held.get(week.slot_id, 0) if week.slot_id else 0 for week in ahead}
    for week in ahead if with_surplus else ():
        found[week.id] += look_surplus(connection, week, terms[week.term_id])
    return found


def look_surplus(connection: Connection, week: Week, term: HourlyTerm) -> int:
    """What the week before will surely leave over and has not rolled on yet."""
    if term.unused is not Unused.ROLL:
        return 0
    rates = store_hourly.list_rates(connection, [term.term_id])[term.term_id]
    for before in store_hourly.list_starts(connection, [term.term_id])[term.term_id].values():
        if before.ends_at == week.starts_at and before.slot_id and before.is_prefunded:
            (slot,) = store.find_slots(connection, [before.slot_id])
            return surplus_minor(before, slot.held_minor, rates)
    return 0


def judged_facts(judged: Judged) -> dict[str, Any]:
    """What an answer says of an entry beyond its own facts."""
    return {
        "billable_minutes": judged.billed_minutes,
        "over_limit": judged.over_limit,
        "funded": is_funded(judged),
        "protected": judged.is_protected,
        "unprotected_because": judged.reason.value,
    }


def is_funded(judged: Judged) -> bool:
    """False where the client pays ahead and his deposit does not cover all of these hours."""
    cut = judged.billed_minutes < judged.entry.minutes and not judged.over_limit
    is_alive = judged.entry.state is not EntryState.DELETED
    return judged.reason is not Unprotected.NOT_DEPOSITED and not (cut and is_alive)


def _is_settled(entry: TimeEntry) -> bool:
    return entry.state is EntryState.BILLED


def _judge_weeks(
    connection: Connection, weeks: Sequence[Week], terms: Mapping[UUID, HourlyTerm]
) -> dict[UUID, list[Judged]]:
    """What is billable of weeks that are not invoiced yet; of others what was billed."""
    entries: dict[UUID | None, list[TimeEntry]] = {week.id: [] for week in weeks}
    for entry in store_hourly.list_entries(connection, [week.id for week in weeks]):
        entries[entry.week_id].append(entry)
    covers = look_covers(connection, weeks, terms, with_surplus=True)
    found: dict[UUID, list[Judged]] = {}
    for week in weeks:
        term = terms[week.term_id]
        if week.state not in LOGGING:
            found[week.id] = [as_stored(each, term) for each in entries[week.id]]
            continue
        found[week.id] = judge(
            entries[week.id],
            limit_minutes=week.limit_minutes,
            used_minutes=0,
            activity_floor=term.activity_floor,
            cover_minor=covers.get(week.id),
        )
    return found
