"""Breaks: found once, looked at, ended by the late line or by two people."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from kernel.principals import SYSTEM, Actor
from ledger.chart import account
from ledger.service import balances
from reconciliation import service_breaks, service_matching, store_breaks, store_matches
from reconciliation.commands import UndoMatch
from reconciliation.commands_breaks import (
    AssignBreak,
    BreakCommand,
    DecideWriteOff,
    SetHour,
)
from reconciliation.model_breaks import bucket, due_on
from reconciliation.store_items import Place
from tests.reconciliation.certified import (
    LATER,
    MONDAY,
    SECOND,
    breaks,
    certified,
    match_and_break,
    paid,
    stated,
    told,
)
from tests.reconciliation.desk import OPERATOR, STRANGER, camt, entry, open_bank, rows, take

STRIPE = Place("processor", "stripe", "EUR")
BANK = Place("custody_bank", "", "EUR")


def propose(connection: Connection, break_id: UUID, actor: Actor = OPERATOR) -> Outcome:
    """Propose to write a break off."""
    wish = BreakCommand(actor=actor, break_id=break_id, told="nobody will ever know")
    (outcome,) = service_breaks.propose_write_off(connection, [wish], at=LATER)
    return outcome


def decide(
    connection: Connection, proposed: Outcome, actor: Actor = SECOND, *, approve: bool = True
) -> Outcome:
    """Decide a write-off."""
    wish = DecideWriteOff(
        actor=actor,
        write_off_id=UUID(proposed.facts["write_off_id"]),
        is_approved=approve,
        reason="it is so",
    )
    (outcome,) = service_breaks.decide_write_offs(connection, [wish], at=LATER)
    return outcome


def one_break(connection: Connection, amount_minor: int = 37, currency: str = "EUR") -> UUID:
    """A line of a processor that the books do not have."""
    stated(connection, amount_minor, "txn_ZZZZ0001", currency=currency)
    match_and_break(connection, Place("processor", "stripe", currency))
    (found,) = breaks(connection)
    return UUID(str(found["id"]))


def test_a_rerun_adds_nothing(connection: Connection) -> None:
    """One break for each line and item, under the same id however often it is found."""
    paid(connection, 10_000, name="txn_AAAA0001", rail_account="stripe")
    stated(connection, 400, "txn_AAAA0002")

    first, again = match_and_break(connection, STRIPE), match_and_break(connection, STRIPE)

    assert (first["opened"], first["open"]) == (2, 2)
    assert again == {"opened": 0, "changed": 0, "resolved": 0, "reopened": 0, "open": 2}
    kinds = sorted((each["kind"], each["amount_minor"]) for each in breaks(connection))
    assert kinds == [("missing_external", 10_000), ("missing_internal", 400)]
    assert rows(connection, "break_note") == 2


def test_a_late_line_ends_its_break_and_undoing_opens_it_again(connection: Connection) -> None:
    """The trail tells all of it."""
    paid(connection, 10_000, name="txn_BBBB0001", rail_account="stripe")
    stated(connection, 1, "txn_other001")
    match_and_break(connection, STRIPE)
    (found,) = [each for each in breaks(connection) if each["event_id"]]
    stated(connection, 10_000, "txn_BBBB0001", on=MONDAY + timedelta(days=3))

    ended = match_and_break(connection, STRIPE)
    (match,) = store_matches.list_matches(connection, after=UUID(int=0), limit=10)
    undo = UndoMatch(actor=OPERATOR, match_id=match["id"], reason="another one's")
    service_matching.undo_matches(connection, [undo], at=LATER)
    opened = match_and_break(connection, STRIPE)

    assert (ended["resolved"], opened["reopened"], opened["opened"]) == (1, 1, 1)
    notes = [each["kind"] for each in store_breaks.list_notes(connection, found["id"])]
    assert notes[0] == "opened"
    assert sorted(notes) == sorted(["opened", "resolved", "reopened", *notes[3:]])
    assert set(notes[3:]) <= {"kind"}


def test_people_speak_about_a_break(connection: Connection) -> None:
    """Owner, comment and explanation stand in the trail; an explained break is on certificates."""
    break_id = one_break(connection)
    say = BreakCommand(actor=OPERATOR, break_id=break_id, told="asked Stripe")
    owner = AssignBreak(actor=OPERATOR, break_id=break_id, owner_id=SECOND.principal_id)

    (said,) = service_breaks.comment(connection, [say], at=LATER)
    (assigned,) = service_breaks.assign(connection, [owner], at=LATER)
    (explained,) = service_breaks.explain(connection, [say], at=LATER)

    assert (said.code, assigned.code, explained.code) == ("done", "done", "done")
    (found,) = breaks(connection)
    assert (found["state"], found["owner_id"]) == ("explained", SECOND.principal_id)
    assert told(certified(connection)) == [("missing_internal", -37)]
    assert certified(connection).breaks[0].break_state == "explained"


def test_what_nobody_knows_is_unknown(connection: Connection) -> None:
    """Money that came to the bank from nobody: one break for each line, due by its amount."""
    open_bank(connection)
    line = entry(1_500_000, ref="txn_CCCC0001", on=MONDAY)
    assert take(connection, camt(0, 1_500_000, [line], on=MONDAY)).is_done

    match_and_break(connection, BANK)

    (found,) = breaks(connection)
    assert (found["kind"], found["due_on"]) == ("unknown", LATER.date() + timedelta(days=3))


@pytest.mark.parametrize("currency", ["JPY", "EUR", "KWD"])
@pytest.mark.parametrize("amount", [37, -37])
def test_a_line_is_written_off_by_two_people(
    connection: Connection, currency: str, amount: int
) -> None:
    """The books get what the statement has; it is the platform's gain or cost, never a client's."""
    break_id = one_break(connection, amount, currency)

    proposed = propose(connection, break_id)
    own = decide(connection, proposed, OPERATOR)
    done = decide(connection, proposed)

    assert (own.code, done.code) == ("write_off.other_person", "done")
    mirror = "due_to_platform" if amount > 0 else "due_from_platform"
    keys = [
        account("custody.processor_pending", currency, "stripe"),
        account(f"custody.{mirror}", currency),
        account("platform.expense.rounding", currency),
    ]
    assert list(balances(connection, keys).values()) == [amount, -amount, -amount]
    assert breaks(connection) == []
    again = match_and_break(connection, Place("processor", "stripe", currency))
    assert (again["opened"], again["open"]) == (0, 0)


def test_an_item_of_the_bank_is_written_off(connection: Connection) -> None:
    """What the books alone have is taken back, at the platform's cost; the certificate is clean."""
    open_bank(connection)
    paid(connection, 900, on=LATER.date())
    assert take(connection, camt(0, 0, [], on=LATER.date())).is_done
    match_and_break(connection, BANK)
    (found,) = breaks(connection)

    outcome = decide(connection, propose(connection, found["id"]))

    assert outcome.is_done, outcome
    today = certified(connection, LATER.date())
    assert (today.state, today.bank_minor, today.liability_minor) == ("clean", 0, 900)
    assert today.due_from_platform_minor == today.shortfall_minor + today.resource_minor


