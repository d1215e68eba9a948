"""Reports on both axes: they tie to a full scan and to each other, and stay the same for ever."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from random import Random

import orjson
import pytest
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from kernel.database import Tenant, snapshot, transaction
from kernel.embedded import EmbeddedServer
from ledger.chart import account
from ledger.known import Known, NaiveTime, resolve
from ledger.model import Draft
from ledger.reports import BadSpan, Span, UnknownAccount, canonical
from ledger.reports_held import BUCKET_NAMES, OUT_BEFORE_IN, ageing, tie_out
from ledger.reports_lines import BEGINNING, AccountSpan, RunningLine, general_ledger, statement
from ledger.reports_trial import TrialLine, roll_forward, trial_accounts, trial_balance
from tests.fixtures.databases import TENANT, TestDatabase
from tests.ledger.drafts import bank, draft, entry, fund, wallet
from tests.ledger.journal import (
    DAYS,
    START,
    Journal,
    draw,
    journal,
    post,
    scan_accounts,
    scan_kinds,
    seal_all,
)

FEBRUARY = Span(START + timedelta(days=31), START + timedelta(days=59, hours=5))
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def books(server: EmbeddedServer) -> Iterator[Journal]:
    """One chunk of the journal, and events behind it; nothing waits."""
    with journal(server, events=5_000) as made:
        yield made


@pytest.fixture
def read(books: Journal) -> Iterator[Connection]:
    """One snapshot of it."""
    with snapshot(books.engine, TENANT) as connection:
        yield connection


@pytest.fixture
def then(books: Journal) -> Known:
    """A prefix that cuts the journal behind the chunk."""
    return Known(books.size - 333, provisional=False)


def all_reports(connection: Connection, known: Known) -> dict[str, bytes]:
    """Every report for February, as canonical bytes."""
    (first,) = trial_accounts(connection, known=known, limit=1).rows
    assert first.account_id is not None
    assert FEBRUARY.end is not None
    made = (
        trial_balance(connection, known=known, span=FEBRUARY),
        trial_accounts(connection, known=known, span=FEBRUARY, limit=500),
        roll_forward(connection, known=known, span=FEBRUARY),
        general_ledger(connection, known=known, span=FEBRUARY, limit=500),
        statement(connection, first.account_id, known=known, span=FEBRUARY, limit=500),
        ageing(connection, known=known, effective_at=FEBRUARY.end),
        tie_out(connection, known=known, effective_at=FEBRUARY.end),
    )
    return {each.header.report: canonical(each.as_json()) for each in made}


@pytest.mark.slow
def test_the_same_arguments_give_the_same_bytes_after_5000_back_dated_entries(
    server: EmbeddedServer,
) -> None:
    """Statement 9 for every report, with its hash; as known now the answers are others."""
    random = Random(4)
    with journal(server, events=4_500) as made:
        with snapshot(made.engine, TENANT) as connection:
            as_of = resolve(connection, made.size - 7)
            before = all_reports(connection, as_of)
        assert len(before) == 7
        for _ in range(2):
            post(made.engine, TENANT, draw(2_500, random, day=40))
            seal_all(made.engine)

        with snapshot(made.engine, TENANT) as connection:
            again = all_reports(connection, as_of)
            now = all_reports(connection, resolve(connection, made.size + 5_000))

    assert again == before
    moved = {name for name in now if now[name] != before[name]}
    assert moved == set(before)


def test_the_hash_is_that_of_the_canonical_json_without_it(read: Connection, then: Known) -> None:
    """Anybody can check it with a JSON library and SHA-256; a provisional answer has none."""
    report = orjson.loads(canonical(trial_balance(read, known=then).as_json()))
    told = report["header"].pop("sha256")

    assert told == sha256(orjson.dumps(report, option=orjson.OPT_SORT_KEYS)).hexdigest()
    assert report["header"]["journal_no"] == then.journal_no
    now = trial_balance(read, known=resolve(read, None)).header
    assert (now.provisional, now.sha256) == (True, None)


def test_the_trial_balance_is_a_full_scan_at_both_ends(read: Connection, then: Known) -> None:
    """Opening, debits, credits and closing per kind and currency; columns equal in every book."""
    report = trial_balance(read, known=then, span=FEBRUARY)

    expected: dict[tuple[str, str], list[int]] = {}
    for at, sign in ((FEBRUARY.start, -1), (FEBRUARY.end, 1)):
        for kind, currency, _, _, debit, credit in scan_kinds(read, then, at):
            sums = expected.setdefault((kind, currency), [0, 0, 0])
            sums[0] += 0 if sign > 0 else int(debit - credit)
            sums[1] += sign * int(debit)
            sums[2] += sign * int(credit)
    assert {
        (row.name, row.currency): [row.opening_minor, row.debits_minor, row.credits_minor]
        for row in report.rows
    } == expected
    assert report.is_balanced
    assert {(each.book, each.currency) for each in report.totals} == {
        ("custody", "EUR"),
        ("custody", "USD"),
    }


def test_accounts_page_by_page_add_up_to_the_trial_balance(read: Connection, then: Known) -> None:
    """Each account of every page equals a full scan; together they are the kinds."""
    rows: list[TrialLine] = []
    after = 0
    while True:
        page = trial_accounts(read, known=then, span=FEBRUARY, after=after, limit=7)
        rows += page.rows
        if page.next_after is None:
            break
        after = page.next_after

    start, end = (scan_accounts(read, then, at) for at in (FEBRUARY.start, FEBRUARY.end))
    assert {row.name for row in rows} == set(scan_accounts(read, then, None))
    for row in rows:
        _, opened_debit, opened_credit = start.get(row.name, (0, 0, 0))
        _, debit, credit = end.get(row.name, (0, 0, 0))
        found = (row.opening_minor, row.debits_minor, row.credits_minor)
        assert found == (
            opened_debit - opened_credit,
            debit - opened_debit,
            credit - opened_credit,
        )
    for kind in trial_balance(read, known=then, span=FEBRUARY).rows:
        own = [
            r for r in rows if (r.name.partition("[")[0], r.currency) == (kind.name, kind.currency)
        ]
        assert sum(each.closing_minor for each in own) == kind.closing_minor


def test_the_roll_forward_ties_to_the_trial_balance(read: Connection, then: Known) -> None:
    """Opening plus activity by kind of event is closing, to the cent."""
    report = roll_forward(read, known=then, span=FEBRUARY)
    trial = {
        (row.name, row.currency): row for row in trial_balance(read, known=then, span=FEBRUARY).rows
    }

    assert report.ties
    assert {(row.kind, row.currency) for row in report.rows} == set(trial)
    for row in report.rows:
        control = trial[row.kind, row.currency]
        assert (row.opening_minor, row.closing_minor) == (
            control.opening_minor,
            control.closing_minor,
        )
        assert sum(each.debits_minor for each in row.activities) == control.debits_minor
        assert {each.event_kind for each in row.activities} <= {"test.funded", "test.moved"}


@pytest.mark.parametrize("limit", [1, 3, 50, 500])
def test_the_general_ledger_runs_to_the_closing_balance(
    read: Connection, then: Known, limit: int
) -> None:
    """Whatever the page: every line once, in order; the last running balance is the closing one."""
    whole = general_ledger(read, known=then, span=FEBRUARY, currency="USD", limit=500)
    lines: list[RunningLine] = []
    spans: dict[str, AccountSpan] = {}
    after = BEGINNING
    while len(lines) < 120:
        page = general_ledger(
            read, known=then, span=FEBRUARY, currency="USD", after=after, limit=limit
        )
        lines += page.lines
        spans |= {each.code: each for each in page.accounts}
        if page.goes_on_at is None:
            break
        assert page.goes_on_at > after
        after = page.goes_on_at

    assert list(whole.lines[: len(lines)]) == lines[: len(whole.lines)]
    assert [(each.line.account_id, each.line.account_seq) for each in lines] == sorted(
        {(each.line.account_id, each.line.account_seq) for each in lines}
    )
    complete = [each for each in spans.values() if each.code != lines[-1].code]
    for each in complete:
        own = [line for line in lines if line.code == each.code]
        assert len(own) == each.line_count
        assert sum(max(line.line.amount_minor, 0) for line in own) == each.debits_minor
        if own:
            assert own[-1].balance_minor == each.closing_minor


def test_a_statement_ends_at_the_balance_of_the_account(read: Connection, then: Known) -> None:
    """Page by page, the running balance goes from the opening to the closing one."""
    (row,) = (
        each
        for each in trial_accounts(read, known=then, span=FEBRUARY, limit=500).rows
        if each.name == wallet("w0").code
    )
    assert row.account_id is not None
    seq, running = 0, row.opening_minor
    while True:
        page = statement(read, row.account_id, known=then, span=FEBRUARY, after_seq=seq, limit=11)
        for line in page.lines:
            running += line.line.amount_minor
            assert line.balance_minor == running
            assert line.line.journal_no is not None
            assert line.line.journal_no <= then.journal_no
        if page.goes_on_at is None:
            break
        seq = page.goes_on_at.account_seq

    assert running == row.closing_minor


def test_the_sub_ledgers_tie_to_their_controls(read: Connection, then: Known) -> None:
    """Accounts summed one by one differ by nothing, and are as many as moved."""
    report = tie_out(read, known=then, effective_at=FEBRUARY.end)

    assert report.breaks == ()
    counted = scan_accounts(read, then, FEBRUARY.end)
    assert sum(row.accounts for row in report.rows) == len(counted)


def test_a_break_of_a_sub_ledger_is_listed(
    own_engine: Engine, own_database: TestDatabase, tenant: Tenant
) -> None:
    """A cell that was altered shows as a difference between accounts and control."""
    post(own_engine, tenant, [fund(1, wallet("ann"), at=START)] * 4_096)
    known = Known(seal_all(own_engine), provisional=False)
    with create_engine(own_database.owner_url, poolclass=NullPool).begin() as connection:
        path = "SELECT set_config('search_path', %s, true)"
        connection.exec_driver_sql(path, (tenant.search_path,))
        spoil = "UPDATE kind_cell SET debit_minor = debit_minor + 5 WHERE kind = 'custody.bank'"
        connection.exec_driver_sql(spoil)

    with snapshot(own_engine, tenant) as connection:
        report = tie_out(connection, known=known)

    assert [(each.kind, each.difference_minor) for each in report.breaks] == [("custody.bank", -5)]
    assert len(report.as_json()["breaks"]) == 1


def test_a_slot_that_says_other_than_its_accounts_is_listed(
    own_engine: Engine, tenant: Tenant
) -> None:
    """What deals say they hold now, slot by slot, against what the accounts owe."""
    post(
        own_engine,
        tenant,
        [held(300, slot, kind="slot.funded", days_ago=1) for slot in ("a", "b", "c")],
    )

    with snapshot(own_engine, tenant) as connection:
        now = resolve(connection, None)
        good = tie_out(connection, known=now, said=[(s, "EUR", 300) for s in "abc"])
        bad = tie_out(connection, known=now, said=[("a", "EUR", 300), ("b", "EUR", 299)])
        unasked = tie_out(connection, known=now)

    assert good.ties
    assert good.slot_breaks == ()
    assert unasked.slot_breaks is None
    assert not bad.ties
    assert bad.slot_breaks is not None
    assert [(b.slot, b.said_minor, b.owed_minor) for b in bad.slot_breaks] == [
        ("b", 299, 300),
        ("c", 0, 300),
    ]


def held(amount_minor: int, slot: str, *, kind: str, days_ago: float, out: bool = False) -> Draft:
    """Money in (or out) of a slot's escrow so many days before the report."""
    escrow = account("custody.escrow", "EUR", slot)
    legs = ((bank(), amount_minor), (escrow, -amount_minor))
    if out:
        legs = ((escrow, amount_minor), (bank(), -amount_minor))
    moved = draft(entry(*legs), at=START + 100 * DAY - days_ago * DAY)
    return replace(moved, kind=kind, subject=f"slot:{slot}")


