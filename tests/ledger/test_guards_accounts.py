"""What the database refuses of accounts, chains, periods and mirrors, to app and owner alike."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, text

from ledger.chart import UNBOUNDED
from tests.ledger.period_rows import act_by_hand, add_period
from tests.ledger.raw_rows import (
    BANK,
    NOON,
    RECORDED,
    SUSPENSE,
    Rows,
    check,
    draw,
    insert,
    open_account,
    refuses,
    transfer,
    write,
)

LATER = RECORDED + timedelta(seconds=1)
ANN = "custody.wallet[ann] EUR"
BEN = "custody.wallet[ben] EUR"
APRIL = datetime(2026, 4, 1, tzinfo=UTC)
MARCH_ENDS = APRIL - timedelta(microseconds=1)


def later(connection: Connection, *amounts: int) -> Rows:
    """A batch after the history: one event per amount, bank to Ann's wallet."""
    return draw(connection, *(transfer(amount) for amount in amounts), recorded_at=LATER)


def set_account(connection: Connection, code: str, change: str) -> None:
    connection.execute(text(f"UPDATE account SET {change} WHERE code = :code"), {"code": code})


def hole_in_account_seq(rows: Rows) -> None:
    line = rows.line(1)
    line["account_seq"] += 1
    rows.standing_of(line)["line_count"] += 1


def seq_again_from_one(rows: Rows) -> None:
    line = rows.line(1)
    line["account_seq"] = 1
    rows.standings.remove(rows.standing_of(line))


def balance_after_off_by_one(rows: Rows) -> None:
    line = rows.line(1)
    line["balance_after_minor"] += 1
    rows.standing_of(line)["balance_minor"] += 1


def balance_after_off_by_one_in_the_middle(rows: Rows) -> None:
    rows.line(1)["balance_after_minor"] += 1


def as_old_as_the_line_before(rows: Rows) -> None:
    for row in (*rows.events, *rows.lines):
        row["recorded_at"] -= LATER - RECORDED
    for standing in rows.standings:
        standing["newest_recorded_at"] -= LATER - RECORDED


def older_than_the_line_before(rows: Rows) -> None:
    for row in (*rows.events, *rows.lines):
        row["recorded_at"] -= timedelta(days=1)
    for standing in rows.standings:
        standing["newest_recorded_at"] -= timedelta(days=1)


def accounts_left_where_they_were(rows: Rows) -> None:
    rows.standings.clear()


def one_account_left_where_it_was(rows: Rows) -> None:
    rows.standings.remove(rows.standing_of(rows.line(1)))


@pytest.mark.parametrize(
    "spoil",
    [
        hole_in_account_seq,
        seq_again_from_one,
        balance_after_off_by_one,
        balance_after_off_by_one_in_the_middle,
        as_old_as_the_line_before,
        older_than_the_line_before,
        accounts_left_where_they_were,
        one_account_left_where_it_was,
    ],
)
def test_a_chain_goes_on_from_its_newest_line(
    books: Connection, spoil: Callable[[Rows], None]
) -> None:
    """Seq without a hole, balance carried on, time rising, and the account moved with its lines."""
    rows = later(books, 100, 200)
    spoil(rows)

    with refuses(books, "HF", "23505"):
        write(books, rows)


def test_a_chain_starts_at_zero(books: Connection) -> None:
    """The first line of an account starts from a balance of zero."""
    rows = draw(books, transfer(100, wallet=BEN), recorded_at=LATER)
    line = rows.line(1)
    line["balance_after_minor"] -= 50
    rows.standing_of(line)["balance_minor"] -= 50

    with refuses(books):
        write(books, rows)


def test_chains_of_one_batch_follow_its_events(books: Connection) -> None:
    """Within a batch, an account's lines stand in the order of their events."""
    rows = later(books, 100, 200)
    first, second = rows.line(1), rows.line(3)
    for name in ("event_id", "recorded_at"):
        first[name], second[name] = second[name], first[name]
    second["amount_minor"], first["amount_minor"] = -100, -200
    first["balance_after_minor"] -= 100

    with refuses(books):
        write(books, rows)


