"""What the database refuses of entries and lines, to the tenant's role and to the owner alike."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text

from tests.ledger.raw_rows import (
    BANK,
    RECORDED,
    SUSPENSE,
    Row,
    Rows,
    check,
    draw,
    insert,
    refuses,
    transfer,
    write,
)

LATER = RECORDED + timedelta(seconds=1)
ANN = "custody.wallet[ann] EUR"
BEN = "custody.wallet[ben] EUR"


def later(connection: Connection, *amounts: int) -> Rows:
    """A batch after the history: one event per amount, bank to Ann's wallet."""
    return draw(connection, *(transfer(amount) for amount in amounts), recorded_at=LATER)


def test_right_rows_are_taken(books: Connection) -> None:
    """What these tests spoil is taken whole when it is not spoiled."""
    write(books, later(books, 100, 200))

    check(books)

    balance = text("SELECT balance_minor FROM account WHERE code = :code")
    assert books.execute(balance, {"code": ANN}).scalar_one() == -1_300


def test_an_entry_off_by_one_is_refused(books: Connection) -> None:
    """Lines that sum to one minor unit instead of zero are refused."""
    rows = later(books, 100)
    line = rows.line(0)
    line["amount_minor"] += 1
    line["balance_after_minor"] += 1
    rows.standing_of(line)["balance_minor"] += 1

    with refuses(books):
        write(books, rows)


def test_an_entry_balanced_only_with_another_is_refused(books: Connection) -> None:
    """Two entries of one event that are off by opposite amounts do not make up for each other."""
    legs = [[(BANK, 100), (ANN, -99)], [(BANK, 100), (ANN, -101)]]

    with refuses(books):
        write(books, draw(books, legs, recorded_at=LATER))


def test_an_entry_of_one_leg_is_refused(books: Connection) -> None:
    """An entry needs two lines at least, whatever its header says."""
    with refuses(books, "23514"):
        write(books, draw(books, [[(BANK, 100)]], recorded_at=LATER))

    rows = draw(books, [[(BANK, 100)]], recorded_at=LATER)
    rows.entries[0]["line_count"] = 2
    with refuses(books):
        write(books, rows)


def test_a_line_of_nothing_is_refused(books: Connection) -> None:
    """No line has the amount zero."""
    with refuses(books, "23514"):
        write(books, draw(books, [[(BANK, 0), (ANN, 0)]], recorded_at=LATER))


def test_a_line_in_another_currency_is_refused(books: Connection) -> None:
    """A line's currency is its account's: euros do not balance dollars."""
    dollars = "custody.wallet[ann] USD"

    with refuses(books):
        write(books, draw(books, [[(BANK, 100), (dollars, -100)]], recorded_at=LATER))


def test_an_entry_that_names_another_currency_is_refused(books: Connection) -> None:
    """An entry whose header says dollars takes no line of an account in euros."""
    rows = later(books, 100)
    rows.entries[0]["currency"] = "USD"

    with refuses(books):
        write(books, rows)


def test_a_line_in_another_book_is_refused(books: Connection) -> None:
    """No entry touches both books."""
    legs = [[(BANK, 100), ("platform.bank[] EUR", -100)]]

    with refuses(books):
        write(books, draw(books, legs, recorded_at=LATER))


def test_an_entry_that_names_another_book_is_refused(books: Connection) -> None:
    """An entry whose header says platform takes no line of a custody account."""
    rows = later(books, 100)
    rows.entries[0]["book"] = "platform"

    with refuses(books):
        write(books, rows)


def without_lines(rows: Rows) -> None:
    rows.lines.clear()
    rows.standings.clear()


def without_lines_and_their_count(rows: Rows) -> None:
    without_lines(rows)
    rows.batch["line_count"] = 0


def without_entry(rows: Rows) -> None:
    rows.entries.clear()


def without_entry_and_its_count(rows: Rows) -> None:
    rows.entries.clear()
    rows.batch["entry_count"] = 0
    rows.events[0]["entry_count"] = 0


def without_event(rows: Rows) -> None:
    rows.events.clear()


