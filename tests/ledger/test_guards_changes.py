"""What is written stays: nothing is changed, deleted, added later or slipped past the guards."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from kernel.database import Tenant, connect, transaction
from ledger.chart import CHART, MIRRORS
from tests.fixtures.databases import TestDatabase
from tests.ledger.raw_rows import (
    RECORDED,
    STAND,
    Row,
    Rows,
    announce,
    check,
    draw,
    insert,
    refuses,
    transfer,
    write,
)

LATER = RECORDED + timedelta(seconds=1)
BOOKS = ("batch", "event", "entry", "line", "idempotency", "account_kind", "currency")


def later(connection: Connection, amount: int = 100) -> Rows:
    return draw(connection, transfer(amount), recorded_at=LATER)


def newest(connection: Connection, table: str) -> Row:
    """The newest row of a table, for a copy that differs in one thing."""
    row = connection.execute(text(f"SELECT * FROM {table} ORDER BY 1 DESC LIMIT 1")).mappings()
    return dict(row.one())


def further_pair(connection: Connection) -> list[Row]:
    """A balanced pair of lines more for the newest entry that is committed."""
    old = newest(connection, "entry")
    pair = later(connection).lines
    for line_no, line in enumerate(pair, old["line_count"] + 1):
        line.update(event_id=old["event_id"], line_no=line_no)
    return pair


def newest_batch_reopened(connection: Connection) -> Row:
    """The newest committed batch, as if this transaction had opened it."""
    now = connection.execute(text("SELECT pg_current_xact_id()::text, clock_timestamp()")).one()
    return newest(connection, "batch") | {"opened_in": now[0], "opened_at": now[1]}


@pytest.mark.parametrize("table", BOOKS)
@pytest.mark.parametrize("act", ["UPDATE", "DELETE", "TRUNCATE"])
def test_the_books_are_append_only(books: Connection, table: str, act: str) -> None:
    """No row of the books, of the chart or of the answers to keys is changed or taken away."""
    column = books.execute(
        text("SELECT column_name FROM information_schema.columns WHERE table_name = :table"),
        {"table": table},
    ).scalars()
    statement = {
        "UPDATE": f"UPDATE {table} SET {next(column)} = DEFAULT",
        "DELETE": f"DELETE FROM {table}",
        "TRUNCATE": f"TRUNCATE {table} CASCADE",
    }[act]

    with refuses(books, "HF", "42501"):
        books.exec_driver_sql(statement)


def test_a_period_keeps_its_span(books: Connection) -> None:
    """What a period covers is settled when it is opened: no entry changes its period later."""
    with refuses(books, "HF", "42501"):
        books.exec_driver_sql("UPDATE period SET during = during")


@pytest.mark.parametrize("table", ["account", "period"])
def test_accounts_and_periods_are_not_taken_away(books: Connection, table: str) -> None:
    """Accounts and periods change their state, and stay."""
    for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with refuses(books, "HF", "42501"):
            books.exec_driver_sql(statement)


def test_a_clash_is_no_way_to_change_a_line(books: Connection) -> None:
    """INSERT .. ON CONFLICT DO UPDATE and MERGE are changes like any other."""
    clash = (
        "INSERT INTO line SELECT * FROM line"
        " ON CONFLICT (account_id, account_seq) DO UPDATE SET amount_minor = 1"
    )
    merge = (
        "MERGE INTO line l USING line n ON l.account_id = n.account_id"
        " WHEN MATCHED THEN UPDATE SET amount_minor = 1"
    )

    for statement in (clash, merge):
        with refuses(books, "HF", "42501"):
            books.exec_driver_sql(statement)


@pytest.mark.parametrize("table", ["event", "entry", "line"])
def test_nothing_is_added_to_a_committed_batch(books: Connection, table: str) -> None:
    """A batch ends with its transaction: no event, entry or line is added to it later."""
    row = newest(books, table)
    change = {
        "event": lambda: {"id": row["id"] + 1, "recorded_at": LATER},
        "entry": lambda: {"entry_no": row["entry_no"] + 1},
        "line": lambda: {"line_no": row["line_no"] + 1, "account_seq": row["account_seq"] + 1},
    }[table]()

    with refuses(books):
        insert(books, table, [row | change])


def test_a_late_pair_of_lines_is_refused(books: Connection) -> None:
    """A balanced pair, drawn up with all care, is not added to an entry that is committed."""
    pair = further_pair(books)

    with refuses(books):
        insert(books, "line", pair)


def test_a_whole_event_is_not_added_to_a_committed_batch(books: Connection) -> None:
    """An event with its entries and lines needs a batch of its own."""
    rows = later(books)
    event_id = newest(books, "event")["id"] + 1
    for row in (*rows.entries, *rows.lines):
        row["event_id"] = event_id

    with refuses(books):
        insert(books, "event", [rows.events[0] | {"id": event_id}])
        insert(books, "entry", rows.entries)
        insert(books, "line", rows.lines)


@pytest.mark.parametrize("table", ["event", "entry", "line"])
def test_nothing_is_written_without_a_batch(books: Connection, table: str) -> None:
    """An event, entry or line whose batch is not there is refused."""
    rows = later(books)
    stray = {"event": rows.events, "entry": rows.entries, "line": rows.lines}[table]

    with refuses(books):
        insert(books, table, stray)


@pytest.mark.parametrize("table", ["event", "entry", "line"])
def test_nothing_is_added_to_the_batch_of_another_transaction(
    books: Connection, history: TestDatabase, tenant: Tenant, table: str
) -> None:
    """A batch that another transaction has open is neither seen nor added to."""
    engine = connect(history.app_url)
    with engine.connect() as other, other.begin() as running:
        other.exec_driver_sql(
            "SELECT set_config('role', %s, true), set_config('search_path', %s, true)",
            (tenant.role, tenant.schema),
        )
        rows = later(other)
        announce(other, rows)
        stray = {"event": rows.events, "entry": rows.entries, "line": rows.lines}[table]

        with refuses(books):
            insert(books, table, stray)
        running.rollback()
    engine.dispose()


@pytest.mark.parametrize(
    "forged",
    [
        {"opened_in": "1"},
        {"opened_in": "9000000000"},
        {"opened_at": "2000-01-01 00:00:00+00"},
        {"opened_at": "2199-01-01 00:00:00+00"},
    ],
)
def test_a_batch_is_opened_here_and_now(books: Connection, forged: Row) -> None:
    """No one says of a batch that another transaction or another time opened it."""
    with refuses(books, "HF", "42501"):
        insert(books, "batch", [later(books).batch | forged])


@pytest.mark.parametrize("count", [0, 16_385])
def test_a_batch_has_one_to_16384_events(books: Connection, count: int) -> None:
    """The ordinal of an event has fourteen bits, and a batch is never empty."""
    with refuses(books, "23514"):
        insert(books, "batch", [later(books).batch | {"event_count": count}])


def test_a_batch_of_one_event_has_it_at_its_first_number(books: Connection) -> None:
    """Event numbers of a batch have no gap: an event without entries is not hidden among them."""
    rows = draw(books, [], recorded_at=LATER)
    rows.events[0]["id"] += 5

    with refuses(books):
        write(books, rows)


def test_a_temporary_table_does_not_stand_in_for_a_real_one(books: Connection) -> None:
    """The guards read the tenant's own tables, whatever temporary ones the session has made."""
    pair, forged = further_pair(books), newest_batch_reopened(books)

    with refuses(books, "HF", "42501"):
        books.exec_driver_sql("CREATE TEMPORARY TABLE batch (LIKE batch)")
        insert(books, "pg_temp.batch", [forged])
        insert(books, "line", pair)


