"""All SQL of plans and products: their versions, subscriptions, and what was paid for a time."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from commissions.model import Side
from commissions.model_plans import (
    Every,
    Offering,
    OfferingKind,
    OfferingState,
    PriceOf,
    Purchase,
    PurchaseState,
    RefundRule,
    Subscription,
    SubscriptionState,
)
from kernel.database import driver
from kernel.errors import Broken

_OFFERING: Final = tuple(each.name for each in fields(Offering))
_SUBSCRIPTION: Final = tuple(each.name for each in fields(Subscription))
_PURCHASE: Final = tuple(each.name for each in fields(Purchase))

_LIVE: Final = "state IN ('active', 'past_due', 'ending')"

_SAVE_OFFERING: Final = """
UPDATE offering SET state = %s, decided_by = %s, decided_at = %s, valid_from = %s
WHERE id = %s AND state = 'prepared'
"""

_SAVE_SUBSCRIPTION: Final = """
UPDATE subscription SET state = %s, version = %s, period_no = %s, period_from = %s,
    period_to = %s, failures = %s, ended_at = %s
WHERE id = %s AND state = %s AND version = %s
"""

_SAVE_PURCHASE: Final = """
UPDATE purchase SET state = %s, version = %s, earned_minor = %s, refunded_minor = %s,
    refunded_tax_minor = %s
WHERE id = %s AND state = %s AND version = %s
"""

_RUNNING: Final = f"""
SELECT {", ".join(_PURCHASE)} FROM purchase
WHERE party_id = ANY (%s::uuid[]) AND subscription_id IS NULL AND state <> 'refunded'
    AND to_at > %s
"""

# Which plan each party had at an instant; who had two by then has the one that began last.
_PLANS_OF: Final = """
SELECT DISTINCT ON (party_id) party_id, plan
FROM subscription
WHERE party_id = ANY (%(parties)s::uuid[]) AND anchor_at <= %(at)s
    AND (ended_at IS NULL OR ended_at > %(at)s)
    AND NOT (state = 'ending' AND period_to <= %(at)s)
ORDER BY party_id, anchor_at DESC, id DESC
"""


def add_offering(connection: Connection, offering: Offering) -> None:
    """Write a version down."""
    prices = json.dumps(
        [[each.currency, each.every.value, each.amount_minor] for each in offering.prices]
    )
    cells = {name: getattr(offering, name) for name in _OFFERING} | {"prices": prices}
    _insert(connection, "offering", _OFFERING, [tuple(cells.values())])


def find_offerings(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Offering]:
    """Versions by id; unknown ones are missing."""
    return _offerings(connection, "id = ANY (%s::uuid[])", (list(ids),))


def lock_offerings(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Offering]:
    """Versions with all others of their names, locked in the order of their ids."""
    where = """(kind, name) IN (SELECT kind, name FROM offering WHERE id = ANY (%s::uuid[]))
        ORDER BY id FOR UPDATE"""
    return _offerings(connection, where, (list(ids),))


def lock_names(
    connection: Connection, kind: OfferingKind, names: Collection[str]
) -> list[Offering]:
    """All versions of some names, locked so that the next version has the next number."""
    where = "kind = %s AND name = ANY (%s) ORDER BY id FOR UPDATE"
    return list(_offerings(connection, where, (kind.value, sorted(names))).values())


def list_sold(connection: Connection, kind: OfferingKind, names: Collection[str]) -> list[Offering]:
    """The approved versions of some names; they never change."""
    where = "kind = %s AND name = ANY (%s) AND state = 'approved' ORDER BY valid_from"
    return list(_offerings(connection, where, (kind.value, sorted(names))).values())


def list_offerings(
    connection: Connection,
    *,
    after: UUID | None,
    limit: int,
    state: OfferingState | None = None,
) -> list[Offering]:
    """Versions in the order in which they were prepared."""
    where = """(%(after)s::uuid IS NULL OR id > %(after)s)
        AND (%(state)s::text IS NULL OR state = %(state)s) ORDER BY id LIMIT %(limit)s"""
    given = {"after": after, "state": state, "limit": limit}
    return list(_offerings(connection, where, given).values())


def save_offering(connection: Connection, offering: Offering) -> None:
    """Write what was decided; Broken if it was decided already."""
    given = (
        offering.state,
        offering.decided_by,
        offering.decided_at,
        offering.valid_from,
        offering.id,
    )
    if driver(connection).execute(_SAVE_OFFERING, given).rowcount != 1:
        raise Broken("a version was decided under its lock", id=str(offering.id))


def find_subscriptions(connection: Connection, ids: Iterable[UUID]) -> list[Subscription]:
    """Subscriptions as they stand, without a lock."""
    return _subscriptions(connection, "id = ANY (%s::uuid[]) ORDER BY id", (list(ids),))


def lock_subscriptions(
    connection: Connection, ids: Iterable[UUID], *, skip_locked: bool = False
) -> dict[UUID, Subscription]:
    """Subscriptions locked in order; those that another holds are left out where asked."""
    ending = " SKIP LOCKED" if skip_locked else ""
    where = f"id = ANY (%s::uuid[]) ORDER BY id FOR NO KEY UPDATE{ending}"
    return {each.id: each for each in _subscriptions(connection, where, (sorted(set(ids)),))}


def list_live(connection: Connection, party_ids: Iterable[UUID]) -> dict[UUID, Subscription]:
    """The subscription that each of these parties has now; nothing where there is none."""
    where = f"party_id = ANY (%s::uuid[]) AND {_LIVE} ORDER BY id"
    found = _subscriptions(connection, where, (sorted(set(party_ids)),))
    return {each.party_id: each for each in found}


def list_subscriptions(
    connection: Connection, *, party_id: UUID | None, after: UUID | None, limit: int
) -> list[Subscription]:
    """A party's subscriptions, or all, oldest first."""
    return _subscriptions(connection, _PAGE, {"party": party_id, "after": after, "limit": limit})