@pytest.mark.parametrize(
    "change",
    [
        "balance_minor = balance_minor - 1",
        "line_count = line_count + 1",
        "newest_recorded_at = newest_recorded_at + interval '1 second'",
        "balance_minor = 0, line_count = 0, newest_recorded_at = '-infinity'",
    ],
)
def test_an_account_is_not_moved_without_a_line(books: Connection, change: str) -> None:
    """An account stands where its newest line says, to the cent, the line and the microsecond."""
    with refuses(books):
        set_account(books, ANN, change)


@pytest.mark.parametrize(
    "what",
    [{"balance_minor": -1}, {"line_count": 1}, {"newest_recorded_at": "2199-01-01 00:00:00+00"}],
)
def test_an_account_is_opened_empty(books: Connection, what: dict[str, object]) -> None:
    """No account begins with a balance, with lines that are not there, or in the future."""
    kind = {"book": "custody", "lowest_minor": -UNBOUNDED, "highest_minor": 0, "mirror": 0}
    name = {"kind": "custody.wallet", "subject": "x", "currency": "EUR"}
    row = {"code": "custody.wallet[x] EUR", **name, **kind, **what}

    with refuses(books):
        insert(books, "account", [row])


@pytest.mark.parametrize(
    "change",
    [
        {"highest_minor": UNBOUNDED},
        {"lowest_minor": 0},
        {"book": "platform"},
        {"mirror": 1},
        {"kind": "custody.purse", "code": "custody.purse[x] EUR"},
        {"currency": "ZZZ", "code": "custody.wallet[x] ZZZ"},
        {"code": "custody.wallet[y] EUR"},
        {"state": "asleep"},
    ],
)
def test_an_account_is_opened_as_the_chart_says(books: Connection, change: dict[str, str]) -> None:
    """Kind, book, bounds and mirror are a row of the chart; the code spells the name out."""
    row = {
        "code": "custody.wallet[x] EUR",
        "kind": "custody.wallet",
        "subject": "x",
        "currency": "EUR",
        "book": "custody",
        "lowest_minor": -UNBOUNDED,
        "highest_minor": 0,
        "mirror": 0,
    }

    insert(books, "account", [row | {"subject": "y", "code": "custody.wallet[y] EUR"}])
    with refuses(books, "23503", "23505", "23514"):
        insert(books, "account", [row | change])


@pytest.mark.parametrize("column", ["code", "currency", "highest_minor", "lowest_minor", "mirror"])
def test_an_account_keeps_its_name_and_bounds(books: Connection, column: str) -> None:
    """What an account is called, kept in and bounded by is never changed."""
    with refuses(books, "HF", "42501"):
        set_account(books, ANN, f"{column} = {column}")


def test_no_one_is_overdrawn(books: Connection) -> None:
    """A wallet gives no more than is in it; the CHECK of its bounds says no."""
    with refuses(books, "23514"):
        write(books, later(books, -1_001))


def test_bounds_hold_after_every_line(books: Connection) -> None:
    """A wallet that is overdrawn by one line and filled by the next is refused all the same."""
    with refuses(books):
        write(books, later(books, -1_001, 500))


def test_bounds_hold_within_one_entry(books: Connection) -> None:
    """The lines of one entry count one after the other, too."""
    legs = [[(ANN, 1_001), (ANN, -1), (BANK, -1_000)]]

    with refuses(books):
        write(books, draw(books, legs, recorded_at=LATER))


@pytest.mark.parametrize("state", ["frozen", "closed"])
def test_an_account_that_is_not_open_takes_no_line(books: Connection, state: str) -> None:
    """Frozen and closed accounts take no line, on either side."""
    open_account(books, BEN)
    set_account(books, BEN, f"state = '{state}'")

    with refuses(books, "HF", "23514"):
        write(books, draw(books, transfer(100, wallet=BEN), recorded_at=LATER))


