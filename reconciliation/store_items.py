"""The SQL of both sides of matching, as streams in order: rows leave memory as they are used."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from kernel.database import driver
from kernel.ids import new_id
from reconciliation.model_matching import Candidate, plain_names

_SQL: Final = Path(__file__).parent / "sql"
_ITEMS: Final = (_SQL / "items.sql").read_bytes()
_LINES: Final = (_SQL / "lines.sql").read_bytes()
_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Place:
    """One place where money lies, in one currency: what is reconciled at a time.

    `place` is `processor` (pending, available and reserved of a rail account), `custody_bank` or
    `platform_bank`; `rail_account` is empty for banks.
    """

    place: str
    rail_account: str
    currency: str


@dataclass(frozen=True, slots=True)
class Window:
    """The days that are looked at, both ends included; None: no end."""

    from_on: date | None = None
    to_on: date | None = None


def list_items(connection: Connection, place: Place, window: Window) -> Iterator[Candidate]:
    """Items of the books that are in no match, by day and key; a cursor of their own."""
    for row in _stream(connection, _ITEMS, place, window):
        account_id, seq, event_id, on, amount, kind, subject, reason, names, others, files = row
        known = plain_names([*names, subject.partition(":")[2]])
        objects = plain_names(others)
        yield Candidate(
            item_key(account_id=account_id, account_seq=seq, event_id=event_id),
            amount,
            on,
            known,
            objects,
            (*objects, *plain_names(files)),
            f"{kind} {reason}",
        )


def list_lines(connection: Connection, place: Place, window: Window) -> Iterator[Candidate]:
    """Statement lines that are in no match, by day and key; a cursor of their own."""
    for row in _stream(connection, _LINES, place, window):
        line_id, on, amount, ref, end_to_end, group, trace, others, kind, text = row
        yield Candidate(
            str(line_id),
            amount,
            on,
            plain_names([ref, end_to_end]),
            plain_names(others),
            plain_names([group, trace]),
            f"{kind} {text}",
        )


def item_key(*, account_id: int, account_seq: int, event_id: int) -> str:
    """An item's key; it sorts as its line does."""
    return f"{account_id:019d}:{account_seq:019d}:{event_id}"


def parts_of(key: str) -> tuple[int, int, int]:
    """Account, number and event of an item's key."""
    account_id, seq, event_id = key.split(":")
    return int(account_id), int(seq), int(event_id)


def _stream(
    connection: Connection, query: bytes, place: Place, window: Window
) -> Iterator[tuple[Any, ...]]:
    arguments: Mapping[str, object] = {
        "place": place.place,
        "rail_account": place.rail_account,
        "currency": place.currency,
        "from_on": window.from_on,
        "to_on": window.to_on,
    }
    with driver(connection).cursor(name=f"reconcile_{new_id().hex}") as cursor:
        cursor.itersize = _AT_ONCE
        cursor.execute(query, arguments)
        yield from cursor
