"""All SQL of fee schedules: versions with their tariffs, their ends, and the book of what holds."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from commissions.model import Band, Mode, Schedule, Scope, Side, Tariff
from commissions.model_schedule import Ending, Limit, Promotion, ScheduleState, Version
from kernel.database import driver
from kernel.errors import Broken
from kernel.ids import new_id

_SCOPE: Final = (
    *("contract_id", "promotion", "client_id", "plan", "client_plan", "arm", "category"),
    *("origin", "country", "basis"),
)

_TARIFFS: Final = """
    (SELECT json_agg(json_build_array(
        t.currency, t.per_transaction_minor, t.floor_minor, t.cap_minor, t.cap_month_minor,
        t.budget_minor, t.party_limit_minor,
        (SELECT json_agg(json_build_array(b.up_to_minor, b.rate_bps) ORDER BY b.place)
         FROM fee_band b WHERE b.schedule_id = t.schedule_id AND b.currency = t.currency)
        ) ORDER BY t.currency)
    FROM fee_tariff t WHERE t.schedule_id = s.id)"""

_COLUMNS: Final = f"""
    s.id, s.name, s.version, s.side, s.mode, {", ".join(f"s.{name}" for name in _SCOPE)},
    s.priority, s.valid_from, s.valid_to, s.recorded_at, s.tax_code, s.state, s.reason,
    s.prepared_by, s.approved_by, s.decided_by, s.decided_at, s.replaces, s.is_open,
    s.applies_until, {_TARIFFS}"""

# One statement, so that the token is that of the rows beside it; no row of a schedule: none holds.
_BOOK: Final = f"""
SELECT k.token, {_COLUMNS}
FROM fee_book k LEFT JOIN fee_schedule s ON s.is_approved AND NOT isempty(s.during)
"""

# What is not decided yet stands in the way of what is saved beside it, too.
_STANDING: Final = f"""
SELECT {_COLUMNS} FROM fee_schedule s
WHERE s.state <> 'withdrawn' AND NOT isempty(s.during) AND s.side = ANY (%s)
ORDER BY s.id
"""

_ADD: Final = f"""
INSERT INTO fee_schedule (id, name, version, side, mode, {", ".join(_SCOPE)}, priority, valid_from,
    valid_to, tax_code, is_open, applies_until, replaces, tariff_count, reason, recorded_at,
    prepared_by)
VALUES ({", ".join(["%s"] * 26)})
"""

_ADD_TARIFF: Final = """
INSERT INTO fee_tariff (schedule_id, currency, per_transaction_minor, floor_minor, cap_minor,
    cap_month_minor, budget_minor, party_limit_minor, band_count, scope_key, is_approved, during)
SELECT id, %s, %s, %s, %s, %s, %s, %s, %s, scope_key, is_approved, during
FROM fee_schedule WHERE id = %s
"""

_ADD_BAND: Final = """
INSERT INTO fee_band (schedule_id, currency, place, from_minor, up_to_minor, rate_bps)
VALUES (%s, %s, %s, %s, %s, %s)
"""

_DECIDE: Final = """
UPDATE fee_schedule SET state = %s, approved_by = %s, decided_by = %s, decided_at = %s,
    valid_from = %s
WHERE id = %s AND state = 'prepared'
"""

_LIST: Final = f"""
SELECT {_COLUMNS} FROM fee_schedule s
WHERE (%(after)s::uuid IS NULL OR s.id > %(after)s)
    AND (%(state)s::text IS NULL OR s.state = %(state)s)
    AND (%(name)s::text IS NULL OR s.name = %(name)s)
    AND (%(in_force_at)s::timestamptz IS NULL
         OR (s.is_approved AND s.during @> %(in_force_at)s))
ORDER BY s.id LIMIT %(limit)s
"""

_ENDING: Final = (
    "id, schedule_id, ends_at, reason, state, prepared_by, prepared_at, approved_by, decided_by,"
    " decided_at"
)

_DECIDE_ENDING: Final = """
UPDATE fee_ending SET state = %s, approved_by = %s, decided_by = %s, decided_at = %s
WHERE id = %s AND state = 'prepared'
"""


def lock_book(connection: Connection) -> None:
    """Whoever adds to what holds, or ends some of it, does so one after the other."""
    if driver(connection).execute("SELECT FROM fee_book FOR UPDATE").fetchone() is None:
        raise Broken("the book of fee schedules has no row")


def turn_page(connection: Connection) -> None:
    """What holds has changed: who kept it from before looks again."""
    driver(connection).execute("UPDATE fee_book SET token = %s", (new_id(),))


def get_token(connection: Connection) -> UUID:
    """What the book's present page is called; no two pages have one name."""
    row = driver(connection).execute("SELECT token FROM fee_book").fetchone()
    if row is None:
        raise Broken("the book of fee schedules has no row")
    token: UUID = row[0]
    return token


