"""What the database refuses of the log, to the tenant's role and to the owner alike."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from sqlalchemy import Connection, text

from kernel.copying import teach
from kernel.database import driver
from ledger.merkle import EMPTY_ROOT
from ledger.seal import seal
from tests.ledger.raw_rows import RECORDED, Row, check, draw, insert, refuses, transfer, write

LOG: Final = ("block", "seal", "tree_node", "checkpoint", "anchored")
AT: Final = datetime(2026, 3, 2, 14, tzinfo=UTC)


def sealed_books(books: Connection, *, waiting: int = 2) -> list[int]:
    """Seal what is there; then write one more batch that waits, and give its events' numbers."""
    teach(driver(books))
    seal(books, at=AT)
    later = RECORDED + timedelta(hours=1)
    rows = draw(books, *[transfer(100) for _ in range(waiting)], recorded_at=later)
    write(books, rows)
    check(books)
    return [row["id"] for row in rows.events]


def block(**other: Any) -> Row:
    """The block that would rightly follow: two events with one entry of custody each."""
    right = {
        "no": 2,
        "first_journal_no": 2,
        "last_journal_no": 3,
        "root": EMPTY_ROOT,
        "custody_entries": 3,
        "platform_entries": 0,
        "sealed_at": AT + timedelta(seconds=1),
    }
    return right | other


def seals(events: Sequence[int]) -> list[Row]:
    """The seals that would rightly follow."""
    return [
        {
            "journal_no": number,
            "event_id": event_id,
            "custody_entries": number,
            "platform_entries": 0,
        }
        for number, event_id in enumerate(events, 2)
    ]


def add_seals(connection: Connection, rows: Sequence[Row]) -> None:
    """All seals in one statement, as the sealer writes them."""
    values = ", ".join(
        "({journal_no}, {event_id}, {custody_entries}, {platform_entries})".format(**row)
        for row in rows
    )
    connection.execute(
        text(
            "INSERT INTO seal (journal_no, event_id, custody_entries, platform_entries)"
            f" VALUES {values}"
        )
    )


@pytest.mark.parametrize("table", LOG)
@pytest.mark.parametrize("change", ["DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_log_is_append_only(books: Connection, table: str, change: str) -> None:
    """Nothing of the log is deleted."""
    sealed_books(books)

    with refuses(books, "HF001", "42501"):
        books.execute(text(change.format(table)))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE block SET root = root",
        "UPDATE seal SET event_id = event_id",
        "UPDATE tree_node SET hash = hash",
        "UPDATE checkpoint SET note = note",
        "UPDATE anchored SET receipt = receipt",
        "UPDATE unsealed SET batch_id = batch_id",
        "TRUNCATE unsealed",
    ],
)
def test_the_log_is_never_changed(books: Connection, change: str) -> None:
    """Nothing of the log is changed, not even to what it is."""
    sealed_books(books)

    with refuses(books, "HF001", "42501"):
        books.execute(text(change))


def test_a_batch_is_handed_to_the_sealer(books: Connection) -> None:
    """A batch without its row of work passes no commit: it would never be sealed."""
    rows = draw(books, transfer(100), recorded_at=RECORDED + timedelta(hours=1))

    with refuses(books, "HF020"):
        insert(books, "batch", [rows.batch])
        insert(books, "event", rows.events)
        insert(books, "entry", rows.entries)
        insert(books, "line", rows.lines)
        for standing in rows.standings:
            books.execute(
                text(
                    "UPDATE account SET balance_minor = :balance_minor, line_count = :line_count,"
                    " newest_recorded_at = :newest_recorded_at WHERE id = :id"
                ),
                standing,
            )


def test_work_is_not_taken_away_before_it_is_done(books: Connection) -> None:
    """The row of a batch goes only once every event of the batch has its seal."""
    sealed_books(books)

    with refuses(books, "HF021"):
        books.execute(text("DELETE FROM unsealed"))


def test_part_of_a_batch_sealed_does_not_free_its_row(books: Connection) -> None:
    """Of two events one is sealed: the row of their batch stays."""
    events = sealed_books(books)

    with refuses(books, "HF021"):
        insert(books, "block", [block(last_journal_no=2, custody_entries=2)])
        add_seals(books, seals(events[:1]))
        books.execute(text("DELETE FROM unsealed"))


