"""All SQL of conversions and of the rates that they are made at."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from commissions.model_fx import Conversion, ConversionKind, ConversionState, Fill, Pair
from commissions.tables_fx import CONVERSION, FILL
from kernel.database import driver
from kernel.errors import Broken
from rails.rates.model import PLACES, Rate, rounded

_RATES: Final = (Path(__file__).parent / "sql" / "fx_rates.sql").read_bytes()

_ADD: Final = f"""
INSERT INTO fx_conversion ({", ".join(CONVERSION)})
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::uuid[], %s::text[], %s::bigint[],
    %s::text[], %s::bigint[], %s::text[], %s::date[], %s::numeric[], %s::numeric[],
    %s::integer[], %s::bigint[], %s::uuid[], %s::text[], %s::timestamptz[], %s::text[])
"""

_COLUMNS: Final = ", ".join((*CONVERSION, *FILL))
_FIND: Final = f"SELECT {_COLUMNS} FROM fx_conversion WHERE id = ANY (%s) ORDER BY id"
_LOCK: Final = f"{_FIND} FOR NO KEY UPDATE"
_FIND_OF: Final = f"""
SELECT {_COLUMNS} FROM fx_conversion WHERE subject = ANY (%s) ORDER BY id
"""
_LIST_OPEN: Final = f"""
SELECT {_COLUMNS} FROM fx_conversion
WHERE state = 'open' AND (%(after)s::uuid IS NULL OR id > %(after)s)
ORDER BY id LIMIT %(limit)s
"""

_LIST: Final = f"""
SELECT {_COLUMNS} FROM fx_conversion
WHERE (%(party_id)s::uuid IS NULL OR party_id = %(party_id)s)
    AND (%(after)s::uuid IS NULL OR id > %(after)s)
ORDER BY id LIMIT %(limit)s
"""

_SAVE_FILLS: Final = """
UPDATE fx_conversion SET state = 'filled', filled_minor = given.filled_minor,
    filled_at = given.filled_at, provider = given.provider, provider_ref = given.provider_ref,
    gap_minor = given.gap_minor, loss_minor = given.loss_minor
FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[], %s::text[], %s::text[], %s::bigint[],
    %s::bigint[])
    AS given (id, filled_minor, filled_at, provider, provider_ref, gap_minor, loss_minor)
WHERE fx_conversion.id = given.id AND fx_conversion.state = 'open'
"""

_FIND_FILLS: Final = f"""
SELECT {_COLUMNS} FROM fx_conversion
JOIN unnest(%s::text[], %s::text[]) AS given (provider, provider_ref)
    USING (provider, provider_ref)
ORDER BY id
"""

_SUM_OPEN: Final = """
SELECT currency, sum(amount_minor)::bigint, count(*), min(converted_at)
FROM fx_conversion,
    LATERAL (VALUES (sold, -sold_minor), (bought, bought_minor)) AS side (currency, amount_minor)
WHERE state = 'open'
GROUP BY currency ORDER BY currency
"""


def find_mids(connection: Connection, pairs: Collection[Pair], *, on: date) -> dict[Pair, Rate]:
    """The newest mid rates of the policy's source by that day; a pair without one is missing."""
    found = find_mids_of(connection, {(*pair, on) for pair in pairs})
    return {(sold, bought): rate for (sold, bought, _), rate in found.items()}


def find_mids_of(
    connection: Connection, asked: Collection[tuple[str, str, date]]
) -> dict[tuple[str, str, date], Rate]:
    """The same, each pair (sold, bought) by a day of its own; one statement for all."""
    sold, bought, on = columns_of(sorted(set(asked))) if asked else ([], [], [])
    rows = driver(connection).execute(_RATES, {"sold": sold, "bought": bought, "on": on})
    return {
        (row[0], row[1], row[2]): Rate(
            row[3], row[0], row[1], rounded(Fraction(row[4]) / Fraction(row[5])), row[6]
        )
        for row in rows
    }


def add_conversions(connection: Connection, rows: Sequence[Conversion]) -> None:
    """Write new conversions, all of them open; one statement."""
    if not rows:
        return
    cells = [
        (
            *(each.id, each.kind.value, each.subject, each.party_id, each.sold, each.sold_minor),
            *(each.bought, each.bought_minor, each.mid.source, each.mid.as_of),
            *(as_decimal(each.mid.rate), as_decimal(each.rate), each.margin_bps),
            *(each.margin_minor, each.quote_id, each.rail_account, each.at),
            ConversionState.OPEN.value,
        )
        for each in rows
    ]
    driver(connection).execute(_ADD.encode(), columns_of(cells))


