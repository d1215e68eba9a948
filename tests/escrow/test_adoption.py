"""Another system's books come in whole, by two people, once; or not at all."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from escrow import adoption, service, store, timers
from escrow.adoption import AdoptionCommand, Taken
from escrow.commands import SlotCommand
from escrow.model import Slot, SlotState
from kernel import timers as clock_rows
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.money import format_minor
from kernel.principals import Actor, PrincipalKind
from kernel.timers import DueTimer
from ledger import periods
from ledger.adoption import MOST_ACCOUNTS, entries_of
from ledger.adoption_file import Sheet
from ledger.chart import account
from ledger.proof import prove
from ledger.rules import MAX_LINES
from ledger.service import balances, kind_balances
from payouts.safeguarding import safeguarding
from rails.model import RailAccount, RailBalance
from tests.escrow.adoption_files import Rows, as_sheet, small_books

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ANN = Actor(new_id(), PrincipalKind.PERSON, None, is_operator=True)
BEN = Actor(new_id(), PrincipalKind.PERSON, None, is_operator=True)
PROGRAM = Actor(new_id(), PrincipalKind.KEY, None, is_operator=True)


@pytest.fixture
def sheet(tmp_path: Path) -> Sheet:
    """The small file, sound."""
    return as_sheet(small_books(), tmp_path)


def prepare(connection: Connection, sheet: Sheet, actor: Actor = ANN) -> Outcome:
    return adoption.prepare(connection, [AdoptionCommand(actor=actor, sheet=sheet)], at=NOW)[0]


def approve(connection: Connection, sheet: Sheet, actor: Actor = BEN) -> Outcome:
    return adoption.approve(connection, [AdoptionCommand(actor=actor, sheet=sheet)], at=NOW)[0]


def count(connection: Connection, table: str) -> int:
    return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


def slots(connection: Connection) -> dict[SlotState, Slot]:
    ids = connection.exec_driver_sql("SELECT id FROM slot").scalars().all()
    return {slot.state: slot for slot in store.find_slots(connection, list(ids))}


def party(connection: Connection, reference: str) -> UUID:
    row = connection.exec_driver_sql("SELECT id FROM party WHERE reference = %s", (reference,))
    found = row.scalar_one()
    assert isinstance(found, UUID)
    return found


@pytest.mark.parametrize("as_csv", [False, True])
def test_books_come_in_by_one_event_of_two_people(
    connection: Connection, tmp_path: Path, *, as_csv: bool
) -> None:
    """One event opens all accounts; what is left over of the platform's book is its capital."""
    sheet = as_sheet(small_books(), tmp_path, as_csv=as_csv)
    prepared = prepare(connection, sheet)
    approved = approve(connection, sheet)

    freelancer = str(party(connection, "f-1"))
    stands = balances(
        connection,
        [
            account("custody.bank", "EUR"),
            account("custody.earned_available", "EUR", freelancer),
            account("platform.deferred_fees", "EUR"),
            account("platform.capital", "EUR"),
        ],
    )
    with_entries = connection.exec_driver_sql("SELECT id FROM event WHERE entry_count > 0")
    assert prepared.is_done
    assert approved.is_done
    assert [str(found) for found in with_entries.scalars()] == [approved.facts["event_id"]]
    assert list(stands.values()) == [95_000, -50_000, -900, -97_000]
    assert kind_balances(connection, "custody.escrow") == {"EUR": -80_000}
    assert prove(connection, leaves=True).findings == ()


def test_client_money_is_there_after_the_adoption(connection: Connection, sheet: Sheet) -> None:
    """Books and banks agree, and what is there covers what is owed."""
    prepare(connection, sheet)
    approve(connection, sheet)

    report = safeguarding(
        connection,
        [
            RailBalance(RailAccount.CUSTODY_BANK, "EUR", 95_000),
            RailBalance(RailAccount.PROCESSOR_AVAILABLE, "EUR", 40_000),
            RailBalance(RailAccount.PLATFORM_BANK, "EUR", 100_000),
        ],
    )

    assert report.is_safe
    assert report.currencies[0].requirement_minor == 135_000


def test_an_adopted_milestone_is_released_like_any_other(
    connection: Connection, sheet: Sheet
) -> None:
    """The client approves what the other system was shown; commission and fee come out of it."""
    prepare(connection, sheet)
    approve(connection, sheet)
    client = Actor(new_id(), PrincipalKind.PERSON, party(connection, "c-1"))
    shown = slots(connection)[SlotState.SUBMITTED]

    done = service.approve(
        connection, [SlotCommand(actor=client, slot_id=shown.id, submission_no=1)], at=NOW
    )[0]

    assert done.is_done
    assert kind_balances(connection, "custody.earned_pending") == {"EUR": -45_000}
    assert kind_balances(connection, "platform.revenue.commission") == {"EUR": -5_000}
    assert prove(connection).findings == ()


