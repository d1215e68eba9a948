"""All SQL of periods: their rows under lock, what stands against a closing, acts and closings."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from kernel.database import driver
from kernel.errors import Broken
from ledger.model_periods import Act, Closing, Done, Period, Span, State, TrialLine

_TAKE_TURNS: Final = """
SELECT pg_advisory_xact_lock(hashtextextended('holdfast.periods.' || current_schema(), 0))
"""

_PERIOD: Final = "SELECT id, lower(during), upper(during), state, version, act_no FROM period"

_ACTS: Final = """
SELECT period_id, act_no, act, version, actor_id, asked_by, asked_act_no, reason, acted_at, event_id
FROM period_act
WHERE period_id = ANY(%s::bigint[])
ORDER BY period_id, act_no
"""

# Everything that counts before the end, with an eye on what is inside. All of it is sealed when a
# period closes, so there the lines alone tell; a recount joins the journal up to its number.
_TRIAL: Final = """
SELECT a.book, a.kind, a.currency,
       coalesce(sum(n.opening), 0)::text, coalesce(sum(n.debit), 0)::text,
       coalesce(sum(n.credit), 0)::text, coalesce(sum(n.closing), 0)::text
FROM (
    SELECT l.account_id,
           sum(l.amount_minor) FILTER (WHERE l.effective_at < %(start)s) AS opening,
           sum(l.amount_minor)
               FILTER (WHERE l.effective_at >= %(start)s AND l.amount_minor > 0) AS debit,
           -sum(l.amount_minor)
               FILTER (WHERE l.effective_at >= %(start)s AND l.amount_minor < 0) AS credit,
           sum(l.amount_minor) AS closing
    FROM line l {known}
    WHERE l.effective_at < %(end)s
    GROUP BY l.account_id
) n
JOIN account a ON a.id = n.account_id
GROUP BY a.book, a.kind, a.currency
ORDER BY a.book, a.kind, a.currency
"""
_TRIAL_NOW: Final = _TRIAL.format(known="")
_TRIAL_KNOWN: Final = _TRIAL.format(
    known="JOIN seal s ON s.event_id = l.event_id AND s.journal_no <= %(last_journal_no)s"
)

# How many batches that count before the end are not sealed, and up to where the journal goes.
_SEALED: Final = """
SELECT (SELECT count(DISTINCT u.batch_id)
        FROM unsealed u
        JOIN event v ON v.id BETWEEN u.batch_id << 14 AND (u.batch_id << 14) + 16383
        WHERE v.entry_count > 0 AND v.effective_at < %s),
       (SELECT coalesce(max(journal_no), 0) FROM seal)
"""

_LOG: Final = """
SELECT b.root, c.size, c.root
FROM (VALUES (1)) AS one
LEFT JOIN block b ON b.last_journal_no = %s
LEFT JOIN (SELECT size, root FROM checkpoint ORDER BY size DESC LIMIT 1) c ON true
"""

_ADD_ACT: Final = """
INSERT INTO period_act (period_id, act_no, act, version, actor_id, actor_kind, asked_by,
                        asked_act_no, reason, acted_at, event_id)
VALUES (%s, %s, %s, %s, %s, 'person', %s, %s, %s, %s, %s)
"""

_CLOSING: Final = (
    "period_id, version, act_no, last_journal_no, trial_balance, trial_balance_sha256, log_root,"
    " checkpoint_size, checkpoint_root, checks, warnings, closed_by, closed_at"
)

_SAVE_PERIOD: Final = """
UPDATE period SET state = %s, version = %s, act_no = %s WHERE id = %s AND state = %s AND act_no = %s
"""

# With what the newest period before this one was closed, if that closing still holds.
_BEFORE: Final = """
SELECT c.trial_balance
FROM period p JOIN period_closing c ON c.period_id = p.id AND c.version = p.version
WHERE upper(p.during) <= %s AND p.state = 'closed'
ORDER BY p.during DESC
LIMIT 1
"""


_SUM_CONVERSIONS: Final = """
SELECT side.currency, sum(side.amount_minor)::bigint
FROM fx_conversion c,
    LATERAL (VALUES (c.sold, -c.sold_minor), (c.bought, c.bought_minor))
        AS side (currency, amount_minor)