def without_anything(rows: Rows) -> None:
    without_lines(rows)
    rows.entries.clear()
    rows.events.clear()


def one_entry_too_few(rows: Rows) -> None:
    rows.events[0]["entry_count"] = 2


def one_line_too_few(rows: Rows) -> None:
    rows.entries[0]["line_count"] = 3


def entry_of_no_event(rows: Rows) -> None:
    for row in (*rows.entries, *rows.lines):
        row["event_id"] += 1


def a_gap_in_entry_no(rows: Rows) -> None:
    for row in (*rows.entries, *rows.lines):
        row["entry_no"] = 2


def a_gap_in_line_no(rows: Rows) -> None:
    rows.line(1)["line_no"] = 3


def times_turned_round(rows: Rows) -> None:
    for row in (*rows.events, *rows.lines, *rows.standings):
        row["recorded_at" if "recorded_at" in row else "newest_recorded_at"] = LATER


@pytest.mark.parametrize(
    "spoil",
    [
        without_lines,
        without_lines_and_their_count,
        without_entry,
        without_entry_and_its_count,
        without_event,
        without_anything,
        one_entry_too_few,
        one_line_too_few,
        entry_of_no_event,
        a_gap_in_entry_no,
        a_gap_in_line_no,
    ],
)
def test_a_batch_that_is_not_what_its_headers_say_is_refused(
    books: Connection, spoil: Callable[[Rows], None]
) -> None:
    """Events, entries and lines are all there, numbered from one without a gap, and no others."""
    rows = later(books, 100)
    spoil(rows)

    with refuses(books):
        write(books, rows)


def test_events_of_one_batch_rise_in_time(books: Connection) -> None:
    """Two events of a batch do not share their recorded time, even on other accounts."""
    rows = draw(books, transfer(100), [[(SUSPENSE, -5), ("custody.fx[] EUR", 5)]])
    times_turned_round(rows)

    with refuses(books):
        write(books, rows)


@pytest.mark.parametrize("column", ["recorded_at", "effective_at"])
def test_a_line_carries_the_times_of_its_event(books: Connection, column: str) -> None:
    """Recorded and effective time are one value for an event and all its lines."""
    rows = later(books, 100)
    line = rows.line(0)
    line[column] += timedelta(seconds=1)
    rows.standing_of(line)["newest_recorded_at"] = line["recorded_at"]

    with refuses(books):
        write(books, rows)


def further_pair(books: Connection, rows: Rows) -> tuple[list[Row], list[Row]]:
    """A balanced pair of lines more for an entry that is written, and where its accounts go."""
    event_id, entry_no = rows.line(0)["event_id"], rows.line(0)["entry_no"]
    more = draw(books, transfer(7), recorded_at=LATER)
    for line_no, line in enumerate(more.lines, 3):
        own = {"event_id": event_id, "entry_no": entry_no, "line_no": line_no}
        line.update(own, recorded_at=rows.line(0)["recorded_at"])
    return more.lines, more.standings


def test_a_later_pair_of_lines_is_refused_at_commit(books: Connection) -> None:
    """A balanced pair added in the same transaction is counted against the header."""
    rows = later(books, 100)

    with refuses(books):
        write(books, rows)
        insert(books, "line", further_pair(books, rows)[0])


def test_a_later_pair_of_lines_is_refused_after_the_check(books: Connection) -> None:
    """Who has the checks of the commit run early can add nothing behind them."""
    rows = later(books, 100)

    with refuses(books):
        write(books, rows)
        check(books)
        insert(books, "line", further_pair(books, rows)[0])


@pytest.mark.parametrize("table", ["event", "entry", "line"])
def test_nothing_is_added_after_the_check(books: Connection, table: str) -> None:
    """A batch that was checked is full, even for its own transaction."""
    rows = later(books, 100)
    added = {
        "event": rows.events[0] | {"id": rows.events[0]["id"] + 1},
        "entry": rows.entries[0] | {"entry_no": 2},
        "line": rows.line(0) | {"line_no": 3, "account_seq": rows.line(0)["account_seq"] + 1},
    }

    with refuses(books):
        write(books, rows)
        check(books)
        insert(books, table, [added[table]])
