"""The SQL of certificates: balances at the end of a day by both sides, and the rows themselves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.database import driver
from reconciliation.certificate import Certificate
from reconciliation.model_breaks import UnderWay
from reconciliation.model_matching import plain
from reconciliation.store_items import Place

_SQL: Final = Path(__file__).parent / "sql"
_BOOKED: Final = (_SQL / "booked.sql").read_bytes()
_STATED: Final = (_SQL / "stated.sql").read_bytes()
_STRADDLING: Final = (_SQL / "straddling.sql").read_bytes()
_TWINS: Final = (_SQL / "twins.sql").read_bytes()
_UNDER_WAY: Final = (_SQL / "under_way.sql").read_bytes()

_LEAVING: Final = """
SELECT id, kind, rail, state, has_left, transaction_ref, rail_ref FROM rail_operation
WHERE state = 'pending' AND has_left ORDER BY intent_no
"""

_ADOPTED: Final = """
SELECT event_id FROM adoption WHERE event_id IS NOT NULL
"""

_LOCK: Final = """
SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.certificates', 0))
"""

_NEWEST: Final = """
SELECT id, version, digest FROM certificate
WHERE currency = %s AND on_day = %s ORDER BY version DESC LIMIT 1
"""

_ADD: Final = """
INSERT INTO certificate (id, currency, on_day, version, state, digest, body, liability_minor,
    processor_minor, bank_minor, transit_minor, suspense_minor, platform_minor, bridge_minor,
    break_minor, unexplained_minor, made_by, made_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_COLUMNS: Final = """
    c.id, c.currency::text, c.on_day, c.version, c.state, encode(c.digest, 'hex') AS digest,
    c.unexplained_minor, c.made_by, c.made_at,
    (SELECT jsonb_agg(jsonb_build_object('signed_by', s.signed_by, 'signed_at', s.signed_at,
        'remark', s.remark) ORDER BY s.signed_at, s.id)
     FROM certificate_signature s WHERE s.certificate_id = c.id) AS signatures
"""

_LIST: Final = f"""
SELECT {_COLUMNS} FROM certificate c WHERE c.id > %(after)s ORDER BY c.id LIMIT %(limit)s
"""

_GET: Final = f"SELECT {_COLUMNS}, c.body FROM certificate c WHERE c.id = %s"

_SIGN: Final = """
INSERT INTO certificate_signature (id, certificate_id, digest, signed_by, signed_at, remark)
VALUES (%s, %s, decode(%s, 'hex'), %s, %s, %s)
ON CONFLICT (certificate_id, signed_by) DO NOTHING
"""

_CURRENCIES: Final = """
SELECT DISTINCT currency::text FROM account WHERE book = 'custody' AND line_count > 0
UNION SELECT DISTINCT currency::text FROM reconciliation_account
WHERE place IN ('processor', 'custody_bank')
ORDER BY 1
"""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stated:
    """What statements say of a place at the end of a day: `opening_minor` is listed by no line."""

    place: str
    rail_account: str
    minor: int
    opening_minor: int
    source: str


@dataclass(frozen=True, slots=True)
class Straddling:
    """A match of which a part is of a later day: what the books have more by the end of the day."""

    match_id: UUID
    gap_minor: int
    first_on: date
    later_on: date
    is_booked_first: bool


def end_of(on: date) -> datetime:
    """The instant at which a day is over, in UTC."""
    return datetime.combine(on + timedelta(days=1), time(), UTC)


def list_booked(connection: Connection, currency: str, on: date) -> dict[tuple[str, str], int]:
    """Signed balances of custody at the end of a day: by kind, and rail account at processors."""
    rows = driver(connection).execute(_BOOKED, {"currency": currency, "before": end_of(on)})
    return {(kind, subject): minor for kind, subject, minor in rows}


def list_stated(connection: Connection, currency: str, on: date) -> list[Stated]:
    """What the statements of each place say at the end of a day; places without one are missing."""
    rows = driver(connection).execute(_STATED, {"currency": currency, "on": on})
    return [Stated(*row) for row in rows]


def list_straddling(connection: Connection, place: Place, on: date) -> list[Straddling]:
    """Matches of which one side is of the day or before and another of later."""
    rows = driver(connection).execute(
        _STRADDLING,
        {
            "place": place.place,
            "rail_account": place.rail_account,
            "currency": place.currency,
            "on": on,
        },
    )
    return [Straddling(*row) for row in rows]


def list_twins(connection: Connection, line_ids: Iterable[str]) -> dict[str, str]:
    """Lines that repeat another line of their account, with what the other is known by."""
    rows = driver(connection).execute(_TWINS, {"ids": [UUID(each) for each in line_ids]})
    return {str(line_id): told for line_id, told in rows}


def list_under_way(connection: Connection, event_ids: Sequence[int]) -> dict[int, UnderWay]:
    """The rail operations that events booked."""
    rows = driver(connection).execute(_UNDER_WAY, {"events": list(event_ids)})
    return {event_id: UnderWay(*way) for event_id, *way in rows}


def list_leaving(connection: Connection) -> dict[str, UnderWay]:
    """Operations whose money has left before they are booked, by all their names."""
    found: dict[str, UnderWay] = {}
    for op_id, kind, rail, state, has_left, *refs in driver(connection).execute(_LEAVING):
        for name in (op_id.hex, *refs):
            if name:
                found[plain(name)] = UnderWay(kind, rail, state, has_left)
    return found


def list_adopted(connection: Connection) -> frozenset[int]:
    """Events that opened the books with another system's balances."""
    return frozenset(row[0] for row in driver(connection).execute(_ADOPTED))


def list_currencies(connection: Connection) -> list[str]:
    """Currencies that client money or its statements are in."""
    return [row[0] for row in driver(connection).execute(_CURRENCIES)]


def lock_certificates(connection: Connection) -> None:
    """Let one certificate of this tenant be made at a time."""
    driver(connection).execute(_LOCK)


def find_newest(connection: Connection, currency: str, on: date) -> tuple[UUID, int, bytes] | None:
    """The newest version of a day: id, version, digest."""
    row = driver(connection).execute(_NEWEST, (currency, on)).fetchone()
    return None if row is None else (row[0], row[1], bytes(row[2]))


def add_certificate(
    connection: Connection,
    certificate: Certificate,
    *,
    certificate_id: UUID,
    version: int,
    by: UUID,
    at: datetime,
) -> None:
    """Write a certificate down."""
    driver(connection).execute(
        _ADD,
        (
            certificate_id,
            *(certificate.currency, certificate.on, version, certificate.state),
            certificate.digest(),
            certificate.body().decode(),
            *(certificate.liability_minor, certificate.processor_minor, certificate.bank_minor),
            *(certificate.transit_minor, certificate.suspense_minor, certificate.platform_minor),
            *(certificate.bridge_minor, certificate.break_minor, certificate.unexplained_minor),
            *(by, at),
        ),
    )


def list_certificates(connection: Connection, *, after: UUID, limit: int) -> list[Row]:
    """Certificates with their signatures, by id; without their bodies."""
    cursor = driver(connection).execute(_LIST, {"after": after, "limit": limit})
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def find_certificate(connection: Connection, certificate_id: UUID) -> Row | None:
    """One certificate with its body and signatures."""
    cursor = driver(connection).execute(_GET, (certificate_id,))
    names = [column.name for column in cursor.description or ()]
    row = cursor.fetchone()
    return None if row is None else dict(zip(names, row, strict=True))


def sign(
    connection: Connection,
    *,
    signature_id: UUID,
    certificate_id: UUID,
    digest: str,
    by: UUID,
    at: datetime,
    remark: str,
) -> bool:
    """Write a signature down; False if this person has signed it before."""
    added = driver(connection).execute(
        _SIGN, (signature_id, certificate_id, digest, by, at, remark)
    )
    return added.rowcount > 0


def tenant_name(connection: Connection) -> str:
    """Whose books these are."""
    row = driver(connection).execute("SELECT current_schema()::text").fetchone()
    assert row is not None, "no schema"
    return str(row[0]).removeprefix("tenant_")