WHERE c.converted_at < %s AND (c.filled_at IS NULL OR c.filled_at >= %s)
GROUP BY side.currency
"""


def take_turns(connection: Connection) -> None:
    """Wait until nobody else acts on a period of this tenant, until the end of the transaction."""
    driver(connection).execute(_TAKE_TURNS)


def lock_period(connection: Connection, period_id: int) -> Period | None:
    """The period FOR NO KEY UPDATE: nobody else acts on it, posters into it go on."""
    return _one(connection, f"{_PERIOD} WHERE id = %s FOR NO KEY UPDATE", period_id)


def lock_out_posters(connection: Connection, period_id: int) -> Period | None:
    """The period FOR UPDATE: posters into it are done, and more of them wait."""
    return _one(connection, f"{_PERIOD} WHERE id = %s FOR UPDATE", period_id)


def find_period(connection: Connection, period_id: int) -> Period | None:
    """The period as it stands."""
    return _one(connection, f"{_PERIOD} WHERE id = %s", period_id)


def list_periods(
    connection: Connection, *, after: int = 0, limit: int = 100, state: State | None = None
) -> list[Period]:
    """Periods in the order in which they were opened, from the one behind `after` on."""
    rows = driver(connection).execute(
        f"{_PERIOD} WHERE id > %(after)s AND (%(state)s::text IS NULL OR state = %(state)s)"
        " ORDER BY id LIMIT %(limit)s",
        {"after": after, "state": state, "limit": limit},
    )
    return [_period(row) for row in rows]


def find_at(connection: Connection, at: datetime) -> Period | None:
    """The period that an instant lies in."""
    return _one(connection, f"{_PERIOD} WHERE during @> %s::timestamptz", at)


def list_earlier(connection: Connection, start: datetime) -> list[int]:
    """Periods that end before `start` and are not closed, in order."""
    rows = driver(connection).execute(
        "SELECT id FROM period WHERE upper(during) <= %s AND state <> 'closed' ORDER BY during",
        (start,),
    )
    return [number for (number,) in rows]


def list_later_closed(connection: Connection, end: datetime) -> list[int]:
    """Periods that begin after `end` and are closed, in order."""
    rows = driver(connection).execute(
        "SELECT id FROM period WHERE lower(during) >= %s AND state = 'closed' ORDER BY during",
        (end,),
    )
    return [number for (number,) in rows]


def list_not_open(connection: Connection, *, after: datetime) -> list[Span]:
    """The spans of all periods that are not open and end after an instant, in order."""
    rows = driver(connection).execute(
        "SELECT lower(during), upper(during), state FROM period"
        " WHERE state <> 'open' AND upper(during) > %s ORDER BY during",
        (after,),
    )
    return [Span(start, end, State(state)) for start, end, state in rows]


def list_acts(connection: Connection, period_ids: Sequence[int]) -> dict[int, list[Done]]:
    """The acts on these periods, in order; a period without any is missing."""
    found: dict[int, list[Done]] = {}
    for row in driver(connection).execute(_ACTS, (list(period_ids),)):
        done = Done(
            act_no=row[1],
            act=Act(row[2]),
            version=row[3],
            actor_id=row[4],
            asked_by=row[5],
            asked_act_no=row[6],
            reason=row[7],
            acted_at=row[8],
            event_id=row[9],
        )
        found.setdefault(row[0], []).append(done)
    return found


def trial_balance(
    connection: Connection, period: Period, *, last_journal_no: int | None = None
) -> list[TrialLine]:
    """The trial balance at the period's end; of the journal up to a number, or of all lines."""
    statement = _TRIAL_NOW if last_journal_no is None else _TRIAL_KNOWN
    given = {"start": period.start, "end": period.end, "last_journal_no": last_journal_no}
    return [
        TrialLine(
            book=book,
            kind=kind,
            currency=currency,
            opening_minor=int(opening),
            debit_minor=int(debit),
            credit_minor=int(credit),
            closing_minor=int(closing),
        )
        for book, kind, currency, opening, debit, credit, closing in driver(connection).execute(
            statement.encode(), given
        )
    ]