def test_held_money_is_aged_first_in_first_out(own_engine: Engine, tenant: Tenant) -> None:
    """By age and by what is awaited; together it is the escrow liability, as known then."""
    told = draft(at=START + 100 * DAY)
    post(
        own_engine,
        tenant,
        [
            held(1_000, "a", kind="slot.funded", days_ago=50),
            held(500, "a", kind="slot.funded", days_ago=5),
            held(700, "a", kind="slot.partly_released", days_ago=2, out=True),
            held(300, "b", kind="slot.funded", days_ago=7),
            replace(told, kind="slot.submitted", subject="slot:b", effective_at=START + 95 * DAY),
            replace(told, kind="slot.cleared", subject="slot:b", effective_at=START + 96 * DAY),
            held(40, "c", kind="slot.odd", days_ago=0.5),
        ],
    )
    size = seal_all(own_engine)
    post(own_engine, tenant, [held(9, "d", kind="slot.funded", days_ago=80)])

    with snapshot(own_engine, tenant) as connection:
        then, now = resolve(connection, size), resolve(connection, None)
        report = ageing(connection, known=then, effective_at=START + 100 * DAY)
        later = ageing(connection, known=now, effective_at=START + 100 * DAY)
        early = ageing(connection, known=then, effective_at=START + 94 * DAY)

    found = {
        row.awaited: {
            name: minor for name, minor in zip(BUCKET_NAMES, row.by_age_minor, strict=True) if minor
        }
        for row in report.rows
    }
    assert found == {
        "submission": {"30-60": 300, "3-7": 500},
        "approval": {"3-7": 300},
        "not told by an event": {"0-1": 40},
    }
    assert report.ties
    assert [(each.held_minor, each.control_minor) for each in report.controls] == [(1_140, 1_140)]
    assert later.ties
    assert later.controls[0].held_minor == 1_149
    assert {row.awaited: row.held_minor for row in early.rows} == {"submission": 1_300}