def find_conversions(connection: Connection, ids: Collection[UUID]) -> dict[UUID, Conversion]:
    """Conversions by id, without a lock."""
    rows = driver(connection).execute(_FIND.encode(), (sorted(set(ids)),))
    return {row[0]: _conversion(row) for row in rows}


def find_conversions_of(
    connection: Connection, subjects: Collection[str]
) -> dict[str, list[Conversion]]:
    """The conversions that were made for these subjects, in their order."""
    found: dict[str, list[Conversion]] = {}
    for row in driver(connection).execute(_FIND_OF.encode(), (sorted(set(subjects)),)):
        found.setdefault(row[2], []).append(_conversion(row))
    return found


def lock_conversions(connection: Connection, ids: Collection[UUID]) -> dict[UUID, Conversion]:
    """Conversions by id, locked in order."""
    rows = driver(connection).execute(_LOCK.encode(), (sorted(set(ids)),))
    return {row[0]: _conversion(row) for row in rows}


def list_open(connection: Connection, *, after: UUID | None, limit: int) -> list[Conversion]:
    """Conversions that no provider has filled, in the order of their ids."""
    rows = driver(connection).execute(_LIST_OPEN.encode(), {"after": after, "limit": limit})
    return [_conversion(row) for row in rows]


def list_conversions(
    connection: Connection, *, after: UUID | None, limit: int, party_id: UUID | None
) -> list[Conversion]:
    """Conversions in the order of their ids, those of one party if it is named."""
    given = {"after": after, "limit": limit, "party_id": party_id}
    return [_conversion(row) for row in driver(connection).execute(_LIST.encode(), given)]


def find_fills(
    connection: Connection, refs: Collection[tuple[str, str]]
) -> dict[tuple[str, str], Conversion]:
    """The conversions that these fills (provider, its reference) have filled."""
    given = columns_of(sorted(set(refs))) if refs else ([], [])
    rows = driver(connection).execute(_FIND_FILLS.encode(), given)
    filled = [_conversion(row) for row in rows]
    return {(each.fill.provider, each.fill.provider_ref): each for each in filled if each.fill}


def save_fills(connection: Connection, fills: Mapping[UUID, Fill]) -> None:
    """Write what filled locked conversions; Broken if one was not open any more."""
    if not fills:
        return
    cells = [
        (
            *(conversion_id, fill.filled_minor, fill.filled_at, fill.provider),
            *(fill.provider_ref, fill.gap_minor, fill.loss_minor),
        )
        for conversion_id, fill in fills.items()
    ]
    if driver(connection).execute(_SAVE_FILLS.encode(), columns_of(cells)).rowcount != len(fills):
        raise Broken("a conversion moved under its lock", ids=[str(each) for each in fills])


def sum_open(connection: Connection) -> list[tuple[str, int, int, Any]]:
    """(currency, net on the bridge, conversions, oldest) of all that is not filled."""
    rows = driver(connection).execute(_SUM_OPEN)
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def columns_of(rows: Sequence[tuple[Any, ...]]) -> tuple[list[Any], ...]:
    """Rows as the arrays of their columns; at least one row."""
    return tuple(list(cells) for cells in zip(*rows, strict=True))


def as_decimal(rate: Fraction) -> Decimal:
    """A rate at ten decimals as the database keeps it; Broken if it has more."""
    scaled = rate * 10**PLACES
    if scaled.denominator != 1:
        raise Broken("a rate has more decimals than we keep", rate=str(rate))
    return Decimal(scaled.numerator).scaleb(-PLACES)


def _conversion(row: Sequence[Any]) -> Conversion:
    (found_id, kind, subject, party_id, sold, sold_minor, bought, bought_minor) = row[:8]
    (source, as_of, mid, rate, margin_bps, margin_minor, quote_id) = row[8:15]
    return Conversion(
        id=found_id,
        kind=ConversionKind(kind),
        subject=subject,
        party_id=party_id,
        mid=Rate(source, sold, bought, Fraction(mid), as_of),
        rate=Fraction(rate),
        margin_bps=margin_bps,
        sold_minor=sold_minor,
        bought_minor=bought_minor,
        margin_minor=margin_minor,
        at=row[16],
        quote_id=quote_id,
        rail_account=row[15],
        fill=Fill(*row[18:]) if row[18] is not None else None,
    )
