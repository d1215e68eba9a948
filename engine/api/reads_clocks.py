"""What can be looked at of clocks: each with its consequence; a party sees those of its deals."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field
from sqlalchemy import Connection

from engine.api.access import Scope
from engine.api.answers_clocks import (
    ClockAnswer,
    ClockNoticeAnswer,
    ClockRulesAnswer,
    OutageAnswer,
    ReserveAnswer,
)
from engine.api.calls import Look, Page, PageQuery, Read, after_id, by_id, declare, page_of
from engine.api.models import Id, Request, read_id
from engine.api.refusals import BadCursor, PlatformOnly
from escrow import store_clocks, store_reserve
from escrow.rules_clock import notice_facts, rules_facts
from escrow.rules_reserve import reserve_facts
from escrow.service_clocks_look import (
    ClockSeen,
    Mark,
    clocks_of,
    concerned_of,
    list_clocks,
    place_of,
)
from escrow.store_clocks import Place
from kernel import clock, outages
from kernel.outages import Outage

_NEWEST_OUTAGES: Final = 100

SubjectText = Annotated[str, Field(max_length=80)]
"""A subject such as `slot:<id>`."""


class ClocksQuery(PageQuery):
    """Whose clocks: of one subject, or of all deals of a party; a party's own if nothing is said.

    Without either, the platform sees all that run, soonest first.
    """

    subject: SubjectText | None = None
    party_id: Id | None = None


class NoticesQuery(Request):
    """Of which subject's clocks."""

    subject: SubjectText


def show(seen: ClockSeen) -> dict[str, Any]:
    """A clock as it is answered."""
    return {
        "subject": seen.timer.subject,
        "kind": seen.timer.kind,
        "state": "paused" if seen.due_at is None else "armed",
        "due_at": seen.due_at and seen.due_at.isoformat(),
        "remaining_s": int(seen.remaining.total_seconds()),
        "late_s": int(seen.late.total_seconds()),
        "consequence": seen.consequence,
        "concerns": list(seen.concerns),
        "reminders": [_mark(each) for each in seen.marks],
        "notice": {"is_required": seen.asks_notice, "is_missing": seen.lacks_notice},
        "was_delayed": seen.timer.was_delayed,
        "failed_times": seen.timer.failed_times,
    }


def _mark(mark: Mark) -> dict[str, Any]:
    return {
        "passed_percent": mark.passed_percent,
        "at": mark.at and mark.at.isoformat(),
        "is_told": mark.is_told,
    }


def _clocks(connection: Connection, look: Look) -> Page:
    query, at = look.query, clock.now(connection)
    if query.subject is not None:
        if not _sees(connection, look, query.subject):
            return Page([], None)
        return Page([show(each) for each in clocks_of(connection, query.subject, at=at)], None)
    if look.sees_only is not None and query.party_id not in {None, look.sees_only}:
        return Page([], None)
    rows = list_clocks(
        connection,
        party_id=look.sees_only or query.party_id,
        after=_after(look),
        limit=query.limit + 1,
        at=at,
    )
    return page_of(rows, query.limit, show=show, key=place_of)


def _after(look: Look) -> Place | None:
    position = look.after
    if position is None:
        return None
    if len(position) != 3 or not all(isinstance(each, str) for each in position):
        raise BadCursor
    try:
        return datetime.fromisoformat(position[0]), position[1], position[2]
    except ValueError:
        raise BadCursor from None


def _sees(connection: Connection, look: Look, subject: str) -> bool:
    """Whether the caller may see a subject's clocks; the platform sees all."""
    if look.sees_only is None:
        return True
    name, _, number = subject.partition(":")
    if name not in store_clocks.KNOWN or read_id(number) is None:
        return False
    found = concerned_of(connection, subject)
    return found is not None and look.sees_only in {found.client_id, found.payee_id}


def _notices(connection: Connection, look: Look) -> Page:
    subject = look.query.subject
    if not _sees(connection, look, subject):
        return Page([], None)
    found = store_clocks.list_notices(connection, [subject])
    return Page([notice_facts(each) for each in found], None)


def _rules(connection: Connection, _look: Look) -> dict[str, Any]:
    return rules_facts(store_clocks.find_rules(connection))


def _outages(connection: Connection, look: Look) -> Page:
    if look.sees_only is not None:
        raise PlatformOnly
    found = outages.list_outages(connection, limit=_NEWEST_OUTAGES)
    return Page([_outage(each) for each in found], None)


def _outage(each: Outage) -> dict[str, Any]:
    return {
        "outage_no": each.outage_no,
        "from_at": each.from_at.isoformat(),
        "until_at": each.until_at.isoformat(),
        "courtesy_s": int(each.courtesy.total_seconds()),
        "delayed": each.delayed_count,
    }


def _reserves(connection: Connection, look: Look) -> Page | None:
    payee_id: UUID = look.ids["party_id"]
    if look.sees_only not in {None, payee_id}:
        return None
    rows = store_reserve.list_reserves(
        connection, payee_id, after=after_id(look), limit=look.query.limit + 1
    )
    return page_of(rows, look.query.limit, show=reserve_facts, key=by_id)


CLOCK_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/clocks",
        Scope.CONTRACTS_READ,
        _clocks,
        ClockAnswer,
        summary="What happens by itself, when, and of what consequence",
        query=ClocksQuery,
        pages=True,
    ),
    declare(
        "/v1/clock_notices",
        Scope.CONTRACTS_READ,
        _notices,
        ClockNoticeAnswer,
        summary="Who was told of a subject's clocks",
        query=NoticesQuery,
        pages=True,
    ),
    declare(
        "/v1/clock_rules",
        Scope.CONTRACTS_READ,
        _rules,
        ClockRulesAnswer,
        summary="How clocks run: outages, courtesy, proof of notice",
    ),
    declare(
        "/v1/outages",
        Scope.EVENTS_READ,
        _outages,
        OutageAnswer,
        summary="Times in which nobody fired timers, newest first",
        query=PageQuery,
        pages=True,
    ),
    declare(
        "/v1/parties/{party_id}/reserves",
        Scope.CONTRACTS_READ,
        _reserves,
        ReserveAnswer,
        summary="What is kept back of a payee's releases",
        query=PageQuery,
        pages=True,
    ),
)
"""Every look at clocks."""
