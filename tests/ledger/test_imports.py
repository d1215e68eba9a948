"""An export comes into an empty database with the same roots and balances, or not at all."""

import random
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from engine.imports import Imported, bring_in
from kernel import clock
from kernel.database import Tenant, connect, snapshot, transaction
from kernel.embedded import EmbeddedServer
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.principals import SYSTEM, Actor, PrincipalKind
from ledger import log_file, periods, seal
from ledger.chart import account
from ledger.export_folder import Asked
from ledger.export_folder import write_export as exported
from ledger.known import resolve
from ledger.model import Book, Draft
from ledger.model_reservations import Reserve
from ledger.proof import prove
from ledger.reads import trial_balance
from ledger.reports import Span
from ledger.reports_trial import trial_balance as report
from ledger.reservations import reserve
from ledger.service import post
from migrations import runner
from tests.fixtures.databases import TestDatabase, cloned_database
from tests.ledger.drafts import NOON, bank, draft, entry, fund, move, wallet
from tests.ledger.write_export import alter, rehash, write_export

DRAFTS = 400
SUSPENSE = account("custody.suspense", "EUR")
_TABLES = {
    "event": "id",
    "entry": "event_id, entry_no",
    "seal": "journal_no",
    "tree_node": "level, position",
    "block": "no",
}
_LISTS = {
    "line": "SELECT a.code, l.account_seq, l.event_id, l.amount_minor, l.balance_after_minor,"
    " l.effective_at, l.recorded_at, l.entry_no, l.line_no"
    " FROM line l JOIN account a ON a.id = l.account_id ORDER BY 1, 2",
    "account": "SELECT code, balance_minor, line_count, newest_recorded_at, state FROM account"
    " ORDER BY code",
    "batch": "SELECT id, event_count, entry_count, line_count FROM batch ORDER BY id",
    "period": "SELECT during FROM period ORDER BY during",
}


SAID = "INSERT INTO imported (size, root) VALUES (1000000, sha256(''))"