def test_what_may_not_be_written_off(connection: Connection) -> None:
    """Beyond the limit, twice, by a program, without words, or what is over."""
    break_id = one_break(connection, 10_001)
    small = BreakCommand(actor=OPERATOR, break_id=break_id, told=" ")
    (silent,) = service_breaks.comment(connection, [small], at=LATER)

    assert propose(connection, break_id).code == "write_off.above_limit"
    assert propose(connection, break_id, SYSTEM).code == "write_off.people_decide"
    assert propose(connection, break_id, STRANGER).code == "reconciliation.operator_only"
    assert propose(connection, new_id()).code == "break.unknown"
    assert silent.code == "break.says_nothing"
    assert rows(connection, "break_write_off") == 0


def test_a_rejected_write_off_may_be_proposed_again(connection: Connection) -> None:
    """Only one waits at a time, and what was decided stays decided."""
    break_id = one_break(connection)
    first = propose(connection, break_id)

    twice = propose(connection, break_id)
    rejected = decide(connection, first, approve=False)
    late = decide(connection, first)
    second = decide(connection, propose(connection, break_id))
    over = propose(connection, break_id)

    assert twice.code == "write_off.proposed_already"
    assert (rejected.code, late.code) == ("done", "write_off.decided_already")
    assert (second.code, over.code) == ("done", "break.closed")
    wish = DecideWriteOff(actor=SECOND, write_off_id=new_id(), is_approved=True)
    (unknown,) = service_breaks.decide_write_offs(connection, [wish], at=LATER)
    assert unknown.code == "write_off.unknown"