def add_subscriptions(connection: Connection, new: Sequence[Subscription]) -> None:
    """Write new subscriptions."""
    _insert(
        connection, "subscription", _SUBSCRIPTION, [_cells(each, _SUBSCRIPTION) for each in new]
    )


def save_subscriptions(
    connection: Connection, moves: Sequence[tuple[Subscription, Subscription]]
) -> None:
    """Move subscriptions on, by pairs (before, after); Broken if one was not as its lock showed."""
    given = [
        (
            *(new.state, new.version, new.period_no, new.period_from, new.period_to),
            *(new.failures, new.ended_at, new.id, old.state, old.version),
        )
        for old, new in moves
    ]
    _update(connection, _SAVE_SUBSCRIPTION, given)


def find_purchases(connection: Connection, ids: Iterable[UUID]) -> list[Purchase]:
    """Purchases as they stand, without a lock."""
    return _purchases(connection, "id = ANY (%s::uuid[]) ORDER BY id", (list(ids),))


def lock_purchases(
    connection: Connection, ids: Iterable[UUID], *, skip_locked: bool = False
) -> dict[UUID, Purchase]:
    """Purchases locked in order; those that another holds are left out where asked."""
    ending = " SKIP LOCKED" if skip_locked else ""
    where = f"id = ANY (%s::uuid[]) ORDER BY id FOR NO KEY UPDATE{ending}"
    return {each.id: each for each in _purchases(connection, where, (sorted(set(ids)),))}


def lock_paid(connection: Connection, subscription_ids: Iterable[UUID]) -> dict[UUID, Purchase]:
    """What each subscription paid for its newest period and has not all earned; locked in order."""
    where = """subscription_id = ANY (%s::uuid[]) AND state = 'earning'
        ORDER BY id FOR NO KEY UPDATE"""
    found = _purchases(connection, where, (sorted(set(subscription_ids)),))
    found.sort(key=attrgetter("from_at"))
    return {each.subscription_id: each for each in found if each.subscription_id}


def find_paid(connection: Connection, subscription_id: UUID) -> Purchase | None:
    """What a subscription paid for its newest period and has not all earned, without a lock."""
    where = "subscription_id = %s AND state = 'earning' ORDER BY from_at DESC LIMIT 1"
    return next(iter(_purchases(connection, where, (subscription_id,))), None)


def list_running(
    connection: Connection, party_ids: Iterable[UUID], at: datetime
) -> set[tuple[UUID, str, str]]:
    """(party, product, about) of the products whose days are not over."""
    rows = driver(connection).execute(_RUNNING.encode(), (sorted(set(party_ids)), at))
    found = [_purchase(row) for row in rows]
    return {(each.party_id, each.name, each.about) for each in found}


