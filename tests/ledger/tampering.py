"""What a superuser can do to the books: a sealed tenant with its checkpoints, and an attacker.

The attacker has everything but the signing key: the program, the database as superuser with all
triggers silent, and the time to reckon every hash again.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from kernel.database import Tenant, connect, transaction
from kernel.embedded import EmbeddedServer
from kernel.principals import Actor, PrincipalKind
from ledger import store_seal
from ledger.chart import account
from ledger.model import Book, Draft
from ledger.service import post
from ledger.store_seal import Stored
from migrations import runner
from tests.fixtures.databases import TestDatabase
from tests.ledger.drafts import draft, entry, fund, wallet
from tests.ledger.leaf import leaf_of, read_events
from tests.ledger.made_exports import note_of, roots_of
from tests.ledger.sealing import seal_now

ORIGIN: Final = "holdfast/test"
START: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
PER_BLOCK: Final = 4
BLOCKS: Final = 15
SIZE: Final = PER_BLOCK * BLOCKS
_COPIES: Final = count(1)


def build(database: TestDatabase, tenant: Tenant) -> list[str]:
    """Sixty events of every kind in fifteen blocks, each with a checkpoint; the notes."""
    engine = connect(database.app_url)
    notes = []
    for block in range(BLOCKS):
        with transaction(engine, tenant) as connection:
            answers = post(connection, drafts_of(block))
            assert all(hasattr(answer, "event_id") for answer in answers), answers
        sealed = seal_now(engine, tenant)
        assert sealed.size == (block + 1) * PER_BLOCK
        notes.append(_sign(engine, tenant, sealed.size, sealed.root))
    engine.dispose()
    return notes


def drafts_of(block: int) -> list[Draft]:
    """A funding, a payment in three lines, a fee in both books, and a note without entries."""
    at = START + timedelta(days=block)
    clerk = Actor(UUID(int=block + 7), PrincipalKind.PERSON, UUID(int=99))
    ann, bob = wallet("ann"), wallet("bob")
    to_platform = account("custody.due_to_platform", "EUR")
    from_custody = account("platform.due_from_custody", "EUR")
    revenue = account("platform.revenue.commission", "EUR")
    fee = (
        entry((ann, 50), (to_platform, -50)),
        entry((from_custody, 50), (revenue, -50), book=Book.PLATFORM),
    )
    noted = Draft("order.noted", f"slot:{block:04}", clerk, at, (), "as agreed", {"order": block})
    return [
        fund(10_000 + block, ann, at=at, order=block),
        draft(entry((ann, 700), (bob, -600), (wallet("cyd"), -100)), actor=clerk, at=at, memo="m"),
        draft(*fee, actor=clerk, at=at),
        noted,
    ]


def _sign(engine: Engine, tenant: Tenant, size: int, root: bytes) -> str:
    note = note_of(size, root)
    with transaction(engine, tenant) as connection:
        store_seal.add_checkpoint(connection, Stored(size, root, note, datetime.now(UTC)))
    return note


@contextmanager
def copied(server: EmbeddedServer, of: TestDatabase) -> Iterator[TestDatabase]:
    """A copy of a whole database that nobody is connected to."""
    source = of.admin_url.rpartition("/")[2].partition("?")[0]
    name = f"test_{os.getpid()}_copy{next(_COPIES)}"
    with _admin(server) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {source} STRATEGY FILE_COPY".encode())
        admin.execute(f"ALTER DATABASE {name} SET holdfast.test_database = 'on'".encode())
    urls = (server.url(name), server.url(name, runner.OWNER), server.url(name, runner.APP))
    try:
        yield TestDatabase(*urls)
    finally:
        with _admin(server) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def _admin(server: EmbeddedServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(
        host=str(server.socket_dir), user="postgres", dbname="postgres", autocommit=True
    ) as admin:
        yield admin


@dataclass
class Attacker:
    """A superuser in the books of the tenant `test`, with every trigger silent."""

    database: TestDatabase
    raw: psycopg.Connection[Any]
    notes: list[str]
    folder: Path

    @property
    def kept(self) -> Path:
        """The checkpoints that were kept elsewhere: he cannot reach them."""
        path = self.folder / "kept.txt"
        path.write_text("\n".join(self.notes), encoding="utf-8")
        return path

    def run(self, statement: LiteralString, *given: object) -> None:
        """Run a statement; it must have hit something."""
        cursor = self.raw.execute(statement, given or None)
        assert cursor.rowcount != 0, statement

    def one(self, statement: LiteralString, *given: object) -> Any:
        row = self.raw.execute(statement, given or None).fetchone()
        assert row is not None, statement
        return row[0]

    def event(self, number: int) -> int:
        """The event of a journal number."""
        return int(self.one("SELECT event_id FROM seal WHERE journal_no = %s", number))

    def size(self) -> int:
        return int(self.one("SELECT max(journal_no) FROM seal"))

    def rehash(self, *, tenant: str = "test", only: int | None = None) -> None:
        """Give every event the leaf hash of what it says now."""
        for event, stored in self._events(tenant):
            if leaf_of(event) != stored and only in {None, event["id"]}:
                leaf = bytes.fromhex(leaf_of(event))
                self.run("UPDATE event SET leaf_hash = %s WHERE id = %s", leaf, event["id"])

    def rebuild(self, *, forger: Ed25519PrivateKey | None = None, since: int = 0) -> None:
        """Reckon leaves, blocks and tree again; with a key of his own, the checkpoints, too."""
        self.rehash()
        leaves = [
            bytes(leaf)
            for (leaf,) in self.raw.execute(
                "SELECT e.leaf_hash FROM seal s JOIN event e ON e.id = s.event_id"
                " ORDER BY s.journal_no"
            )
        ]
        root = roots_of(leaves)
        self.raw.execute("DELETE FROM block WHERE first_journal_no > %s", (len(leaves),))
        self.raw.execute(
            "UPDATE block SET last_journal_no = %s WHERE last_journal_no > %s",
            (len(leaves), len(leaves)),
        )
        for (last,) in self.raw.execute("SELECT last_journal_no FROM block").fetchall():
            self.run("UPDATE block SET root = %s WHERE last_journal_no = %s", root(last), last)
        self.raw.execute("DELETE FROM checkpoint WHERE size > %s", (len(leaves),))
        for (size,) in self.raw.execute("SELECT size FROM checkpoint").fetchall():
            self.run("UPDATE checkpoint SET root = %s WHERE size = %s", root(size), size)
            if forger is not None and size > since:
                forged = note_of(size, root(size), key=forger)
                self.run("UPDATE checkpoint SET note = %s WHERE size = %s", forged, size)

    def _events(self, tenant: str) -> list[tuple[dict[str, Any], str]]:
        engine = create_engine(self.database.admin_url, poolclass=NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql("SET search_path = tenant_test")
            return read_events(connection, tenant)

    def cut(self, size: int, *, blocks_too: bool) -> None:
        """Take away all events after a number, and put the accounts back."""
        gone = "SELECT event_id FROM seal WHERE journal_no > %s"
        self.run(
            "UPDATE account a SET balance_minor = a.balance_minor - n.amount,"
            " line_count = a.line_count - n.lines FROM ("
            "SELECT account_id, sum(amount_minor) AS amount, count(*) AS lines FROM line"
            f" WHERE event_id IN ({gone}) GROUP BY account_id) n WHERE n.account_id = a.id",
            size,
        )
        for table in ("line", "entry"):
            self.raw.execute(f"DELETE FROM {table} WHERE event_id IN ({gone})".encode(), (size,))
        self.raw.execute(f"DELETE FROM event WHERE id IN ({gone})".encode(), (size,))
        self.raw.execute("DELETE FROM seal WHERE journal_no > %s", (size,))
        if blocks_too:
            self.raw.execute("DELETE FROM checkpoint WHERE size > %s", (size,))
            self.raw.execute("DELETE FROM block WHERE last_journal_no > %s", (size,))

    def make_room(self, number: int) -> None:
        """Move all seals from a number on by one."""
        self.raw.execute(
            "UPDATE seal SET journal_no = -journal_no WHERE journal_no >= %s", (number,)
        )
        self.raw.execute("UPDATE seal SET journal_no = 1 - journal_no WHERE journal_no < 0")

    def close_gap(self, number: int) -> None:
        """Move all seals behind a number back by one."""
        self.raw.execute(
            "UPDATE seal SET journal_no = -journal_no WHERE journal_no > %s", (number,)
        )
        self.raw.execute("UPDATE seal SET journal_no = -journal_no - 1 WHERE journal_no < 0")

    def add_event(self, like: int, *, event_id: int) -> None:
        """A new event without entries that says the same as another one, at the same time."""
        self.run(
            "INSERT INTO event (id, effective_at, recorded_at, entry_count, actor_id, party_id,"
            " actor_kind, kind, subject, reason, detail, leaf_hash)"
            " SELECT %s, effective_at, recorded_at, 0, actor_id,"
            " party_id, actor_kind, kind, subject, reason, detail, leaf_hash FROM event"
            " WHERE id = %s",
            event_id,
            like,
        )
        self.rehash(only=event_id)

    def post_and_seal(self, block: int) -> None:
        """Go on as if nothing had been: the program itself posts and seals more."""
        engine = connect(self.database.app_url)
        tenant = Tenant("test")
        with transaction(engine, tenant) as connection:
            post(connection, drafts_of(block))
        seal_now(engine, tenant)
        engine.dispose()


@contextmanager
def attacking(database: TestDatabase, notes: list[str], folder: Path) -> Iterator[Attacker]:
    """The attacker at work; what he does is committed."""
    url = database.admin_url.replace("postgresql+psycopg:", "postgresql:")
    with psycopg.connect(url, autocommit=True) as raw:
        raw.execute("SET session_replication_role = replica")
        raw.execute("SET search_path = tenant_test")
        yield Attacker(database, raw, notes, folder)