def test_a_closed_account_is_empty(books: Connection) -> None:
    """An account with money in it cannot be closed; it can be frozen."""
    with refuses(books, "23514"):
        set_account(books, ANN, "state = 'closed'")

    set_account(books, ANN, "state = 'frozen'")
    check(books)


def test_a_period_that_is_not_open_takes_no_entry(books: Connection) -> None:
    """Nothing counts in a period that was closed softly, but for manual journals."""
    rows = later(books, 100)
    period_id = books.exec_driver_sql("SELECT id FROM period").scalar_one()
    act_by_hand(books, period_id, "soft_close")

    with refuses(books):
        write(books, rows)


def test_a_time_without_a_period_takes_no_entry(books: Connection) -> None:
    """A time that no period covers is as closed as one that a closed period covers."""
    with refuses(books):
        write(books, draw(books, transfer(), recorded_at=LATER, effective_at=APRIL))

    write(books, draw(books, transfer(), recorded_at=LATER, effective_at=MARCH_ENDS))
    check(books)


def test_every_event_of_a_batch_counts_in_an_open_period(books: Connection) -> None:
    """One event in a closed month is found between events in open ones."""
    act_by_hand(
        books, add_period(books, "[2026-04-01 00:00:00+00,2026-05-01 00:00:00+00)"), "soft_close"
    )
    add_period(books, "[2026-05-01 00:00:00+00,2026-06-01 00:00:00+00)")
    rows = later(books, 1, 2, 3)
    for event, days in zip(rows.events, (0, 40, 70), strict=True):
        event["effective_at"] += timedelta(days=days)
    for line in rows.lines:
        line["effective_at"] += timedelta(days=(0, 40, 70)[line["event_id"] & 3])

    with refuses(books):
        write(books, rows)


def test_an_event_without_entries_asks_for_no_period(books: Connection) -> None:
    """What moved no money is written down whenever it happened."""
    rows = draw(books, [], recorded_at=LATER, effective_at=NOON + timedelta(days=400))

    write(books, rows)

    check(books)
    assert rows.batch["entry_count"] == 0


@pytest.mark.parametrize(
    "during",
    [
        "[2026-03-31 00:00:00+00,2026-05-01 00:00:00+00)",
        "[2026-05-01 00:00:00+00,)",
        "[2026-05-01 00:00:00+00,2026-06-01 00:00:00+00]",
        "empty",
    ],
)
def test_periods_are_bounded_and_never_overlap(books: Connection, during: str) -> None:
    """A period has a first instant and an end, and no instant lies in two periods."""
    with refuses(books, "23514", "23P01"):
        insert(books, "period", [{"during": during}])


@pytest.mark.parametrize(
    ("in_custody", "in_platform"),
    [
        ("custody.due_to_platform[] EUR", "platform.due_from_custody[] EUR"),
        ("custody.due_from_platform[] EUR", "platform.due_to_custody[] EUR"),
    ],
)
def test_a_debt_between_the_books_moves_in_both(
    books: Connection, in_custody: str, in_platform: str
) -> None:
    """A mirror moved in one book only is refused, as is one moved by another amount; both pass."""
    custody = [(SUSPENSE, -9), (in_custody, 9)]
    platform = [("platform.bank[] EUR", 9), (in_platform, -9)]
    short = [("platform.bank[] EUR", 8), (in_platform, -8)]

    for event in ([custody], [platform], [custody, short]):
        with refuses(books):
            write(books, draw(books, event, recorded_at=LATER))
    with refuses(books):
        write(books, draw(books, [custody], [platform], recorded_at=LATER))

    write(books, draw(books, [custody, platform], recorded_at=LATER))
    check(books)