def list_purchases(
    connection: Connection, *, party_id: UUID | None, after: UUID | None, limit: int
) -> list[Purchase]:
    """A party's purchases, or all, oldest first."""
    return _purchases(connection, _PAGE, {"party": party_id, "after": after, "limit": limit})


def add_purchases(connection: Connection, new: Sequence[Purchase]) -> None:
    """Write what was paid."""
    _insert(connection, "purchase", _PURCHASE, [_cells(each, _PURCHASE) for each in new])


def save_purchases(connection: Connection, moves: Sequence[tuple[Purchase, Purchase]]) -> None:
    """Move purchases on, by pairs (before, after); Broken if one was not as its lock showed."""
    given = [
        (
            *(new.state, new.version, new.earned_minor, new.refunded_minor),
            *(new.refunded_tax_minor, new.id, old.state, old.version),
        )
        for old, new in moves
    ]
    _update(connection, _SAVE_PURCHASE, given)


def find_plans(
    connection: Connection, party_ids: Collection[UUID], at: datetime
) -> dict[UUID, str]:
    """The plan that each party had at an instant; who had none is missing."""
    given = {"parties": sorted(set(party_ids)), "at": at}
    return {row[0]: row[1] for row in driver(connection).execute(_PLANS_OF, given)}


_PAGE: Final = """(%(party)s::uuid IS NULL OR party_id = %(party)s)
    AND (%(after)s::uuid IS NULL OR id > %(after)s) ORDER BY id LIMIT %(limit)s"""


def _insert(
    connection: Connection, table: str, names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    if rows:
        marks = ", ".join(["%s"] * len(names))
        statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"
        driver(connection).cursor().executemany(statement.encode(), rows)


def _update(connection: Connection, statement: str, given: Sequence[Sequence[Any]]) -> None:
    if not given:
        return
    cursor = driver(connection).cursor()
    cursor.executemany(statement.encode(), given)
    if cursor.rowcount != len(given):
        raise Broken("a plan or a purchase moved under its lock", ids=[str(g[-3]) for g in given])


def _cells(row: Any, names: Sequence[str]) -> tuple[Any, ...]:  # noqa: ANN401  any row of ours
    return tuple(getattr(row, name) for name in names)


def _offerings(connection: Connection, where: str, given: Any) -> dict[UUID, Offering]:  # noqa: ANN401  as the driver takes them
    statement = f"SELECT {', '.join(_OFFERING)} FROM offering WHERE {where}"
    rows = driver(connection).execute(statement.encode(), given)
    return {row[0]: _offering(row) for row in rows}


def _offering(row: Sequence[Any]) -> Offering:
    cells = dict(zip(_OFFERING, row, strict=True))
    prices = tuple(PriceOf(code, Every(every), minor) for code, every, minor in cells["prices"])
    return Offering(
        **cells
        | {
            "kind": OfferingKind(cells["kind"]),
            "side": Side(cells["side"]),
            "refund": RefundRule(cells["refund"]),
            "state": OfferingState(cells["state"]),
            "prices": prices,
        }
    )


def _subscriptions(connection: Connection, where: str, given: Any) -> list[Subscription]:  # noqa: ANN401  as the driver takes them
    statement = f"SELECT {', '.join(_SUBSCRIPTION)} FROM subscription WHERE {where}"
    return [_subscription(row) for row in driver(connection).execute(statement.encode(), given)]


def _subscription(row: Sequence[Any]) -> Subscription:
    cells = dict(zip(_SUBSCRIPTION, row, strict=True))
    return Subscription(
        **cells
        | {
            "side": Side(cells["side"]),
            "refund": RefundRule(cells["refund"]),
            "every": Every(cells["every"]),
            "state": SubscriptionState(cells["state"]),
        }
    )


def _purchases(connection: Connection, where: str, given: Any) -> list[Purchase]:  # noqa: ANN401  as the driver takes them
    statement = f"SELECT {', '.join(_PURCHASE)} FROM purchase WHERE {where}"
    return [_purchase(row) for row in driver(connection).execute(statement.encode(), given)]


def _purchase(row: Sequence[Any]) -> Purchase:
    cells = dict(zip(_PURCHASE, row, strict=True))
    return Purchase(
        **cells
        | {
            "kind": OfferingKind(cells["kind"]),
            "side": Side(cells["side"]),
            "refund": RefundRule(cells["refund"]),
            "state": PurchaseState(cells["state"]),
        }
    )