def look_at_seals(connection: Connection, end: datetime) -> tuple[int, int]:
    """How many batches that count before `end` are not sealed, and the last journal number."""
    row = driver(connection).execute(_SEALED, (end,)).fetchone()
    if row is None:
        raise Broken("a SELECT without FROM answered no row")
    return row[0], row[1]


def find_log(
    connection: Connection, last_journal_no: int
) -> tuple[bytes | None, int | None, bytes | None]:
    """The root at a journal number that ends a block; size and root of the newest checkpoint."""
    row = driver(connection).execute(_LOG, (last_journal_no,)).fetchone()
    if row is None:
        raise Broken("a SELECT from one row answered none")
    return row[0], row[1], row[2]


def find_closed_before(connection: Connection, start: datetime) -> str | None:
    """The trial balance with which the newest period before `start` was closed."""
    row = driver(connection).execute(_BEFORE, (start,)).fetchone()
    return None if row is None else str(row[0])


def add_act(connection: Connection, period_id: int, done: Done) -> None:
    """Write an act down, in its turn."""
    driver(connection).execute(
        _ADD_ACT,
        (
            period_id,
            done.act_no,
            done.act,
            done.version,
            done.actor_id,
            done.asked_by,
            done.asked_act_no,
            done.reason,
            done.acted_at,
            done.event_id,
        ),
    )


def add_closing(connection: Connection, closing: Closing) -> None:
    """Keep the trial balance of a closing."""
    names = [name.strip() for name in _CLOSING.split(",")]
    driver(connection).execute(
        f"INSERT INTO period_closing ({_CLOSING}) VALUES ({', '.join(['%s'] * 13)})".encode(),
        [getattr(closing, name) for name in names],
    )


def save_state(connection: Connection, *, was: Period, now: Period) -> None:
    """Move a period on; Broken if it was not in the state that its lock showed."""
    given = (now.state, now.version, now.act_no, now.id, was.state, was.act_no)
    if driver(connection).execute(_SAVE_PERIOD, given).rowcount != 1:
        raise Broken("a period moved under its lock", period_id=now.id)


def sum_conversions(connection: Connection, end: datetime) -> dict[str, int]:
    """What conversions made before `end` and not filled by then hold on the bridge, by currency."""
    rows = driver(connection).execute(_SUM_CONVERSIONS, (end, end))
    return {row[0]: row[1] for row in rows}


def list_closings(
    connection: Connection, period_id: int, *, after: int = 0, limit: int = 100
) -> list[Closing]:
    """The closings of a period, oldest first; a newer one takes nothing away."""
    rows = driver(connection).execute(
        f"SELECT {_CLOSING} FROM period_closing WHERE period_id = %s AND version > %s"
        " ORDER BY version LIMIT %s",
        (period_id, after, limit),
    )
    return [_closing(row) for row in rows]


def _closing(row: Sequence[Any]) -> Closing:
    names = [name.strip() for name in _CLOSING.split(",")]
    return Closing(**dict(zip(names, row, strict=True)))


def _one(connection: Connection, statement: str, key: object) -> Period | None:
    row = driver(connection).execute(statement.encode(), (key,)).fetchone()
    return None if row is None else _period(row)


def _period(row: Sequence[Any]) -> Period:
    return Period(
        id=row[0],
        start=row[1],
        end=row[2],
        state=State(row[3]),
        version=row[4],
        act_no=row[5],
    )
