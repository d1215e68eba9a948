"""What is left over in a place: read from both sides, and sorted out by the pure rules."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

from sqlalchemy import Connection

from reconciliation import store_certificates as store
from reconciliation import store_matches
from reconciliation.model_breaks import Around, Left, UnderWay, sort_out
from reconciliation.model_matching import Candidate
from reconciliation.store_items import Place, Window, list_items, list_lines, parts_of

_AT_ONCE: Final = 5_000


def list_left(connection: Connection, place: Place, on: date) -> list[Left]:
    """All that is in no match of what came by the end of a day, with its kind."""
    window = Window(None, on)
    lines = list(list_lines(connection, place, window))
    items = list(list_items(connection, place, window))
    if not lines and not items:
        return []
    around = Around(
        booked=_operations(connection, items),
        leaving=store.list_leaving(connection) if lines else {},
        twins=store.list_twins(connection, [line.key for line in lines]) if lines else {},
        elsewhere=_elsewhere(connection, place, window),
    )
    return sort_out(
        place=place.place, currency=place.currency, lines=lines, items=items, around=around, on=on
    )


def without_opening(
    left: Sequence[Left], adopted: frozenset[int], opening_minor: int
) -> list[Left]:
    """The same without the items that opened the books, where the statement opened with as much."""
    opened = [each for each in left if not each.is_line and parts_of(each.key)[2] in adopted]
    if not opened or sum(each.amount_minor for each in opened) != opening_minor:
        return list(left)
    keys = {each.key for each in opened}
    return [each for each in left if each.is_line or each.key not in keys]


def _operations(connection: Connection, items: Sequence[Candidate]) -> Mapping[str, UnderWay]:
    events = {parts_of(item.key)[2]: item.key for item in items}
    numbers = sorted(events)
    found: dict[int, UnderWay] = {}
    for start in range(0, len(numbers), _AT_ONCE):
        found |= store.list_under_way(connection, numbers[start : start + _AT_ONCE])
    return {events[event_id]: way for event_id, way in found.items()}


def _elsewhere(connection: Connection, place: Place, window: Window) -> dict[str, str]:
    """Names of what is open at the same place in other currencies, each with its currency."""
    found: dict[str, str] = {}
    for other in store_matches.list_places(connection):
        if (other.place, other.rail_account) != (place.place, place.rail_account):
            continue
        if other.currency != place.currency:
            for each in _both(connection, other, window):
                for name in each.names:
                    found.setdefault(name, other.currency)
    return found


def _both(connection: Connection, place: Place, window: Window) -> Iterable[Candidate]:
    yield from list_lines(connection, place, window)
    yield from list_items(connection, place, window)