def test_an_adopted_milestone_is_given_back_to_the_wallet(
    connection: Connection, sheet: Sheet
) -> None:
    """How the client once paid is not known here: his money and its fee come into his wallet."""
    prepare(connection, sheet)
    approve(connection, sheet)
    payee = Actor(new_id(), PrincipalKind.PERSON, party(connection, "f-1"))
    funded = slots(connection)[SlotState.FUNDED]

    done = service.give_back(connection, [SlotCommand(actor=payee, slot_id=funded.id)], at=NOW)[0]

    assert done.is_done, done
    assert kind_balances(connection, "custody.wallet") == {"EUR": -(5_000 + 30_900)}
    assert kind_balances(connection, "platform.deferred_fees") == {"EUR": 0}
    assert prove(connection).findings == ()


def test_a_review_goes_on_with_three_days_at_least(connection: Connection, sheet: Sheet) -> None:
    """Fourteen days from the submission, and never less than 72 hours from the adoption."""
    prepare(connection, sheet)
    approve(connection, sheet)
    shown = slots(connection)[SlotState.SUBMITTED]
    due = connection.exec_driver_sql(
        "SELECT due_at FROM timer WHERE kind = 'escrow.auto_release' AND subject = %s",
        (f"slot:{shown.id}",),
    ).scalar_one()
    late = NOW + timedelta(days=10)

    clock = [DueTimer(due, f"slot:{shown.id}", "escrow.auto_release", 1)]
    fired = timers.auto_release(connection, clock, late)

    assert due == datetime(2026, 3, 6, 10, tzinfo=UTC)
    assert fired == 1
    assert slots(connection)[SlotState.RELEASED].released_minor == 50_000
    assert clock_rows.find_next_due_at(connection) is not None


def test_the_same_file_comes_in_once(connection: Connection, sheet: Sheet) -> None:
    """Neither preparing nor approving it again does anything."""
    prepare(connection, sheet)
    approve(connection, sheet)
    before = count(connection, "event")

    assert prepare(connection, sheet).code == "adoption.prepared_already"
    assert approve(connection, sheet).code == "adoption.approved_already"
    assert count(connection, "event") == before


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda c, s: prepare(c, s, PROGRAM), "adoption.people_only"),
        (approve, "adoption.not_prepared"),
        (lambda c, s: [prepare(c, s), approve(c, s, ANN)][1], "adoption.same_person"),
        (lambda c, s: [prepare(c, s), approve(c, s, PROGRAM)][1], "adoption.people_only"),
    ],
)
def test_two_people_are_needed(
    connection: Connection, sheet: Sheet, act: Callable[[Connection, Sheet], Outcome], code: str
) -> None:
    """A program, one person alone, or a file that nobody prepared: nothing is posted."""
    assert act(connection, sheet).code == code
    assert count(connection, "line") == 0
    assert count(connection, "party") == 0


def test_a_changed_file_is_another_file(
    connection: Connection, sheet: Sheet, tmp_path: Path
) -> None:
    """What was prepared is what is approved, to the byte."""
    prepare(connection, sheet)
    rows = small_books()
    rows[0]["source"] = "old, changed"

    assert approve(connection, as_sheet(rows, tmp_path)).code == "adoption.not_prepared"


def test_the_database_wants_two_people(owner_connection: Connection, sheet: Sheet) -> None:
    """Not even the owner of the tables signs twice, changes what was prepared, or takes it away."""
    prepare(owner_connection, sheet)
    same = "UPDATE adoption SET approved_by = prepared_by, approved_at = now(), event_id = 1"
    other = "UPDATE adoption SET approved_by = gen_random_uuid(), approved_at = now(), event_id = 1"
    for statement in (
        *(same, other, "UPDATE adoption SET summary = ''", "DELETE FROM adoption"),
        "TRUNCATE adoption",
    ):
        with pytest.raises(DBAPIError), owner_connection.begin_nested():
            owner_connection.exec_driver_sql(statement)
    event_id = prepare_event(owner_connection)
    with pytest.raises(DBAPIError, match="adoption_takes_two_people"):  # noqa: SIM117  one refusal
        with owner_connection.begin_nested():
            owner_connection.exec_driver_sql(same.replace("= 1", f"= {event_id}"))


