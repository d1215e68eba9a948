"""All SQL of quotes, of policies by two people, and of rates as they are taken."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from commissions.model_fx import FixedSide, Policy, Prepared, Quote, QuoteState
from commissions.store_fx import as_decimal, columns_of
from commissions.tables_fx import QUOTE
from kernel.database import driver
from kernel.errors import Broken
from rails.rates.model import Rate

_COLUMNS: Final = ", ".join(QUOTE)
_ADD: Final = f"""
INSERT INTO fx_quote ({_COLUMNS})
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_FIND: Final = f"SELECT {_COLUMNS} FROM fx_quote WHERE id = ANY (%s) ORDER BY id"
_LOCK: Final = f"{_FIND} FOR NO KEY UPDATE"
_LOCK_FREE: Final = f"{_LOCK} SKIP LOCKED"

_USE: Final = """
UPDATE fx_quote SET state = 'used', used_by = given.used_by, used_at = %s
FROM unnest(%s::uuid[], %s::text[]) AS given (id, used_by)
WHERE fx_quote.id = given.id AND fx_quote.state = 'open'
"""
_EXPIRE: Final = "UPDATE fx_quote SET state = 'expired' WHERE id = ANY (%s) AND state = 'open'"

_ADD_POLICY: Final = """
INSERT INTO fx_policy (id, source, margin_bps, lifetime, reporting, tolerance_bps, reason,
    prepared_by, prepared_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_ADD_MARGINS: Final = """
INSERT INTO fx_policy_margin (policy_id, sold, bought, margin_bps) VALUES (%s, %s, %s, %s)
"""
_ADD_LIMITS: Final = """
INSERT INTO fx_policy_limit (policy_id, currency, limit_minor) VALUES (%s, %s, %s)
"""
_POLICY: Final = """
SELECT id, source, margin_bps, lifetime, reporting, tolerance_bps, coalesce(version, 0), reason,
    prepared_by, prepared_at, approved_by, approved_at
FROM fx_policy
"""
_APPROVE: Final = """
UPDATE fx_policy SET approved_by = %s, approved_at = %s,
    version = 1 + coalesce((SELECT max(version) FROM fx_policy), 0)
WHERE id = %s AND version IS NULL
"""

_ADD_RATES: Final = """
INSERT INTO fx_rate (provider, kind, sold, bought, as_of, rate, source, taken_at)
SELECT provider, 'mid', sold, bought, as_of, rate, %s, %s
FROM unnest(%s::text[], %s::text[], %s::text[], %s::date[], %s::numeric[])
    AS given (provider, sold, bought, as_of, rate)
ON CONFLICT DO NOTHING
"""
_FIND_OTHERS: Final = """
SELECT r.provider, r.sold, r.bought, r.as_of, r.rate
FROM fx_rate r
JOIN unnest(%s::text[], %s::text[], %s::text[], %s::date[], %s::numeric[])
    AS given (provider, sold, bought, as_of, rate)
    ON (r.provider, r.sold, r.bought, r.as_of)
        = (given.provider, given.sold, given.bought, given.as_of)
WHERE r.kind = 'mid' AND r.rate <> given.rate
ORDER BY r.as_of, r.sold, r.bought
LIMIT 10
"""
_LIST_RATES: Final = """
SELECT provider, sold, bought, rate, as_of
FROM fx_rate
WHERE kind = 'mid' AND provider = %(source)s AND as_of = (
    SELECT max(as_of) FROM fx_rate
    WHERE kind = 'mid' AND provider = %(source)s AND as_of <= %(on)s)
