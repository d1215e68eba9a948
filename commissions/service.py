"""What other rooms ask of fee schedules: those that a contract pinned, and those for a new one.

Both are kept in the process: a version never changes, and the book's page has a new name whenever
something holds or ends.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime
from threading import Lock
from typing import Final, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from commissions import store, store_choice
from commissions.choosing import Ask, Chosen, Forgone, Page, choose_all, lay_out, promotions_of
from commissions.model import Schedule
from kernel.database import place_of
from kernel.errors import Broken

V = TypeVar("V")


class _Kept(Generic[V]):
    """The values last asked for, by a key that never names another value; safe in threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = Lock()

    def find(self, key: Hashable) -> V | None:
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def keep(self, key: Hashable, value: V) -> None:
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)


_SCHEDULES: Final[_Kept[Schedule]] = _Kept(10_000)
_PAGES: Final[_Kept[Page]] = _Kept(64)


def find_schedules(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Schedule]:
    """Schedules by id, for their prices; Broken if one is unknown, for somebody pinned it.

    Kept in the process, by tenant: prices of a version never change, but two tenants may have
    named two schedules alike. When it ends may have been set since.
    """
    found: dict[UUID, Schedule] = {}
    missing = []
    place = place_of(connection)
    for schedule_id in set(ids):
        kept = _SCHEDULES.find((place, schedule_id)) if place else None
        if kept is None:
            missing.append(schedule_id)
        else:
            found[schedule_id] = kept
    if missing:
        for version in store.find_versions(connection, missing).values():
            if place:
                _SCHEDULES.keep((place, version.id), version.schedule)
            found[version.id] = version.schedule
    for schedule_id in missing:
        if schedule_id not in found:
            raise Broken("there is no such fee schedule", id=str(schedule_id))
    return found


def choose_for(connection: Connection, asks: Sequence[Ask], at: datetime) -> list[Chosen]:
    """What deals get of all that is approved and holds at an instant, in the order given.

    One look at the book for all of them: the page that was committed, or written by this
    transaction, when it was looked at.
    """
    if not asks:
        return []
    page = _page(connection)
    forgone = _forgone(connection, page, asks, at)
    return [choose_all(page, ask, at, forgone) for ask in asks]


def knows_promotion(connection: Connection, name: str, at: datetime) -> bool:
    """Whether a promotion of this name is in force, for some deal."""
    promotions = (version.schedule for version in _page(connection).promotions)
    return any(each.scope.promotion == name and each.is_in_force(at) for each in promotions)


def _page(connection: Connection) -> Page:
    kept = _PAGES.find(store.get_token(connection))
    if kept is not None:
        return kept
    token, versions = store.read_book(connection)
    page = lay_out(versions)
    _PAGES.keep(token, page)
    return page


def _forgone(connection: Connection, page: Page, asks: Sequence[Ask], at: datetime) -> Forgone:
    """What the promotions that are bounded, and for one of these deals, forwent until now."""
    if not page.promotions:
        return Forgone()
    bounded = {
        version.id
        for ask in asks
        for version in promotions_of(page, ask, at)
        if version.promotion is not None and any(map(_is_bound, version.promotion.limits.values()))
    }
    if not bounded:
        return Forgone()
    payees = {ask.payee_id for ask in asks}
    return store_choice.sum_forgone(connection, promotions=bounded, payees=payees)


def _is_bound(limit: tuple[int | None, ...]) -> bool:
    """Whether a promotion may not cost what it likes."""
    return any(bound is not None for bound in limit)