def test_money_that_went_out_before_it_came_in_is_listed(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Back-dating may say so; the ages still add up to the liability."""
    post(
        own_engine,
        tenant,
        [
            held(100, "a", kind="slot.funded", days_ago=10),
            held(100, "a", kind="slot.released", days_ago=20, out=True),
        ],
    )

    with snapshot(own_engine, tenant) as connection:
        report = ageing(connection, known=resolve(connection, None), effective_at=START + 85 * DAY)

    assert report.ties
    assert [(row.awaited, row.held_minor) for row in report.rows] == [(OUT_BEFORE_IN, -100)]


def test_a_span_that_ends_before_it_begins_is_refused(read: Connection, then: Known) -> None:
    """And one without an offset, and an account that is not there."""
    with pytest.raises(BadSpan):
        Span(START, START)
    with pytest.raises(NaiveTime):
        Span(end=START.replace(tzinfo=None))
    with pytest.raises(UnknownAccount):
        statement(read, 10**9, known=then)


def test_reports_of_empty_books_are_empty(own_engine: Engine, tenant: Tenant) -> None:
    """Nothing was posted: no rows, nothing that differs, and no hash."""
    with snapshot(own_engine, tenant) as connection:
        nothing = resolve(connection, None)
        assert trial_balance(connection, known=nothing).rows == ()
        assert trial_accounts(connection, known=nothing).rows == ()
        assert roll_forward(connection, known=nothing).rows == ()
        assert tie_out(connection, known=nothing).rows == ()
        page = general_ledger(connection, known=nothing)
        assert (page.lines, page.accounts, page.goes_on_at) == ((), (), None)
        held_money = ageing(connection, known=nothing, effective_at=START + DAYS * HOUR)
        assert held_money.rows == ()
        assert held_money.ties


def test_an_account_that_was_not_known_yet_has_an_empty_statement(
    own_engine: Engine, tenant: Tenant
) -> None:
    """The account is there today, and at that number of the journal it had no line."""
    post(own_engine, tenant, [fund(100, wallet("ann"), at=START)])
    size = seal_all(own_engine)
    post(own_engine, tenant, [fund(100, wallet("bob"), at=START)])
    seal_all(own_engine)

    with transaction(own_engine, tenant) as connection:
        rows = trial_accounts(connection, known=resolve(connection, None)).rows
        (bob,) = (each.account_id for each in rows if each.name == wallet("bob").code)
        assert bob is not None
        page = statement(connection, bob, known=resolve(connection, size))

    assert (page.accounts, page.lines, page.goes_on_at) == ((), (), None)