ORDER BY sold, bought
"""


def add_quotes(connection: Connection, quotes: Sequence[Quote]) -> None:
    """Write new quotes."""
    rows = [
        (
            *(each.id, each.party_id, each.mid.sold, each.mid.bought, each.mid.source),
            *(each.mid.as_of, as_decimal(each.mid.rate), as_decimal(each.rate), each.margin_bps),
            *(each.fixed.value, each.sold_minor, each.bought_minor, each.margin_minor),
            *(each.quoted_at, each.expires_at, each.state.value, each.used_by, each.contract_id),
        )
        for each in quotes
    ]
    if rows:
        driver(connection).cursor().executemany(_ADD, rows)


def find_quotes(connection: Connection, ids: Collection[UUID]) -> dict[UUID, Quote]:
    """Quotes by id, without a lock."""
    rows = driver(connection).execute(_FIND.encode(), (sorted(set(ids)),))
    return {row[0]: _quote(row) for row in rows}


def lock_quotes(
    connection: Connection, ids: Collection[UUID], *, skip_locked: bool = False
) -> dict[UUID, Quote]:
    """Quotes by id, locked in order; those that others hold are left out if so wished."""
    statement = _LOCK_FREE if skip_locked else _LOCK
    rows = driver(connection).execute(statement.encode(), (sorted(set(ids)),))
    return {row[0]: _quote(row) for row in rows}


def save_uses(connection: Connection, uses: Mapping[UUID, str], *, at: datetime) -> None:
    """Write for what locked quotes were used; Broken if one was not open any more."""
    if not uses:
        return
    given = (at, list(uses), list(uses.values()))
    if driver(connection).execute(_USE, given).rowcount != len(uses):
        raise Broken("a quote moved under its lock", ids=[str(each) for each in uses])


def save_expired(connection: Connection, ids: Collection[UUID]) -> None:
    """Write that locked quotes have ended."""
    driver(connection).execute(_EXPIRE, (sorted(set(ids)),))


def add_policy(connection: Connection, prepared: Prepared) -> None:
    """Write a policy that waits for its second person."""
    policy = prepared.policy
    given = (
        *(prepared.id, policy.source, policy.margin_bps, policy.lifetime),
        *(policy.reporting, policy.tolerance_bps, prepared.reason),
        *(prepared.prepared_by, prepared.prepared_at),
    )
    driver(connection).execute(_ADD_POLICY, given)
    margins = [(prepared.id, *pair, bps) for pair, bps in policy.margins.items()]
    limits = [(prepared.id, currency, minor) for currency, minor in policy.limits.items()]
    if margins:
        driver(connection).cursor().executemany(_ADD_MARGINS, margins)
    if limits:
        driver(connection).cursor().executemany(_ADD_LIMITS, limits)


def lock_policies(connection: Connection) -> dict[UUID, Prepared]:
    """Every policy, locked: one is approved at a time."""
    statement = f"{_POLICY} ORDER BY id FOR NO KEY UPDATE"
    rows = driver(connection).execute(statement.encode()).fetchall()
    return {row[0]: _prepared(row, {}, {}) for row in rows}


def save_approval(
    connection: Connection, policy_id: UUID, *, approved_by: UUID, at: datetime
) -> None:
    """Write who approved a policy, and give it the next version."""
    if driver(connection).execute(_APPROVE, (approved_by, at, policy_id)).rowcount != 1:
        raise Broken("a policy moved under its lock", policy_id=str(policy_id))


def find_policy(connection: Connection) -> Prepared | None:
    """The policy that holds, whole; None until two people agreed on one."""
    statement = f"{_POLICY} WHERE version IS NOT NULL ORDER BY version DESC LIMIT 1"
    row = driver(connection).execute(statement.encode()).fetchone()
    if row is None:
        return None
    margins = driver(connection).execute(
        "SELECT sold, bought, margin_bps FROM fx_policy_margin WHERE policy_id = %s", (row[0],)
    )
    pairs = {(each[0], each[1]): each[2] for each in margins}
    limits = driver(connection).execute(
        "SELECT currency, limit_minor FROM fx_policy_limit WHERE policy_id = %s", (row[0],)
    )
    return _prepared(row, pairs, {each[0]: each[1] for each in limits})


def add_rates(connection: Connection, rates: Sequence[Rate], *, origin: str, at: datetime) -> int:
    """Write mid rates; how many of them were new."""
    if not rates:
        return 0
    given = (origin, at, *columns_of(_cells(rates)))
    return driver(connection).execute(_ADD_RATES, given).rowcount


def find_others(connection: Connection, rates: Sequence[Rate]) -> list[Rate]:
    """The first ten of the rates that stand for these days and pairs, and are not these."""
    if not rates:
        return []
    rows = driver(connection).execute(_FIND_OTHERS, columns_of(_cells(rates)))
    return [Rate(row[0], row[1], row[2], Fraction(row[4]), row[3]) for row in rows]


def list_rates(connection: Connection, source: str, *, on: date) -> list[Rate]:
    """The mid rates of a source's last day by a day, as they were taken."""
    rows = driver(connection).execute(_LIST_RATES, {"source": source, "on": on})
    return [Rate(row[0], row[1], row[2], Fraction(row[3]), row[4]) for row in rows]


def _cells(rates: Sequence[Rate]) -> list[tuple[Any, ...]]:
    return [
        (each.source, each.sold, each.bought, each.as_of, as_decimal(each.rate)) for each in rates
    ]


def _quote(row: Sequence[Any]) -> Quote:
    found_id, party_id, sold, bought, source, as_of, mid, rate, margin_bps = row[:9]
    fixed, sold_minor, bought_minor, margin_minor, quoted_at, expires_at = row[9:15]
    return Quote(
        id=found_id,
        party_id=party_id,
        mid=Rate(source, sold, bought, Fraction(mid), as_of),
        rate=Fraction(rate),
        margin_bps=margin_bps,
        fixed=FixedSide(fixed),
        sold_minor=sold_minor,
        bought_minor=bought_minor,
        margin_minor=margin_minor,
        quoted_at=quoted_at,
        expires_at=expires_at,
        state=QuoteState(row[15]),
        used_by=row[16],
        contract_id=row[17],
    )


def _prepared(
    row: Sequence[Any], margins: Mapping[tuple[str, str], int], limits: Mapping[str, int]
) -> Prepared:
    source, margin_bps, lifetime, reporting, tolerance_bps, version = row[1:7]
    policy = Policy(
        source, margin_bps, lifetime, reporting, margins, limits, version, tolerance_bps
    )
    return Prepared(row[0], policy, *row[7:])
