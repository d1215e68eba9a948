"""Reading clocks without a lock: what falls due when, of what consequence, and who is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from escrow import store_clocks
from escrow.clocks import CONSEQUENCES, NOTICED, ROOM, clock_of
from escrow.model_clocks import Concerned
from escrow.service_reminders import whom
from escrow.store_clocks import Place
from kernel import reminders, timers
from kernel.timers import GRACE, Timer


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A reminder: at how many per cent, when, and whether it was told."""

    passed_percent: int
    at: datetime | None
    is_told: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSeen:
    """A clock as people see it.

    `due_at` is None while it stands; `remaining` then is what it has left. `late` is by how much
    its ringing is overdue, grace taken off. `asks_notice`: it rings only if its silent party is
    known to have been told; `lacks_notice`: and nobody has told him yet.
    """

    timer: Timer
    due_at: datetime | None
    remaining: timedelta
    late: timedelta
    consequence: str
    concerns: tuple[str, ...]
    marks: tuple[Mark, ...]
    asks_notice: bool
    lacks_notice: bool


def list_clocks(
    connection: Connection,
    *,
    party_id: UUID | None = None,
    after: Place | None = None,
    limit: int,
    at: datetime,
) -> list[ClockSeen]:
    """Clocks in due order: all of a party's deals, or all that run where no party is named."""
    places = store_clocks.list_places(connection, party_id=party_id, after=after, limit=limit)
    wanted = {(subject, kind) for _, subject, kind in places}
    rows = timers.list_of(connection, sorted({subject for _, subject, _ in places}))
    seen = _look(connection, [r for r in rows if (r.subject, r.kind) in wanted], at)
    by_name = {(each.timer.subject, each.timer.kind): each for each in seen}
    return [by_name[subject, kind] for _, subject, kind in places if (subject, kind) in by_name]


def clocks_of(connection: Connection, subject: str, *, at: datetime) -> list[ClockSeen]:
    """The clocks of one subject, soonest first."""
    return _look(connection, timers.list_of(connection, [subject]), at)


def concerned_of(connection: Connection, subject: str) -> Concerned | None:
    """Whose a subject is; None for one of another room, or that there is not."""
    return store_clocks.find_concerned(connection, [subject]).get(subject)


def place_of(seen: ClockSeen) -> tuple[str, str, str]:
    """Where a clock stands in the list, as a cursor keeps it."""
    return (seen.timer.due_at.isoformat(), seen.timer.subject, seen.timer.kind)


def _look(connection: Connection, rows: Sequence[Timer], at: datetime) -> list[ClockSeen]:
    people = store_clocks.find_concerned(connection, [row.subject for row in rows])
    asking = store_clocks.list_asking(connection, [each.contract_id for each in people.values()])
    lacking = _lacking(connection, rows) if asking else set()
    return [
        _seen(row, people, asking=asking, lacks_notice=(row.subject, row.kind) in lacking, at=at)
        for row in rows
    ]


def _lacking(connection: Connection, rows: Sequence[Timer]) -> set[tuple[str, str]]:
    """(subject, kind) of the clocks whose silent party nobody is known to have told."""
    found: set[tuple[str, str]] = set()
    for kind in NOTICED:
        named = ROOM + kind
        ids = [UUID(row.subject.partition(":")[2]) for row in rows if row.kind == named]
        untold = store_clocks.list_untold(connection, kind, ids) if ids else []
        found.update((each.subject, named) for each in untold)
    return found


def _seen(
    row: Timer,
    people: Mapping[str, Concerned],
    *,
    asking: set[UUID],
    lacks_notice: bool,
    at: datetime,
) -> ClockSeen:
    clock, concerned = clock_of(row.kind), people.get(row.subject)
    stands = row.paused_remaining is not None
    left = row.due_at - at if row.paused_remaining is None else row.paused_remaining
    late = timedelta() if stands else max(timedelta(), at - row.due_at - GRACE)
    asks = clock is not None and clock.needs_notice and concerned is not None
    return ClockSeen(
        timer=row,
        due_at=None if stands else row.due_at,
        remaining=max(timedelta(), left),
        late=late,
        consequence=CONSEQUENCES.get(row.kind, ""),
        concerns=tuple(whom(clock, concerned)) if clock and concerned else (),
        marks=_marks(row),
        asks_notice=asks and concerned is not None and concerned.contract_id in asking,
        lacks_notice=lacks_notice,
    )


def _marks(row: Timer) -> tuple[Mark, ...]:
    if row.remind_length is None:
        return ()
    stands = row.paused_remaining is not None
    return tuple(
        Mark(passed_percent=passed, at=None if stands else when, is_told=number < row.reminded)
        for number, (passed, when) in enumerate(reminders.marks_of(row.due_at, row.remind_length))
    )