def prepare_event(connection: Connection) -> int:
    """An event that would do for the guard, so that the CHECK alone refuses."""
    adoption_id = connection.exec_driver_sql("SELECT id FROM adoption").scalar_one()
    connection.exec_driver_sql("INSERT INTO batch (id, event_count, entry_count, line_count)"
                               " VALUES (9999, 1, 0, 0)")  # fmt: skip
    if connection.exec_driver_sql("SELECT to_regclass('unsealed')").scalar_one() is not None:
        connection.exec_driver_sql("INSERT INTO unsealed (batch_id) VALUES (9999)")
    connection.exec_driver_sql(
        "INSERT INTO event (id, effective_at, recorded_at, entry_count, actor_id, actor_kind, kind,"
        " subject, reason, detail, leaf_hash) VALUES (9999::bigint << 14, now(), now(), 0,"
        " gen_random_uuid(), 'person', 'books.adopted', %s, '', '', sha256(''))",
        (f"adoption:{adoption_id}",),
    )
    return 9999 << 14


def spoil(number: int, /, **cells: str) -> Callable[[Rows], None]:
    """Change the cells of one row; an empty cell takes the field away."""

    def act(rows: Rows) -> None:
        rows[number].update(cells)
        for name in [name for name, cell in rows[number].items() if not cell]:
            del rows[number][name]

    return act


def add(**cells: str) -> Callable[[Rows], None]:
    return lambda rows: rows.append(dict(cells))


@pytest.mark.parametrize(
    ("fault", "line", "words"),
    [
        (spoil(0, format="x"), 1, "holdfast-adoption/1 is wanted"),
        (spoil(0, as_of="2026-03-01"), 1, "no instant"),
        (spoil(0, as_of="2027-03-01T00:00:00Z"), 1, "future"),
        (spoil(0, record="note"), 1, "no kind of record"),
        (spoil(1, kind="robot"), 2, "is wanted"),
        (spoil(1, kyc="perhaps"), 2, "is wanted"),
        (spoil(1, country="Netherlands"), 2, "two capital letters"),
        (spoil(2, ref="c-1"), 3, "twice"),
        (spoil(3, debit="950.001"), 4, "money.too_many_decimals"),
        (spoil(3, debit="950.01"), 14, "1350.01"),
        (spoil(3, credit="1.00"), 4, "either a debit or a credit"),
        (spoil(3, account="custody.gold"), 4, "the chart has no"),
        (spoil(3, account="custody.fx"), 4, "conversion"),
        (spoil(3, subject="x"), 4, "kept per nothing"),
        (spoil(4, subject="acct 1"), 5, "not kept per"),
        (spoil(4, account="custody.escrow"), 5, "milestone"),
        (spoil(5, subject="nobody"), 6, "no party"),
        (spoil(5, debit="50.00", credit=""), 6, "nobody owes us"),
        (spoil(6, currency="EURO"), 7, "money.unknown_currency"),
        (spoil(9, payee="c-1"), 10, "same party"),
        (spoil(9, currency="XXX"), 10, "no books"),
        (spoil(9, commission_bps="10001"), 10, "between"),
        (spoil(9, release_rule="never"), 10, "no rule"),
        (spoil(9, accepted_at="2026-03-01T09:00:00Z"), 10, "behind the opening"),
        (spoil(10, held="1.00"), 11, "held"),
        (spoil(10, contract="k-2"), 11, "stands above"),
        (spoil(10, state="released"), 11, "is wanted"),
        (spoil(10, amount=""), 11, "is missing"),
        (spoil(11, held=""), 12, "is missing"),
        (spoil(11, held="300.01"), 12, "more is held"),
        (spoil(12, shown=""), 13, "shown"),
        (spoil(13, debit="1350.01"), 14, "debit / credit"),
        (spoil(14, currency="USD"), 15, "nothing stands"),
        (spoil(14, book="third"), 15, "custody or platform"),
        (spoil(15, number="3"), 16, "its count says 3"),
        (add(record="total", book="custody", currency="EUR"), 20, "two totals"),
        (add(record="milestone"), 20, "is missing"),
        (lambda rows: rows.pop(0), 0, "header"),
        (lambda rows: rows.pop(16), 0, "count"),
        (lambda rows: rows.clear(), 0, "header"),
    ],
)
def test_a_fault_is_named_with_its_line_and_nothing_is_written(
    connection: Connection, tmp_path: Path, fault: Callable[[Rows], None], line: int, words: str
) -> None:
    """Each fault of a file stops it whole; the dry run says where it is."""
    rows = small_books()
    fault(rows)
    sheet = as_sheet(rows, tmp_path)

    taken = adoption.take(connection, sheet, at=NOW)

    assert any(f.line == line and words in f"{f.field} {f.why}" for f in taken.faults), taken.faults
    assert prepare(connection, sheet).code == "adoption.faulty"
    assert count(connection, "event") == 0