def test_the_guards_cannot_be_switched_off(books: Connection) -> None:
    """Neither the program nor the owner may run as a replica, which silences triggers."""
    with refuses(books, "42501"):
        books.exec_driver_sql("SET LOCAL session_replication_role = replica")


def test_a_session_with_a_savepoint_works(books: Connection) -> None:
    """A batch written inside a savepoint passes, and one that is rolled back leaves nothing."""
    with books.begin_nested():
        write(books, later(books, 100))
    lost = books.begin_nested()
    write(books, draw(books, transfer(200), recorded_at=LATER + timedelta(seconds=1)))
    lost.rollback()

    check(books)

    sums = text("SELECT sum(amount_minor), max(amount_minor) FROM line WHERE amount_minor > 0")
    assert books.execute(sums).one() == (1_100, 1_000)


def test_a_rolled_back_part_of_a_batch_is_missed(books: Connection) -> None:
    """Lines lost with their savepoint are counted as missing."""
    rows = later(books)

    with refuses(books):
        announce(books, rows)
        insert(books, "event", rows.events)
        insert(books, "entry", rows.entries)
        lost = books.begin_nested()
        insert(books, "line", rows.lines)
        lost.rollback()


def test_a_check_that_was_rolled_back_runs_again(books: Connection) -> None:
    """A batch checked early inside a savepoint is missed at commit if the savepoint is lost."""
    rows = later(books)

    with refuses(books):
        announce(books, rows)
        lost = books.begin_nested()
        insert(books, "event", rows.events)
        insert(books, "entry", rows.entries)
        insert(books, "line", rows.lines)
        for standing in rows.standings:
            books.execute(text(STAND), standing)
        check(books)
        lost.rollback()


