"""What was billed and every fee as a line: locked, read, and written with the posting.

A pair's row is moved by the lines of `fee_line` alone, by a trigger in the same statement.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from escrow.columns import COUNT, DATE, FLAG, ID, MINOR, TEXT, TIME, table
from escrow.model_price import FeeKind, FeeLine, Pair
from escrow.store_arrays import insert_into, names_of, write_arrays
from kernel.database import driver
from kernel.rehearsal import is_rehearsal

PairKey = tuple[UUID, UUID, str]
"""Client, payee, currency."""

FEE_LINE: Final = table(
    "fee_line",
    kind=TEXT,
    contract_id=ID,
    release_id=ID,
    slot_id=ID,
    party_id=ID,
    client_id=ID,
    payee_id=ID,
    currency=TEXT,
    gross_minor=MINOR,
    fee_minor=MINOR,
    tax_minor=MINOR,
    tax_country=TEXT,
    tax_rate_bps=COUNT,
    treatment=TEXT,
    note=TEXT,
    before_minor=MINOR,
    before_month_minor=MINOR,
    is_promoted=FLAG,
    foregone_minor=MINOR,
    schedule_id=ID,
    promotion_id=ID,
    month=DATE,
    event_id=MINOR,
    recorded_at=TIME,
)
_NAMES: Final = names_of(FEE_LINE)[:-2]
_CELLS: Final = attrgetter(*_NAMES)
_ADD_LINES: Final = insert_into(FEE_LINE)

_LOCK_PAIRS: Final = """
SELECT client_id, payee_id, currency, billed_minor,
    CASE WHEN isfinite(month) THEN month ELSE date '0001-01-01' END, charged_month_minor
FROM pair_billing
WHERE (client_id, payee_id, currency)
    IN (SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[]))
ORDER BY client_id, payee_id, currency
"""
_ADD_PAIRS: Final = """
INSERT INTO pair_billing (client_id, payee_id, currency)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[]) AS given ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING
"""
_LIST_LINES: Final = f"""
SELECT {", ".join(_NAMES)} FROM fee_line
WHERE kind IN ('commission', 'client_fee') AND {{key}} = ANY (%s::uuid[]) ORDER BY id
"""
_LINES_OF_SLOTS: Final = _LIST_LINES.format(key="slot_id")
_LINES_OF_RELEASES: Final = _LIST_LINES.format(key="release_id")
_LIST_TAXED: Final = f"""
SELECT {", ".join(f"fee_line.{name}" for name in _NAMES)}
FROM fee_line JOIN event ON event.id = fee_line.event_id
WHERE fee_line.party_id = %s AND effective_at >= %s AND effective_at < %s AND tax_minor > 0
    AND fee_line.kind = 'commission' ORDER BY fee_line.id
"""


def lock_pairs(connection: Connection, keys: Iterable[PairKey]) -> dict[PairKey, Pair]:
    """The rows of pairs, locked in order; of a pair that has none yet it is made.

    In a rehearsal nothing is locked or made: who never billed is missing.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    found = _pairs(connection, wanted, " FOR NO KEY UPDATE")
    missing = [key for key in wanted if key not in found]
    if missing and not is_rehearsal(connection):
        cells = tuple(map(list, zip(*missing, strict=True)))
        driver(connection).execute(_ADD_PAIRS.encode(), cells)
        found = _pairs(connection, wanted, " FOR NO KEY UPDATE")
    return found


def find_pairs(connection: Connection, keys: Iterable[PairKey]) -> dict[PairKey, Pair]:
    """The same without a lock, to be shown; who never billed is missing."""
    return _pairs(connection, sorted(set(keys)), "")


def _pairs(connection: Connection, keys: Sequence[PairKey], lock: str) -> dict[PairKey, Pair]:
    if not keys:
        return {}
    cells = tuple(map(list, zip(*keys, strict=True)))
    rows = driver(connection).execute((_LOCK_PAIRS + lock).encode(), cells)
    return {(row[0], row[1], row[2]): Pair(*row) for row in rows}


def list_lines(
    connection: Connection,
    *,
    slot_ids: Collection[UUID] = (),
    release_ids: Collection[UUID] = (),
) -> list[FeeLine]:
    """The fee lines of these slots, or of these releases, oldest first."""
    found: list[FeeLine] = []
    for statement, ids in ((_LINES_OF_SLOTS, slot_ids), (_LINES_OF_RELEASES, release_ids)):
        if ids:
            rows = driver(connection).execute(statement.encode(), (list(ids),))
            found.extend(_line(row) for row in rows)
    return found


def list_taxed(
    connection: Connection, party_id: UUID, *, since: datetime, until: datetime
) -> list[FeeLine]:
    """A payee's commissions that were taxed in a time, oldest first."""
    rows = driver(connection).execute(_LIST_TAXED.encode(), (party_id, since, until))
    return [_line(row) for row in rows]


def add_lines(connection: Connection, lines: Sequence[tuple[FeeLine, int, Any]]) -> None:
    """Write fee lines, each with its event and when the books knew it."""
    rows = [(*_CELLS(line), event_id, at) for line, event_id, at in lines]
    write_arrays(connection, _ADD_LINES, rows)


def _line(row: Sequence[Any]) -> FeeLine:
    return FeeLine(**dict(zip(_NAMES, row, strict=True)) | {"kind": FeeKind(row[0])})