def read_book(connection: Connection) -> tuple[UUID, list[Version]]:
    """The page's name, and every schedule that is approved and holds at some time."""
    rows = driver(connection).execute(_BOOK.encode()).fetchall()
    if not rows:
        raise Broken("the book of fee schedules has no row")
    return rows[0][0], [_version(row[1:]) for row in rows if row[1] is not None]


def list_standing(connection: Connection, sides: Collection[Side]) -> list[Version]:
    """Every schedule of these sides that is approved or waits for it."""
    rows = driver(connection).execute(_STANDING.encode(), (sorted(sides),))
    return [_version(row) for row in rows]


def find_versions(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Version]:
    """Schedules by id, whatever their state; unknown ids are missing."""
    return _by_ids(connection, ids, "")


def lock_versions(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Version]:
    """The same, locked in the order of their ids."""
    return _by_ids(connection, ids, " FOR UPDATE OF s")


def list_versions(
    connection: Connection,
    *,
    after: UUID | None = None,
    limit: int,
    state: ScheduleState | None = None,
    name: str | None = None,
    in_force_at: datetime | None = None,
) -> list[Version]:
    """Schedules in the order of their ids, which is that of their preparing."""
    given = {
        "after": after,
        "limit": limit,
        "state": state,
        "name": name,
        "in_force_at": in_force_at,
    }
    return [_version(row) for row in driver(connection).execute(_LIST.encode(), given)]


def newest_versions(connection: Connection, names: Collection[str]) -> dict[str, int]:
    """The newest number of each name that has one; the book's lock is held."""
    rows = driver(connection).execute(
        "SELECT name, max(version) FROM fee_schedule WHERE name = ANY (%s) GROUP BY name",
        (sorted(names),),
    )
    return dict(rows.fetchall())


def list_unknown(
    connection: Connection, *, contract_ids: Collection[str], client_ids: Collection[str]
) -> set[str]:
    """Those of the contracts and clients that there are not."""
    rows = driver(connection).execute(
        "SELECT given::text FROM unnest(%s::uuid[]) AS given"
        " WHERE NOT EXISTS (SELECT FROM contract WHERE id = given)"
        " UNION SELECT given::text FROM unnest(%s::uuid[]) AS given"
        " WHERE NOT EXISTS (SELECT FROM party WHERE id = given)",
        (sorted(contract_ids), sorted(client_ids)),
    )
    return {row[0] for row in rows}


def list_taken(connection: Connection, ids: Collection[UUID]) -> set[UUID]:
    """Those of the ids that a schedule has."""
    rows = driver(connection).execute(
        "SELECT id FROM fee_schedule WHERE id = ANY (%s)", (sorted(ids),)
    )
    return {row[0] for row in rows}


def add_versions(connection: Connection, versions: Sequence[Version]) -> None:
    """Write what was prepared, with its tariffs and bands."""
    cursor = driver(connection).cursor()
    cursor.executemany(_ADD.encode(), [_cells(each) for each in versions])
    cursor.executemany(
        _ADD_TARIFF,
        [
            (
                *(tariff.currency, tariff.per_transaction_minor, tariff.floor_minor),
                *(tariff.cap_minor, tariff.cap_month_minor, *_limit(version, tariff.currency)),
                *(len(tariff.bands), version.id),
            )
            for version in versions
            for tariff in version.schedule.tariffs
        ],
    )
    cursor.executemany(
        _ADD_BAND,
        [
            (version.id, tariff.currency, place, start, band.up_to_minor, band.rate_bps)
            for version in versions
            for tariff in version.schedule.tariffs
            for place, (start, band) in enumerate(
                zip([0, *tariff.ends], tariff.bands, strict=True), start=1
            )
        ],
    )


def save_decided(connection: Connection, version: Version) -> None:
    """Write what became of a schedule; Broken if it was not waiting any more."""
    given = (
        *(version.state, version.approved_by, version.decided_by, version.decided_at),
        *(None if version.begins_when_approved else version.schedule.valid_from, version.id),
    )
    _one(driver(connection).execute(_DECIDE, given).rowcount, version.id)


def save_end(connection: Connection, schedule_id: UUID, ends_at: datetime) -> None:
    """Let an approved schedule end; an approved ending says so."""
    moved = driver(connection).execute(
        "UPDATE fee_schedule SET valid_to = %s WHERE id = %s AND state = 'approved'",
        (ends_at, schedule_id),
    )
    _one(moved.rowcount, schedule_id)