def test_an_account_moves_by_the_newest_batch_only(books: Connection) -> None:
    """Lines left behind in an earlier batch of the transaction do not move an account later."""
    first = later(books)
    second = draw(books, [], recorded_at=LATER + timedelta(seconds=1))

    with refuses(books):
        announce(books, first)
        insert(books, "event", first.events)
        insert(books, "entry", first.entries)
        insert(books, "line", first.lines)
        write(books, second)
        for standing in first.standings:
            books.execute(text(STAND), standing)


def write_a_header(engine: Engine, tenant: Tenant) -> None:
    """Commit the header of a batch and nothing of what it announces."""
    with transaction(engine, tenant) as connection:
        announce(connection, later(connection))


def test_an_unfinished_batch_fails_at_its_commit(history: TestDatabase, tenant: Tenant) -> None:
    """A header without lines passes no COMMIT, and nothing of it stays."""
    engine = connect(history.app_url)
    count = text("SELECT count(*) FROM batch")
    with transaction(engine, tenant) as before:
        known = before.execute(count).scalar_one()

    with pytest.raises(DBAPIError, match="is not complete"):
        write_a_header(engine, tenant)

    with transaction(engine, tenant) as after:
        assert after.execute(count).scalar_one() == known
    engine.dispose()


def test_the_chart_in_the_database_is_the_chart_in_python(books: Connection) -> None:
    """Every kind of the chart stands in the table with its book, side, bounds and mirror."""
    mirror = {kind: number for number, pair in enumerate(MIRRORS, 1) for kind in pair}
    rows = books.execute(
        text(
            "SELECT kind, book, nature, subject, lowest_minor, highest_minor, mirror"
            " FROM account_kind"
        )
    )

    assert {tuple(row) for row in rows} == {
        (
            row.kind,
            row.book.value,
            row.nature.value,
            row.subject,
            row.lowest_minor,
            row.highest_minor,
            mirror.get(row.kind, 0),
        )
        for row in CHART.values()
    }


def test_an_answer_is_kept_as_it_was_given(books: Connection) -> None:
    """The answer to a key is written once: a second row for the key is refused."""
    row = {
        "principal_id": UUID(int=7),
        "key": "k-1",
        "answered_at": RECORDED,
        "request_hash": bytes(32),
        "code": "done",
        "answer": b"{}",
    }
    insert(books, "idempotency", [row, row | {"principal_id": UUID(int=8)}])

    with refuses(books, "23505"):
        insert(books, "idempotency", [row | {"code": "other"}])
    for spoilt in ({"key": ""}, {"key": "a b"}, {"key": "ключ"}, {"request_hash": b"short"}):
        with refuses(books, "23514"):
            insert(books, "idempotency", [row | {"key": "k-2"} | spoilt])
