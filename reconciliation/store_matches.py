"""The SQL of matches: runs, matches with their lines, proposals, and undoing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from kernel.database import driver
from reconciliation.model_matching import VERSION, Found
from reconciliation.store_items import Place, Window, parts_of

_LOCK: Final = """
SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.matching', 0))
"""

_ADD_RUN: Final = """
INSERT INTO match_run (id, place, rail_account, currency, from_on, to_on, rules_version, arguments,
    item_count, line_count, counts, digest, ran_by, ran_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_COPY_MATCHES: Final = """
COPY match (id, run_id, rule, rules_version, score, place, rail_account, currency, amount_minor,
    line_count, difference_minor, difference_event_id, actor_id, made_at) FROM STDIN
"""

_COPY_LINES: Final = """
COPY match_line (match_id, line_no, line_id, ledger_account_id, ledger_account_seq, event_id,
    amount_minor) FROM STDIN
"""

_ADD_PROPOSAL: Final = """
INSERT INTO match_proposal (id, run_id, members_hash, rule, rules_version, score, place,
    rail_account, currency, difference_minor, proposed_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (members_hash) DO NOTHING
"""

_ADD_MEMBER: Final = """
INSERT INTO proposal_member (proposal_id, member_no, line_id, ledger_account_id,
    ledger_account_seq, event_id, amount_minor) VALUES (%s, %s, %s, %s, %s, %s, %s)
"""

_FIND_PROPOSAL: Final = """
SELECT p.id, p.rule, p.score, p.place, p.rail_account, p.currency, p.difference_minor,
    d.is_accepted
FROM match_proposal p LEFT JOIN proposal_decision d ON d.proposal_id = p.id WHERE p.id = %s
"""

_MEMBERS: Final = """
SELECT line_id, ledger_account_id, ledger_account_seq, event_id, amount_minor
FROM proposal_member WHERE proposal_id = %s ORDER BY member_no
"""

_IS_TAKEN: Final = """
SELECT EXISTS (
    SELECT FROM proposal_member p
    WHERE p.proposal_id = %s AND EXISTS (
        SELECT FROM match_line m
        WHERE m.undone_by IS NULL AND (m.line_id = p.line_id
            OR (m.event_id IS NOT NULL AND m.ledger_account_id = p.ledger_account_id
                AND m.ledger_account_seq = p.ledger_account_seq))))
"""

_ADD_DECISION: Final = """
INSERT INTO proposal_decision (proposal_id, match_id, is_accepted, reason, actor_id, decided_at)
VALUES (%s, %s, %s, %s, %s, %s)
"""

_FIND_MATCH: Final = """
SELECT m.rule, u.id FROM match m LEFT JOIN match_undo u ON u.match_id = m.id WHERE m.id = %s
"""

_ADD_UNDO: Final = """
INSERT INTO match_undo (id, match_id, reason, actor_id, undone_at) VALUES (%s, %s, %s, %s, %s)
"""

_SAVE_UNDONE: Final = "UPDATE match_line SET undone_by = %s WHERE match_id = %s"

_BARRED: Final = """
WITH apart AS (
    SELECT l.match_id AS id, l.line_id, l.ledger_account_id, l.ledger_account_seq, l.event_id
    FROM match m JOIN match_undo u ON u.match_id = m.id JOIN match_line l ON l.match_id = m.id
    WHERE m.place = %(place)s AND m.rail_account = %(rail_account)s
        AND m.currency = %(currency)s AND m.line_count <= 100
    UNION ALL
    SELECT b.proposal_id, b.line_id, b.ledger_account_id, b.ledger_account_seq, b.event_id
    FROM match_proposal p
    JOIN proposal_decision d ON d.proposal_id = p.id AND NOT d.is_accepted
    JOIN proposal_member b ON b.proposal_id = p.id
    WHERE p.place = %(place)s AND p.rail_account = %(rail_account)s
        AND p.currency = %(currency)s
)
SELECT DISTINCT s.line_id, b.ledger_account_id, b.ledger_account_seq, b.event_id
FROM apart s JOIN apart b ON b.id = s.id
WHERE s.line_id IS NOT NULL AND b.event_id IS NOT NULL
"""

_FIND_ITEM: Final = """
SELECT l.account_id, l.account_seq, sum(l.amount_minor) OVER ()::bigint
FROM line l JOIN account a ON a.id = l.account_id
WHERE l.event_id = %(event)s AND reconciliation_place(a.kind) = %(place)s
    AND a.subject = %(rail_account)s AND a.currency = %(currency)s
ORDER BY l.account_id, l.account_seq LIMIT 1
"""

_LIST_RUNS: Final = """
SELECT id, place, rail_account, currency, from_on, to_on, rules_version, item_count, line_count,
    counts, encode(digest, 'hex') AS digest, ran_at
FROM match_run WHERE id > %(after)s ORDER BY id LIMIT %(limit)s
"""

_LIST_MATCHES: Final = """
SELECT m.id, m.run_id, m.rule, m.score, m.place, m.rail_account, m.currency, m.amount_minor,
    m.difference_minor, m.made_at, u.undone_at,
    (SELECT array_agg(l.line_id::text ORDER BY l.line_no) FROM match_line l
     WHERE l.match_id = m.id AND l.line_id IS NOT NULL) AS line_ids,
    (SELECT array_agg(l.event_id::text ORDER BY l.line_no) FROM match_line l
     WHERE l.match_id = m.id AND l.event_id IS NOT NULL) AS event_ids
FROM match m LEFT JOIN match_undo u ON u.match_id = m.id
WHERE m.id > %(after)s ORDER BY m.id LIMIT %(limit)s
"""

_LIST_PROPOSALS: Final = """
SELECT p.id, p.rule, p.score, p.place, p.rail_account, p.currency, p.difference_minor,
    p.proposed_at, d.is_accepted,
    (SELECT array_agg(b.line_id::text ORDER BY b.member_no) FROM proposal_member b
     WHERE b.proposal_id = p.id AND b.line_id IS NOT NULL) AS line_ids,
    (SELECT array_agg(b.event_id::text ORDER BY b.member_no) FROM proposal_member b
     WHERE b.proposal_id = p.id AND b.event_id IS NOT NULL) AS event_ids
FROM match_proposal p LEFT JOIN proposal_decision d ON d.proposal_id = p.id
WHERE p.id > %(after)s AND d.proposal_id IS NULL ORDER BY p.id LIMIT %(limit)s
"""

_LIST_PLACES: Final = """
SELECT DISTINCT place, rail_account, currency::text FROM reconciliation_account ORDER BY 1, 2, 3
"""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewMatch:
    """A match to be written: who is in it, with amounts; `event_id` posted its difference."""

    id: UUID
    found: Found
    event_id: int | None = None
    booked: Sequence[tuple[str, int]] = ()

    @property
    def items(self) -> list[tuple[str, int]]:
        """The items with what was posted for the difference."""
        return [*self.found.booked, *self.booked]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal, and what was decided of it (None: nothing yet)."""

    id: UUID
    rule: str
    score: int
    place: Place
    difference_minor: int
    is_accepted: bool | None


def lock_matching(connection: Connection) -> None:
    """Let one run or decision of this tenant be at a time, until the end of the transaction."""
    driver(connection).execute(_LOCK)


def add_run(
    connection: Connection,
    run_id: UUID,
    place: Place,
    window: Window,
    *,
    arguments: Row,
    counted: tuple[int, int],
    counts: Row,
    digest: bytes,
    by: UUID,
    at: datetime,
) -> None:
    """Write a run down when it is over: `counted` items and lines were looked at."""
    driver(connection).execute(
        _ADD_RUN,
        (
            run_id,
            *(place.place, place.rail_account, place.currency),
            *(window.from_on, window.to_on),
            VERSION,
            Jsonb(dict(arguments), dumps=orjson.dumps),
            *counted,
            Jsonb(dict(counts), dumps=orjson.dumps),
            digest,
            by,
            at,
        ),
    )


def add_matches(
    connection: Connection,
    place: Place,
    matches: Sequence[NewMatch],
    *,
    run_id: UUID | None,
    by: UUID,
    at: datetime,
) -> None:
    """Write matches down with all their lines, in two COPYs."""
    with driver(connection).cursor() as cursor:
        with cursor.copy(_COPY_MATCHES) as copy:
            for match in matches:
                found = match.found
                copy.write_row(
                    (
                        match.id,
                        run_id,
                        *(found.rule, VERSION, found.score),
                        *(place.place, place.rail_account, place.currency),
                        sum(minor for _, minor in found.stated),
                        len(found.lines) + len(match.items),
                        found.difference_minor,
                        match.event_id,
                        by,
                        at,
                    )
                )
        with cursor.copy(_COPY_LINES) as copy:
            for match in matches:
                for number, member in enumerate(_members(match.found.stated, match.items), 1):
                    copy.write_row((match.id, number, *member))


def add_proposal(
    connection: Connection,
    proposal_id: UUID,
    place: Place,
    found: Found,
    *,
    run_id: UUID,
    at: datetime,
) -> bool:
    """Write a proposal down, unless the same was made before; whether it is new."""
    added = driver(connection).execute(
        _ADD_PROPOSAL,
        (
            proposal_id,
            run_id,
            found.members_hash,
            *(found.rule, VERSION, found.score),
            *(place.place, place.rail_account, place.currency),
            found.difference_minor,
            at,
        ),
    )
    if added.rowcount == 0:
        return False
    with driver(connection).cursor() as cursor:
        cursor.executemany(
            _ADD_MEMBER,
            [
                (proposal_id, number, *member)
                for number, member in enumerate(_members(found.stated, found.booked), 1)
            ],
        )
    return True


def find_proposal(connection: Connection, proposal_id: UUID) -> tuple[Proposal, Found] | None:
    """A proposal and who is in it."""
    row = driver(connection).execute(_FIND_PROPOSAL, (proposal_id,)).fetchone()
    if row is None:
        return None
    found_id, rule, score, place, rail_account, currency, difference, is_accepted = row
    members = driver(connection).execute(_MEMBERS, (proposal_id,)).fetchall()
    lines = [(str(line_id), minor) for line_id, *_, minor in members if line_id is not None]
    items = [
        (f"{account:019d}:{seq:019d}:{event}", minor)
        for line_id, account, seq, event, minor in members
        if line_id is None
    ]
    found = Found(
        rule,
        score,
        tuple(key for key, _ in lines),
        tuple(key for key, _ in items),
        difference,
        is_proposal=True,
        amounts=tuple(minor for _, minor in (*lines, *items)),
    )
    here = Place(place, rail_account, currency)
    return Proposal(found_id, rule, score, here, difference, is_accepted), found


def is_taken(connection: Connection, proposal_id: UUID) -> bool:
    """Whether something of a proposal is in a match by now."""
    row = driver(connection).execute(_IS_TAKEN, (proposal_id,)).fetchone()
    return row is not None and bool(row[0])


def add_decision(
    connection: Connection,
    proposal_id: UUID,
    match_id: UUID | None,
    *,
    reason: str,
    by: UUID,
    at: datetime,
) -> None:
    """Write down what was decided of a proposal: accepted with its match, or rejected."""
    driver(connection).execute(
        _ADD_DECISION, (proposal_id, match_id, match_id is not None, reason, by, at)
    )


def find_match(connection: Connection, match_id: UUID) -> tuple[str, bool] | None:
    """A match's rule, and whether it was undone."""
    row = driver(connection).execute(_FIND_MATCH, (match_id,)).fetchone()
    return None if row is None else (row[0], row[1] is not None)


def undo_match(
    connection: Connection, *, undo_id: UUID, match_id: UUID, reason: str, by: UUID, at: datetime
) -> None:
    """Write down that a match is undone, and let its lines and items go."""
    driver(connection).execute(_ADD_UNDO, (undo_id, match_id, reason, by, at))
    driver(connection).execute(_SAVE_UNDONE, (undo_id, match_id))


def list_barred(connection: Connection, place: Place) -> frozenset[tuple[str, str]]:
    """Pairs of line and item that a person took apart."""
    rows = driver(connection).execute(
        _BARRED,
        asdict(place),
    )
    return frozenset(
        (str(line_id), f"{account:019d}:{seq:019d}:{event}")
        for line_id, account, seq, event in rows
    )


def get_item(connection: Connection, place: Place, event_id: int) -> tuple[str, int]:
    """The item of an event in a place, and its amount."""
    row = (
        driver(connection)
        .execute(
            _FIND_ITEM,
            {**asdict(place), "event": event_id},
        )
        .fetchone()
    )
    assert row is not None, "an event that moved nothing here"
    return f"{row[0]:019d}:{row[1]:019d}:{event_id}", row[2]


def list_places(connection: Connection) -> list[Place]:
    """Every place that an account on statements stands for."""
    return [Place(*row) for row in driver(connection).execute(_LIST_PLACES)]


def list_runs(connection: Connection, *, after: UUID, limit: int) -> list[Row]:
    """Runs, by id."""
    return _rows(connection, _LIST_RUNS, after, limit)


def list_matches(connection: Connection, *, after: UUID, limit: int) -> list[Row]:
    """Matches with their lines and events, by id."""
    return _rows(connection, _LIST_MATCHES, after, limit)


def list_proposals(connection: Connection, *, after: UUID, limit: int) -> list[Row]:
    """Proposals that nobody has decided, by id."""
    return _rows(connection, _LIST_PROPOSALS, after, limit)


def _rows(connection: Connection, query: str, after: UUID, limit: int) -> list[Row]:
    cursor = driver(connection).execute(query, {"after": after, "limit": limit})
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _members(
    stated: Sequence[tuple[str, int]], booked: Sequence[tuple[str, int]]
) -> list[tuple[UUID | None, int | None, int | None, int | None, int]]:
    """Line, or account, number and event; and the amount."""
    return [
        *((UUID(key), None, None, None, minor) for key, minor in stated),
        *((None, *parts_of(key), minor) for key, minor in booked),
    ]