def add_ending(connection: Connection, ending: Ending) -> None:
    """Write an end that somebody proposes, or that an approved successor brings."""
    driver(connection).execute(
        f"INSERT INTO fee_ending ({_ENDING}) VALUES ({', '.join(['%s'] * 10)})".encode(),
        (
            *(ending.id, ending.schedule_id, ending.ends_at, ending.reason, ending.state),
            *(ending.prepared_by, ending.prepared_at, ending.approved_by, ending.decided_by),
            ending.decided_at,
        ),
    )


def lock_endings(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Ending]:
    """Ends by id, locked in order; unknown ids are missing."""
    rows = driver(connection).execute(
        f"SELECT {_ENDING} FROM fee_ending WHERE id = ANY (%s) ORDER BY id FOR UPDATE".encode(),
        (sorted(set(ids)),),
    )
    return {row[0]: Ending(**_named(row)) for row in rows}


def list_endings(connection: Connection, schedule_id: UUID) -> list[Ending]:
    """All that was proposed about the end of a schedule, oldest first."""
    rows = driver(connection).execute(
        f"SELECT {_ENDING} FROM fee_ending WHERE schedule_id = %s ORDER BY id".encode(),
        (schedule_id,),
    )
    return [Ending(**_named(row)) for row in rows]


def save_ending(connection: Connection, ending: Ending) -> None:
    """Write what became of an end; Broken if it was not waiting any more."""
    given = (ending.state, ending.approved_by, ending.decided_by, ending.decided_at, ending.id)
    _one(driver(connection).execute(_DECIDE_ENDING, given).rowcount, ending.id)


def _by_ids(connection: Connection, ids: Iterable[UUID], lock: str) -> dict[UUID, Version]:
    rows = driver(connection).execute(
        f"SELECT {_COLUMNS} FROM fee_schedule s WHERE s.id = ANY (%s) ORDER BY s.id{lock}".encode(),
        (sorted(set(ids)),),
    )
    return {version.id: version for version in map(_version, rows)}


def _cells(version: Version) -> tuple[Any, ...]:
    schedule, promotion = version.schedule, version.promotion
    return (
        *(schedule.id, schedule.name, schedule.version, schedule.side, schedule.mode),
        *(getattr(schedule.scope, name) for name in _SCOPE),
        schedule.priority,
        None if version.begins_when_approved else schedule.valid_from,
        *(schedule.valid_to, schedule.tax_code),
        promotion is not None and promotion.is_open,
        promotion.applies_until if promotion else None,
        *(version.replaces, len(schedule.tariffs), version.reason, schedule.recorded_at),
        version.prepared_by,
    )


def _limit(version: Version, currency: str) -> Limit:
    found = version.promotion.limits.get(currency) if version.promotion else None
    return found or Limit()


def _version(row: Sequence[Any]) -> Version:
    scope = {
        name: None if value is None else str(value)
        for name, value in zip(_SCOPE, row[5:15], strict=True)
    }
    valid_from, recorded_at, tariffs = row[16], row[18], row[29]
    schedule = Schedule(
        id=row[0],
        name=row[1],
        version=row[2],
        side=Side(row[3]),
        mode=Mode(row[4]),
        scope=Scope(**scope),
        priority=row[15],
        tariffs=tuple(_tariff(each) for each in tariffs),
        valid_from=valid_from or recorded_at,
        valid_to=row[17],
        recorded_at=recorded_at,
        tax_code=row[19],
    )
    limits = {each[0]: Limit(each[5], each[6]) for each in tariffs}
    is_promotion = schedule.scope.promotion is not None
    return Version(
        schedule=schedule,
        state=ScheduleState(row[20]),
        reason=row[21],
        prepared_by=row[22],
        approved_by=row[23],
        decided_by=row[24],
        decided_at=row[25],
        begins_when_approved=valid_from is None,
        replaces=row[26],
        promotion=Promotion(is_open=row[27], applies_until=row[28], limits=limits)
        if is_promotion
        else None,
    )


def _tariff(cells: Sequence[Any]) -> Tariff:
    bands = tuple(Band(up_to, rate) for up_to, rate in cells[7])
    return Tariff(cells[0], bands, *cells[1:5])


def _named(row: Sequence[Any]) -> dict[str, Any]:
    named = dict(zip(_ENDING.replace(",", "").split(), row, strict=True))
    return named | {"state": ScheduleState(named["state"])}


def _one(count: int, row_id: UUID) -> None:
    if count != 1:
        raise Broken("a fee schedule moved under its lock", id=str(row_id))