def test_custody_balances_by_itself(connection: Connection, tmp_path: Path) -> None:
    """Client money that is owed and not there is refused, whatever the totals say."""
    rows = small_books()
    rows[3]["debit"], rows[13]["debit"] = "949.00", "1349.00"

    faults = adoption.take(connection, as_sheet(rows, tmp_path), at=NOW).faults

    assert [str(fault) for fault in faults] == [
        "the file, custody: 1349.00 EUR are there and 1350.00 EUR are owed"
    ]


def test_what_one_book_owes_the_other_stands_in_both(
    connection: Connection, tmp_path: Path
) -> None:
    """A debt to the platform that the platform does not know is refused; in both it comes in."""
    rows = small_books()
    ours = {"record": "balance", "account": "custody.due_to_platform", "currency": "EUR"}
    rows.append({**ours, "credit": "10.00"})
    rows[3]["debit"] = "960.00"
    rows[13] |= {"debit": "1360.00", "credit": "1360.00"}
    rows[16]["number"] = "7"
    alone = adoption.take(connection, as_sheet(rows, tmp_path), at=NOW).faults
    rows.append({**ours, "account": "platform.due_from_custody", "debit": "10.00"})
    rows[14]["debit"], rows[16]["number"] = "1010.00", "8"
    both = as_sheet(rows, tmp_path)

    assert ["same debt" in fault.why for fault in alone] == [True]
    assert prepare(connection, both).is_done
    assert approve(connection, both).is_done
    assert prove(connection).findings == ()


def test_a_closed_period_takes_no_opening(connection: Connection, sheet: Sheet) -> None:
    """Where the opening counts in a month that is not open, nothing at all comes in."""
    period_id = connection.exec_driver_sql(
        "INSERT INTO period (during) VALUES ('[2026-03-01 00:00:00+00,2026-04-01 00:00:00+00)')"
        " RETURNING id"
    ).scalar_one()
    command = periods.PeriodCommand(actor=ANN, period_id=period_id)
    april = NOW + timedelta(days=40)
    assert periods.soft_close(connection, [command], at=april)[0].is_done
    prepare(connection, sheet)

    assert approve(connection, sheet).code == "ledger.period_not_open"
    assert count(connection, "party") == 0
    assert count(connection, "line") == 0


def test_many_accounts_make_several_entries_of_one_event(
    connection: Connection, tmp_path: Path
) -> None:
    """2,500 wallets against one bank: entries of at most a thousand lines, each balanced."""
    rows, many = small_books(), 2_500
    for number in range(many):
        rows.append({"record": "party", "ref": f"w-{number}", "kind": "client"})
        wallet = {"record": "balance", "account": "custody.wallet", "currency": "EUR"}
        rows.append({**wallet, "subject": f"w-{number}", "credit": "0.01"})
    there = format_minor(95_000 + many, "EUR")
    rows[3]["debit"] = there
    rows[13] |= dict.fromkeys(("debit", "credit"), format_minor(135_000 + many, "EUR"))
    rows[15]["number"], rows[16]["number"] = str(2 + many), str(6 + many)
    sheet = as_sheet(rows, tmp_path)

    prepare(connection, sheet)
    approved = approve(connection, sheet)
    entries = connection.exec_driver_sql("SELECT line_count FROM entry WHERE book = 'custody'")

    assert approved.is_done, approved
    sizes = list(entries.scalars())
    assert len(sizes) == 3
    assert max(sizes) == MAX_LINES
    assert prove(connection).findings == ()


def test_entries_balance_and_sum_to_what_stands() -> None:
    """However sides are spread, every entry sums to zero and every account comes out right."""
    legs = [(account("custody.wallet", "EUR", f"w{n}"), -(n + 1)) for n in range(3_000)]
    total = sum(-amount for _, amount in legs)
    sides = [(account("custody.processor_available", "EUR", f"a{n}"), total // 7) for n in range(7)]
    legs += [*sides, (account("custody.bank", "EUR"), total - 7 * (total // 7))]

    entries = entries_of(legs)

    stands: dict[str, int] = {}
    for entry in entries:
        assert sum(line.amount_minor for line in entry.lines) == 0
        assert 2 <= len(entry.lines) <= MAX_LINES
        for line in entry.lines:
            stands[line.account] = stands.get(line.account, 0) + line.amount_minor
    assert stands == {str(key): amount for key, amount in legs if amount}
    assert len(legs) < MOST_ACCOUNTS


def test_the_dry_run_says_what_the_approval_posts(connection: Connection, sheet: Sheet) -> None:
    """The figures are the same at every step."""
    dry: Taken = adoption.take(connection, sheet, at=NOW)
    prepared, approved = prepare(connection, sheet), approve(connection, sheet)

    summary = dry.summary()
    assert summary.items() <= prepared.facts.items()
    assert summary.items() <= approved.facts.items()
    assert (summary["parties"], summary["contracts"], summary["milestones"]) == (2, 1, 3)