def scribble(engine: Engine, tenant: Tenant) -> None:
    """Books with a little of everything, posted and sealed in rounds of any size.

    A sandbox's clock stands still, so that hot accounts run ahead of it and the journal's order is
    not the order of the batches' numbers.
    """
    draw = random.Random(7)
    with transaction(engine, tenant) as connection:
        clock.make_sandbox(connection, at=NOON)
    person = Actor(new_id(), PrincipalKind.PERSON, new_id())
    for number in range(DRAFTS // 10):
        with transaction(engine, tenant) as connection:
            for _ in range(draw.randint(1, 3)):
                post(connection, [_any_draft(draw, person, number) for _ in range(4)])
        if draw.random() < 0.3:
            with transaction(engine, tenant) as connection:
                seal.seal(connection, at=datetime.now(UTC), limit=draw.choice([1, 7, 4_000]))
    with transaction(engine, tenant) as connection:
        post(connection, [fund(1_000, SUSPENSE)])
        set_aside = Reserve(
            actor=SYSTEM,
            reservation_id=new_id(),
            account=SUSPENSE,
            amount_minor=300,
            reason="a deposit",
            expires_at=NOON + timedelta(days=7),
        )
        assert reserve(connection, [set_aside], at=NOON)[0].is_done
        connection.exec_driver_sql("UPDATE account SET state = 'frozen' WHERE subject = 'w3'")
        january = connection.exec_driver_sql(
            "SELECT id FROM period WHERE during @> timestamptz '2026-01-15 00:00:00+00'"
        ).scalar_one()
        operator = Actor(new_id(), PrincipalKind.PERSON, None, is_operator=True)
        over = periods.PeriodCommand(actor=operator, period_id=january)
        assert periods.soft_close(connection, [over], at=NOON)[0].is_done
    with transaction(engine, tenant) as connection:
        while seal.seal(connection, at=datetime.now(UTC)).event_count:
            pass


def _any_draft(draw: random.Random, person: Actor, number: int) -> Draft:
    name = wallet(f"w{draw.randint(0, 9)}", draw.choice(["EUR", "USD", "JPY"]))
    at = NOON - timedelta(days=draw.randint(0, 60))
    shape = draw.randint(0, 4)
    if shape == 0:
        odd = {"b": 'ö"\\\u2028', "a": [1, {"z": None}], "n": number}
        return Draft("note.taken", "slot:x", person, at, (), "why, \u00e9h?", odd)
    if shape == 1:
        ours = account("platform.due_from_custody", name.currency)
        earned = account("platform.revenue.commission", name.currency)
        due = account("custody.due_to_platform", name.currency)
        return draft(
            entry((bank(name.currency), 7), (due, -7)),
            entry((ours, 7), (earned, -7), book=Book.PLATFORM),
            actor=person,
            at=at,
        )
    if shape == 2:
        return move(draw.randint(1, 50), name, wallet("w0", name.currency), at=at)
    return fund(draw.randint(1, 10**6), name, at=at, order=number)


@pytest.fixture(scope="module")
def source(server: EmbeddedServer, tenant: Tenant) -> Iterator[Engine]:
    """The tenant that is exported."""
    with ExitStack() as stack:
        database = stack.enter_context(cloned_database(server))
        engine = connect(database.app_url)
        stack.callback(engine.dispose)
        scribble(engine, tenant)
        yield engine


@pytest.fixture(scope="module")
def written(source: Engine, tenant: Tenant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its export."""
    folder = tmp_path_factory.mktemp("exports") / "books"
    with snapshot(source, tenant) as connection:
        write_export(connection, tenant.name, folder)
    return folder


@pytest.fixture
def export(written: Path, tmp_path: Path) -> Path:
    """A copy of the export that a test may spoil."""
    return Path(shutil.copytree(written, tmp_path / "books"))


def bring(
    engine: Engine,
    tenant: Tenant,
    path: Path,
    *,
    dry_run: bool = False,
    stop_at: int | None = None,
) -> Imported:
    """Import; stop once so many events are posted."""
    stop = threading.Event()

    def progress(what: str, done: int, _: int) -> None:
        if stop_at is not None and what == "posting" and done >= stop_at:
            stop.set()

    return bring_in(engine, tenant, path, dry_run=dry_run, progress=progress, stop=stop)


def fetch(connection: Connection, statement: str) -> list[Any]:
    return [tuple(row) for row in connection.exec_driver_sql(statement)]


def books_of(engine: Engine, tenant: Tenant) -> dict[str, Any]:
    """All that an import must bring back, byte for byte; account ids are the database's own."""
    with snapshot(engine, tenant) as connection:
        found: dict[str, Any] = {
            table: fetch(connection, f"SELECT * FROM {table} ORDER BY {order}")
            for table, order in _TABLES.items()
        }
        for name, statement in _LISTS.items():
            found[name] = fetch(connection, statement)
        found["trial balance"] = trial_balance(connection)
    return found


def is_empty(engine: Engine, tenant: Tenant) -> bool:
    with snapshot(engine, tenant) as connection:
        tables = ("batch", "event", "account", "period", "block", "unsealed")
        return not any(
            connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() for table in tables
        )


def test_an_import_gives_the_same_roots_and_balances(
    source: Engine, own_engine: Engine, tenant: Tenant, export: Path
) -> None:
    """Statement 15: events, lines, balances, blocks, roots and trial balance are the same."""
    done = bring(own_engine, tenant, export)

    assert done.is_complete
    assert done.size == done.checked.manifest.size > 300
    assert done.not_open == ("2026-01-01 to 2026-02-01: soft_closed",)
    assert books_of(own_engine, tenant) == books_of(source, tenant)
    with snapshot(own_engine, tenant) as connection:
        assert prove(connection, leaves=True).findings == ()
        assert connection.exec_driver_sql("SELECT count(*) FROM unsealed").scalar() == 0


@pytest.mark.parametrize("share", [1, 2, 5])
def test_reports_as_of_any_number_are_the_same(
    source: Engine, own_engine: Engine, tenant: Tenant, export: Path, share: int
) -> None:
    """Statement 15: a trial balance as known at a number, or before a day, has the same hash."""
    size = bring(own_engine, tenant, export).size
    found = []
    for engine in (source, own_engine):
        with snapshot(engine, tenant) as connection:
            known = resolve(connection, size // share)
            at = NOON - timedelta(days=20)
            found.append(
                (
                    report(connection, known=known),
                    report(connection, known=known, span=Span(None, at)),
                )
            )

    assert found[0] == found[1]
    assert found[0][0] != found[0][1]


@pytest.mark.parametrize("is_packed", [False, True])
def test_our_own_export_comes_in_and_goes_out_the_same(
    source: Engine, own_engine: Engine, tenant: Tenant, tmp_path: Path, *, is_packed: bool
) -> None:
    """Statement 15, with the files that `holdfast export` writes: out, in, and out again."""
    asked = Asked(is_packed=is_packed)
    with snapshot(source, tenant) as connection:
        first = exported(connection, tenant=tenant, asked=asked, folder=tmp_path / "first")
    bring(own_engine, tenant, tmp_path / "first")
    with snapshot(own_engine, tenant) as connection:
        second = exported(connection, tenant=tenant, asked=asked, folder=tmp_path / "second")

    assert books_of(own_engine, tenant) == books_of(source, tenant)
    assert (second.size, second.root) == (first.size, first.root)
    # Periods came in open, and checkpoints are the signer's.
    others = {log_file.CHECKPOINTS, log_file.PERIODS}
    assert [file for file in second.files if file.name not in others] == [
        file for file in first.files if file.name not in others
    ]


def test_a_part_of_the_journal_is_books_of_its_own(
    source: Engine, own_engine: Engine, tenant: Tenant, tmp_path: Path
) -> None:
    """An export as of a number inside a block: its root is that of the tree of this size."""
    with snapshot(source, tenant) as connection:
        manifest = exported(
            connection, tenant=tenant, asked=Asked(as_of=151), folder=tmp_path / "part"
        )
    done = bring(own_engine, tenant, tmp_path / "part")

    assert done.is_complete
    with snapshot(own_engine, tenant) as connection:
        assert seal.root_at(connection, 151) == manifest.root
        assert prove(connection, leaves=True).findings == ()


def test_what_was_set_aside_stays_where_it_lies(
    own_engine: Engine, tenant: Tenant, export: Path
) -> None:
    """Reservations are no part of an export; the reserved twin's balance is, and is proven."""
    bring(own_engine, tenant, export)

    with snapshot(own_engine, tenant) as connection:
        held = connection.exec_driver_sql(
            "SELECT balance_minor FROM account WHERE code = 'custody.suspense[reserved] EUR'"
        ).scalar_one()
        assert prove(connection).findings == ()
    assert held == -300


def test_nobody_says_later_that_books_were_imported(
    source: Engine, tenant: Tenant, own_database: TestDatabase
) -> None:
    """What excuses imported books is said in an empty tenant, once, and never changed."""
    with pytest.raises(DBAPIError, match="only where there are none"):  # noqa: SIM117  one refusal
        with transaction(source, tenant) as connection:
            connection.exec_driver_sql(SAID)
    owner = create_engine(own_database.owner_url, poolclass=NullPool)
    with owner.begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL search_path TO {tenant.schema}")
        connection.exec_driver_sql(SAID)
        for statement in ("UPDATE imported SET size = 9", "DELETE FROM imported", SAID):
            with pytest.raises(DBAPIError), connection.begin_nested():
                connection.exec_driver_sql(statement)


def test_the_source_is_worth_importing(source: Engine, tenant: Tenant) -> None:
    """Its journal runs against the numbers of its batches, in many blocks, in two books."""
    with snapshot(source, tenant) as connection:
        order = connection.exec_driver_sql(
            "SELECT event_id >> 14 FROM seal ORDER BY journal_no"
        ).scalars()
        numbers = list(order)
        blocks = connection.exec_driver_sql("SELECT count(*) FROM block").scalar_one()
        books = connection.exec_driver_sql("SELECT count(DISTINCT book) FROM entry").scalar_one()

    assert numbers != sorted(numbers)
    assert blocks > 5
    assert books == 2


def test_an_imported_tenant_goes_on(own_engine: Engine, tenant: Tenant, export: Path) -> None:
    """New postings take numbers behind those that came in, and the journal grows by them."""
    done = bring(own_engine, tenant, export)

    with transaction(own_engine, tenant) as connection:
        (posted,) = post(connection, [fund(5, wallet("w0"), at=NOON)])
        sealed = seal.seal(connection, at=datetime.now(UTC))

    assert not isinstance(posted, Refusal)
    assert sealed.size == done.size + 1
    with snapshot(own_engine, tenant) as connection:
        assert prove(connection, leaves=True).findings == ()


@pytest.mark.parametrize("stop_at", [1, 150])
def test_a_broken_off_import_goes_on_where_it_was(
    source: Engine,
    own_engine: Engine,
    tenant: Tenant,
    export: Path,
    stop_at: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was committed stays, the rest is added, and the end is the same."""
    monkeypatch.setattr("ledger.imports.GROUP_EVENTS", 50)
    first = bring(own_engine, tenant, export, stop_at=stop_at)
    with snapshot(own_engine, tenant) as connection:
        half = prove(connection, leaves=True)
    second = bring(own_engine, tenant, export)

    assert not first.is_complete
    assert half.is_clean
    assert second.began_at == first.size
    assert second.is_complete
    assert books_of(own_engine, tenant) == books_of(source, tenant)
    assert bring(own_engine, tenant, export).is_complete


def test_a_dry_run_writes_nothing(own_engine: Engine, tenant: Tenant, export: Path) -> None:
    """It reads and checks all of the export."""
    done = bring(own_engine, tenant, export, dry_run=True)

    assert done.checked.events == done.checked.manifest.size
    assert not done.is_complete
    assert is_empty(own_engine, tenant)


def test_a_zip_is_as_good_as_a_folder(
    own_engine: Engine, tenant: Tenant, export: Path, tmp_path: Path
) -> None:
    """A zip is read as it is."""
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", export))

    assert bring(own_engine, tenant, packed).is_complete


FORGERIES: list[tuple[str, bytes, bytes, str]] = [
    (log_file.LOG, b'"amount_minor":"7"', b'"amount_minor":"8"', "leaf_hash"),
    (log_file.LOG, b'"reason":""', b'"reason":"x"', "leaf_hash"),
    (log_file.LOG, b'"journal_no":2,', b'"journal_no":3,', "journal_no"),
    (log_file.LOG, b'"book_no":2,', b'"book_no":3,', "book_no"),
    (log_file.LOG, b"custody.wallet", b"custody.purses", "account"),
    (log_file.LOG, b'"kind":"system"', b'"kind":"nobody"', "event"),
    (log_file.LOG, b'"book":"custody"', b'"book":"another"', "event"),
    (log_file.LOG, b'"recorded_at":"2026', b'"recorded_at":"0001', "leaf_hash"),
    (log_file.LOG, b'"id":', b'"id":9999999', "leaf_hash"),
    (log_file.LOG, b'"entry_no":1', b'"entry_no":"1"', "entry_no"),
    (log_file.BLOCKS, b"1,1,", b"1,2,", "blocks"),
    (log_file.BLOCKS, b",2026-", b",3026-", "blocks"),
    (log_file.MANIFEST, b'"size": ', b'"size": 1', "log"),
    (log_file.MANIFEST, b'"tenant": "test"', b'"tenant": "best"', ""),
]


@pytest.mark.parametrize(("name", "old", "new", "field"), FORGERIES)
@pytest.mark.parametrize("is_careful", [False, True])
def test_an_altered_export_is_refused_and_nothing_is_written(
    own_engine: Engine,
    tenant: Tenant,
    export: Path,
    name: str,
    old: bytes,
    new: bytes,
    field: str,
    *,
    is_careful: bool,
) -> None:
    """One byte of a file is enough; and so it is where the forger hashed the files again."""
    alter(export, name, old, new)
    if is_careful:
        rehash(export)

    with pytest.raises(Refusal) as refused:
        bring(own_engine, tenant, export)

    assert refused.value.code in {"import.altered", "import.other_tenant"}
    if is_careful and field:
        assert refused.value.facts["field"] == field
    assert is_empty(own_engine, tenant)


def _cut_tail(folder: Path) -> None:
    path = folder / log_file.LOG
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    rehash(folder)


def _swap(folder: Path) -> None:
    path = folder / log_file.LOG
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3], lines[4] = lines[4], lines[3]
    path.write_bytes(b"".join(lines))
    rehash(folder)


def _tear(folder: Path) -> None:
    path = folder / log_file.LOG
    path.write_bytes(path.read_bytes()[:-20])
    rehash(folder)


def _never_end(folder: Path) -> None:
    with (folder / log_file.LOG).open("ab") as log:
        for _ in range(65):
            log.write(b" " * 2**20)
    rehash(folder)


@pytest.mark.parametrize(
    "spoil",
    [
        _cut_tail,
        _swap,
        _tear,
        _never_end,
        lambda folder: (folder / log_file.LOG).unlink(),
        lambda folder: (folder / log_file.BLOCKS).unlink(),
        lambda folder: (folder / log_file.MANIFEST).unlink(),
        lambda folder: (folder / log_file.MANIFEST).write_text("{}"),
    ],
)
def test_an_export_that_is_not_whole_is_refused(
    own_engine: Engine, tenant: Tenant, export: Path, spoil: Callable[[Path], None]
) -> None:
    """A tail cut, two events swapped, a torn line, a missing file: nothing is written."""
    spoil(export)

    with pytest.raises(Refusal) as refused:
        bring(own_engine, tenant, export)

    assert refused.value.code in {"import.altered", "export.unreadable"}
    assert is_empty(own_engine, tenant)


def test_balances_that_the_log_does_not_give_are_refused(
    own_engine: Engine, tenant: Tenant, export: Path
) -> None:
    """accounts.csv is held against what the lines came to."""
    lines = (export / log_file.ACCOUNTS).read_text().splitlines()
    lines[1] = lines[1] + "0"
    (export / log_file.ACCOUNTS).write_text("\n".join(lines) + "\n")
    rehash(export)

    with pytest.raises(Refusal) as refused:
        bring(own_engine, tenant, export)

    assert refused.value.facts["field"] == "accounts"


def test_books_that_are_no_beginning_of_the_export_are_left_alone(
    own_engine: Engine, tenant: Tenant, export: Path
) -> None:
    """A tenant that has posted takes no import, sealed or not."""
    with transaction(own_engine, tenant) as connection:
        post(connection, [fund(5, wallet("ann"))])
    with pytest.raises(Refusal, match="not_empty"):
        bring(own_engine, tenant, export)
    with transaction(own_engine, tenant) as connection:
        seal.seal(connection, at=datetime.now(UTC))
    with pytest.raises(Refusal, match="not_empty"):
        bring(own_engine, tenant, export)

    with snapshot(own_engine, tenant) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM event").scalar() == 1


def test_a_tenant_of_another_name_is_refused(own_database: TestDatabase, export: Path) -> None:
    """The leaf hash covers the tenant's name, so its books cannot be another's."""
    other = Tenant("other")
    runner.create_tenant(own_database.owner_url, other)
    engine = connect(own_database.app_url)

    with pytest.raises(Refusal, match="other_tenant"):
        bring(engine, other, export)

    assert is_empty(engine, other)
    engine.dispose()