def test_of_two_approvers_one_posts(own_engine: Engine, tenant: Tenant) -> None:
    """At the same time: one event, one match, one refusal."""
    with transaction(own_engine, tenant) as connection:
        proposed = propose(connection, one_break(connection))
    start = threading.Barrier(2)

    def approve(number: int) -> str:
        third = Actor(UUID(int=20 + number), SECOND.kind, is_operator=True)
        with transaction(own_engine, tenant) as connection:
            start.wait()
            return decide(connection, proposed, third).code

    with ThreadPoolExecutor(2) as pool:
        codes = sorted(pool.map(approve, range(2)))

    assert codes == ["done", "write_off.decided_already"]
    with transaction(own_engine, tenant) as connection:
        assert rows(connection, "match") == 1
        key = account("custody.processor_pending", "EUR", "stripe")
        assert balances(connection, [key])[key] == 37


_TOO_MUCH = """
INSERT INTO break_write_off (id, break_id, amount_minor, limit_minor, reason, proposed_by,
    proposed_at)
SELECT gen_random_uuid(), break_id, 99, 1, reason, proposed_by, proposed_at FROM break_write_off
"""
_DECIDE = "UPDATE break_write_off SET decided_by = {0}, decided_at = proposed_at, is_approved = {1}"


@pytest.mark.parametrize("as_owner", [False, True])
@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("DELETE FROM reconciliation_break", "reconciliation_break"),
        ("UPDATE reconciliation_break SET amount_minor = 1", "reconciliation_break"),
        (
            "UPDATE reconciliation_break SET state = 'written_off', closed_at = opened_at",
            "nobody approved",
        ),
        ("UPDATE break_note SET told = 'x'", "break_note"),
        ("DELETE FROM break_write_off", "break_write_off"),
        ("UPDATE break_write_off SET reason = 'y'", "write.off"),
        (_DECIDE.format("proposed_by", "false"), "break_write_off_by_two_people"),
        (_DECIDE.format("gen_random_uuid()", "true"), "break_write_off_decided_whole"),
        (
            _TOO_MUCH,
            "break_write_off_within_its_limit",
        ),
    ],
)
def test_the_database_holds_it(
    connection: Connection, owner_connection: Connection, change: str, name: str, *, as_owner: bool
) -> None:
    """Breaks stand, the trail is not rewritten, and one person cannot write anything off."""
    here = owner_connection if as_owner else connection
    propose(here, one_break(here))

    with pytest.raises(DBAPIError, match=name), here.begin_nested():
        here.exec_driver_sql(change)


@pytest.mark.parametrize(
    ("days", "name"),
    [(0, "0-1"), (1, "0-1"), (2, "2-3"), (7, "4-7"), (8, "8-30"), (60, "31-60"), (61, ">60")],
)
def test_buckets_of_age(days: int, name: str) -> None:
    """In business days."""
    assert bucket(days) == name


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        (999, "EUR", date(2026, 3, 16)),
        (1_000, "EUR", date(2026, 3, 9)),
        (1_000, "JPY", date(2026, 3, 4)),
        (-10_000_000, "KWD", date(2026, 3, 3)),
    ],
)
def test_the_larger_the_sooner(amount: int, currency: str, expected: date) -> None:
    """From a Monday: ten, five, two business days and one, by whole units of the currency."""
    assert due_on(amount, currency, MONDAY) == expected


def test_the_hour_of_the_daily_run(connection: Connection) -> None:
    """Two in the morning until somebody of the platform sets another."""
    assert store_breaks.hour_at(connection, LATER) == 2
    wishes = [SetHour(actor=OPERATOR, hour=5), SetHour(actor=OPERATOR, hour=24)]

    codes = [each.code for each in service_breaks.set_hours(connection, wishes, at=LATER)]

    assert codes == ["done", "safeguarding.no_such_hour"]
    assert store_breaks.hour_at(connection, LATER) == 5