def test_the_right_rows_are_taken(books: Connection) -> None:
    """The rows that the following tests spoil are right as they are."""
    events = sealed_books(books)

    insert(books, "block", [block()])
    add_seals(books, seals(events))
    books.execute(text("DELETE FROM unsealed"))

    assert books.execute(text("SELECT max(journal_no) FROM seal")).scalar_one() == 3


@pytest.mark.parametrize(
    "spoilt",
    [
        {"no": 3},
        {"no": 1},
        {"first_journal_no": 3},
        {"first_journal_no": 1},
        {"last_journal_no": 1},
        {"sealed_at": AT},
        {"sealed_at": AT - timedelta(days=1)},
        {"sealed_at": datetime(2199, 1, 1, tzinfo=UTC)},
        {"custody_entries": 0},
        {"root": b"short"},
    ],
)
def test_a_block_follows_the_newest_one(books: Connection, spoilt: Row) -> None:
    """A block goes on in number, in journal numbers and in time."""
    sealed_books(books)

    with refuses(books, "HF022", "23514", "23505"):
        insert(books, "block", [block(**spoilt)])


def test_a_block_without_its_seals_passes_no_commit(books: Connection) -> None:
    """A block says how many seals it has, and has them."""
    sealed_books(books)

    with refuses(books, "HF024"):
        insert(books, "block", [block()])


@pytest.mark.parametrize(
    "spoilt",
    [
        {"journal_no": 9},
        {"journal_no": 1},
        {"custody_entries": 9},
        {"platform_entries": 1},
        {"event_id": 1},
    ],
)
def test_seals_are_dense_and_count_right(books: Connection, spoilt: Row) -> None:
    """A seal with another number, count, or of no event is refused with all of its block."""
    events = sealed_books(books)
    rows = seals(events)
    rows[1] |= spoilt

    with refuses(books, "HF023", "23505"):
        insert(books, "block", [block()])
        add_seals(books, rows)


def test_seals_stand_in_the_order_of_time(books: Connection) -> None:
    """Two events in the wrong order are refused."""
    events = sealed_books(books)

    with refuses(books, "HF023"):
        insert(books, "block", [block()])
        add_seals(books, seals(events[::-1]))


def test_an_event_is_sealed_once(books: Connection) -> None:
    """The same event has no second number."""
    events = sealed_books(books)
    insert(books, "block", [block()])
    add_seals(books, seals(events))

    with refuses(books, "23505", "HF023"):
        follows = {"no": 3, "first_journal_no": 4, "last_journal_no": 4, "custody_entries": 4}
        insert(books, "block", [block(**follows, sealed_at=AT + timedelta(seconds=2))])
        again = seals(events[:1])
        add_seals(books, [again[0] | {"journal_no": 4, "custody_entries": 4}])


def test_no_seals_come_without_a_block(books: Connection) -> None:
    """Seals beyond the newest block are refused."""
    events = sealed_books(books)

    with refuses(books, "HF023"):
        add_seals(books, seals(events))


def test_a_block_brings_the_nodes_that_it_completes(books: Connection) -> None:
    """The subtree of the first 256 leaves is kept when the log reaches it, and not before."""
    events = sealed_books(books, waiting=255)
    whole = block(last_journal_no=256, custody_entries=256)

    with refuses(books, "HF024"):
        insert(books, "tree_node", [{"level": 8, "position": 0, "hash": bytes(32)}])
    with refuses(books, "HF024"):
        insert(books, "block", [whole])
        add_seals(books, seals(events))
    insert(books, "block", [whole])
    add_seals(books, seals(events))
    insert(books, "tree_node", [{"level": 8, "position": 0, "hash": bytes(32)}])


def test_a_checkpoint_is_of_a_block(books: Connection) -> None:
    """No note is kept for a size or root that the log never had."""
    sealed_books(books)
    root = books.execute(text("SELECT root FROM block")).scalar_one()
    right = {"size": 1, "root": root, "note": "note", "signed_at": AT}

    for spoilt in ({"size": 2}, {"root": EMPTY_ROOT}):
        with refuses(books, "23503"):
            insert(books, "checkpoint", [right | spoilt])
    insert(books, "checkpoint", [right])
    with refuses(books, "23505"):
        insert(books, "checkpoint", [right | {"note": "another"}])
    with refuses(books, "23503"):
        receipt = {"size": 2, "anchor": "file", "receipt": "", "anchored_at": AT}
        insert(books, "anchored", [receipt])
