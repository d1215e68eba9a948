"""Drafts of events for tests: money between a bank and wallets, with nothing else to say."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine

from kernel.database import Tenant, enter, snapshot
from kernel.principals import SYSTEM, Actor
from ledger.chart import account
from ledger.model import AccountKey, Book, Draft, Entry, Line
from ledger.proof import prove

NOON: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)


def bank(currency: str = "EUR") -> AccountKey:
    return account("custody.bank", currency)


def wallet(name: str, currency: str = "EUR") -> AccountKey:
    return account("custody.wallet", currency, name)


def entry(*legs: tuple[AccountKey, int], book: Book = Book.CUSTODY, currency: str = "") -> Entry:
    """An entry of these legs; its currency is that of the first, unless told."""
    lines = tuple(Line(key, amount) for key, amount in legs)
    return Entry(book, currency or (lines[0].account.currency if lines else "EUR"), lines)


def draft(*entries: Entry, actor: Actor = SYSTEM, at: datetime = NOON, **detail: Any) -> Draft:
    """One event with these entries; `detail` are its facts."""
    return Draft("test.moved", "", actor, at, entries, detail=detail)


def move(
    amount_minor: int, source: AccountKey, target: AccountKey, *, at: datetime = NOON, **detail: Any
) -> Draft:
    """So much out of one client liability into another: debit the source, credit the target."""
    return draft(entry((source, amount_minor), (target, -amount_minor)), at=at, **detail)


def fund(amount_minor: int, target: AccountKey, *, at: datetime = NOON, **detail: Any) -> Draft:
    """So much from outside into a wallet, through the bank."""
    return move(amount_minor, bank(target.currency), target, at=at, **detail)


@contextmanager
def rolled_back(engine: Engine, tenant: Tenant) -> Iterator[Connection]:
    """A transaction whose checks of the commit run, and that leaves nothing."""
    with engine.connect() as connection, connection.begin() as running:
        enter(connection, tenant)
        yield connection
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        running.rollback()


def prove_clean(engine: Engine, tenant: Tenant) -> None:
    """Recount the books; every promise holds."""
    with snapshot(engine, tenant) as connection:
        assert prove(connection).findings == ()
