"""Runs, proposals and undoing in the database: exclusive, repeatable, and never changed."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from kernel.principals import Actor
from ledger.chart import account
from ledger.model import Book, Draft, Entry, Line
from ledger.service import balances, post
from rails.statements.model import StatementLine
from reconciliation import service, service_matching, store_matches
from reconciliation.commands import DecideProposal, RunMatching, UndoMatch
from reconciliation.model_matching import Found
from reconciliation.store_items import Place, Window, list_items, list_lines
from reconciliation.store_matches import NewMatch
from tests.payouts.builders import NOON, World, new_method, new_payee, set_fee
from tests.reconciliation.desk import (
    OPERATOR,
    STRANGER,
    book,
    camt,
    entry,
    open_bank,
    rows,
    run,
    take,
    take_simulated,
)

BANK = Place("custody_bank", "", "EUR")
_NIL = UUID(int=0)


def decide(connection: Connection, *, accept: bool = True) -> Outcome:
    """Decide the only open proposal."""
    (proposal,) = store_matches.list_proposals(connection, after=_NIL, limit=10)
    command = DecideProposal(
        actor=OPERATOR, proposal_id=proposal["id"], is_accepted=accept, reason="looked at it"
    )
    (outcome,) = service_matching.decide_proposals(
        connection, [command], at=NOON, poster=post_difference
    )
    return outcome


def undo(connection: Connection) -> Outcome:
    """Undo the only match."""
    (match,) = store_matches.list_matches(connection, after=_NIL, limit=10)
    command = UndoMatch(actor=OPERATOR, match_id=match["id"], reason="another payment")
    (outcome,) = service_matching.undo_matches(connection, [command], at=NOON)
    return outcome


def post_difference(
    connection: Connection, place: Place, found: Found, _actor: Actor, at: datetime
) -> int:
    """Stands for the poster of payouts: moves the bank by the difference."""
    assert place == BANK
    return book(connection, found.difference_minor, at=at)


def test_a_run_matches_and_a_second_adds_nothing(connection: Connection) -> None:
    """What is matched stays so; a rerun finds the open rest and leaves it; a dry run tells all."""
    open_bank(connection)
    book(connection, 1_000, name="txn_AA")
    book(connection, 700, name="txn_BB")
    take(connection, camt(0, 1_300, [entry(1_000, ref="txn_AA"), entry(300, ref="ZZ")]))

    dry = run(connection, is_dry=True)
    first = run(connection)
    second = run(connection)

    assert dry.facts["digest"] == first.facts["digest"]
    assert dry.facts["run_id"] is None
    assert first.facts["counts"] == {"R0": 1}
    assert (first.facts["items"], first.facts["lines"]) == (2, 2)
    assert second.facts["counts"] == {}
    assert (rows(connection, "match"), rows(connection, "match_run")) == (1, 2)
    open_lines = service_matching.list_unmatched(connection, BANK, of_statements=True)
    open_items = service_matching.list_unmatched(connection, BANK, of_statements=False)
    assert [each.amount_minor for each in open_lines] == [300]
    assert [each.amount_minor for each in open_items] == [700]


def test_a_proposal_is_accepted_or_rejected_once(connection: Connection) -> None:
    """Accepted it is a match by a person; decided again it is refused; it is made only once."""
    open_bank(connection)
    book(connection, 4_711, reason="rent")
    take(connection, camt(0, 4_711, [entry(4_711, text="rent")]))
    run(connection)
    run(connection)
    (proposal,) = store_matches.list_proposals(connection, after=_NIL, limit=10)

    accepted = decide(connection)

    assert accepted.is_done, accepted
    assert rows(connection, "match_proposal") == 1
    (match,) = store_matches.list_matches(connection, after=_NIL, limit=10)
    assert (match["rule"], match["amount_minor"]) == ("R5", 4_711)
    again = DecideProposal(actor=OPERATOR, proposal_id=proposal["id"], is_accepted=True)
    (outcome,) = service_matching.decide_proposals(connection, [again], at=NOON)
    assert outcome.code == "proposal.decided_already"


def test_what_was_rejected_or_undone_does_not_come_again(connection: Connection) -> None:
    """No rule brings together what a person took apart; nothing is un-matched in silence."""
    open_bank(connection)
    book(connection, 4_711, reason="rent")
    take(connection, camt(0, 4_711, [entry(4_711, text="rent")]))
    run(connection)
    assert decide(connection, accept=False).is_done
    after_rejection = run(connection)
    book(connection, 1_000, name="txn_AA")
    take(connection, camt(0, 1_000, [entry(1_000, ref="txn_AA")], statement="S2"))
    matched = run(connection)
    assert undo(connection).is_done
    after_undoing = run(connection)

    assert after_rejection.facts["counts"] == {}
    assert matched.facts["counts"] == {"R0": 1}
    assert after_undoing.facts["counts"] == {}
    assert undo(connection).code == "match.undone_already"
    open_lines = service_matching.list_unmatched(connection, BANK, of_statements=True)
    assert sorted(each.amount_minor for each in open_lines) == [1_000, 4_711]


def test_an_overtaken_proposal_is_refused(connection: Connection) -> None:
    """Its line was matched meanwhile."""
    open_bank(connection)
    book(connection, 4_711, reason="rent")
    take(connection, camt(0, 4_711, [entry(4_711, ref="txn_CC", text="rent")]))
    run(connection)
    book(connection, 4_711, name="txn_CC")
    assert run(connection).facts["counts"] == {"R0": 1}

    assert decide(connection).code == "proposal.overtaken"


def test_a_difference_is_posted_and_part_of_the_match(connection: Connection) -> None:
    """R4: the posted minor unit is an item of the match, so that both sides are the same."""
    open_bank(connection)
    book(connection, 10_000, name="txn_DD")
    take(connection, camt(0, 9_999, [entry(9_999, ref="txn_DD")]))
    command = RunMatching(actor=OPERATOR, place="custody_bank", currency="EUR")

    (outcome,) = service_matching.run_matching(
        connection, [command], at=NOON, poster=post_difference
    )

    assert outcome.facts["counts"] == {"R4": 1}
    (match,) = store_matches.list_matches(connection, after=_NIL, limit=10)
    assert (match["amount_minor"], match["difference_minor"]) == (9_999, -1)
    assert len(match["event_ids"]) == 2
    assert service_matching.list_unmatched(connection, BANK, of_statements=False) == []


def test_a_difference_waits_where_nobody_posts_it(connection: Connection) -> None:
    """Without a poster R4 is a proposal, and accepting it is refused."""
    open_bank(connection)
    book(connection, 10_000, name="txn_DD")
    take(connection, camt(0, 9_999, [entry(9_999, ref="txn_DD")]))
    assert run(connection).facts["counts"] == {"R4 proposed": 1}
    (proposal,) = store_matches.list_proposals(connection, after=_NIL, limit=10)

    accept = DecideProposal(actor=OPERATOR, proposal_id=proposal["id"], is_accepted=True)
    (outcome,) = service_matching.decide_proposals(connection, [accept], at=NOON)

    assert outcome.code == "proposal.difference_not_posted"
    assert rows(connection, "match") == 0


@pytest.mark.parametrize("currency", ["JPY", "EUR", "KWD"])
@pytest.mark.parametrize("difference", [-1, 2])
def test_a_processors_rounding_is_posted_by_p46(
    connection: Connection, currency: str, difference: int
) -> None:
    """A minor unit less or more than booked: P46 to the cent, and nothing is left open."""
    here = service.account_of(connection, "stripe", currency, actor=OPERATOR, at=NOON)
    pending = account("custody.processor_pending", currency, "stripe")
    lines = (Line(pending, 9_971), Line(account("custody.fx", currency), -9_971))
    paid = Draft(
        "test.paid",
        "",
        OPERATOR,
        NOON,
        (Entry(Book.CUSTODY, currency, lines),),
        detail={"transaction": "txn_EE"},
    )
    post(connection, [paid])
    stated = StatementLine(
        amount_minor=9_971 + difference,
        currency=currency,
        booked_on=NOON.date(),
        value_on=NOON.date(),
        ref="txn_EE",
        own_id="txn_EE",
    )
    service.take_lines(connection, here, [stated], "stripe.balance", actor=OPERATOR, at=NOON)

    outcome = run(connection, "processor", currency, rail_account="stripe")

    assert outcome.facts["counts"] == {"R4": 1}
    mirror = "due_from_platform" if difference < 0 else "due_to_platform"
    keys = [
        pending,
        account(f"custody.{mirror}", currency),
        account("platform.expense.rounding", currency),
    ]
    assert balances(connection, keys) == dict(
        zip(keys, (9_971 + difference, -difference, -difference), strict=True)
    )
    place = Place("processor", "stripe", currency)
    for of_statements in (True, False):
        left = service_matching.list_unmatched(connection, place, of_statements=of_statements)
        assert left == []


@pytest.mark.parametrize("verb", ["run", "decide", "undo"])
def test_matching_is_the_platforms_business(connection: Connection, verb: str) -> None:
    """A party's actor may do none of it."""
    unknown = new_id()
    if verb == "run":
        asked = RunMatching(actor=STRANGER, place="custody_bank", currency="EUR")
        (outcome,) = service_matching.run_matching(connection, [asked], at=NOON)
    elif verb == "decide":
        wish = DecideProposal(actor=STRANGER, proposal_id=unknown, is_accepted=True)
        (outcome,) = service_matching.decide_proposals(connection, [wish], at=NOON)
    else:
        back = UndoMatch(actor=STRANGER, match_id=unknown, reason="x")
        (outcome,) = service_matching.undo_matches(connection, [back], at=NOON)

    assert outcome.code == "reconciliation.operator_only"


def test_unknown_matches_and_proposals_are_refused(connection: Connection) -> None:
    """By name, and nothing is written."""
    wish = DecideProposal(actor=OPERATOR, proposal_id=new_id(), is_accepted=True)
    back = UndoMatch(actor=OPERATOR, match_id=new_id(), reason="x")

    (decided,) = service_matching.decide_proposals(connection, [wish], at=NOON)
    (undone,) = service_matching.undo_matches(connection, [back], at=NOON)

    assert (decided.code, undone.code) == ("proposal.unknown", "match.unknown")


def _pair(connection: Connection) -> Found:
    (line,) = list_lines(connection, BANK, Window())
    (item,) = list_items(connection, BANK, Window())
    amounts = (line.amount_minor, item.amount_minor)
    return Found("R0", 1000, (line.key,), (item.key,), amounts=amounts)


def _write(connection: Connection, found: Found) -> None:
    store_matches.add_matches(
        connection,
        BANK,
        [NewMatch(new_id(), found)],
        run_id=None,
        by=OPERATOR.principal_id,
        at=NOON,
    )


def _stage(connection: Connection) -> Found:
    open_bank(connection)
    book(connection, 1_000, name="txn_AA")
    take(connection, camt(0, 1_000, [entry(1_000, ref="txn_AA")]))
    return _pair(connection)


def _as_other_amount(found: Found) -> Found:
    return Found("R0", 1000, found.lines, found.items, amounts=(999, 999))


def _as_one_sided(found: Found) -> Found:
    return Found("R0", 1000, found.lines, (), amounts=(1_000,))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_as_other_amount, "for another than it is"),
        (_as_one_sided, "match_is_of_two_at_least"),
    ],
)
@pytest.mark.parametrize("as_owner", [False, True])
def test_the_database_refuses_matches_that_are_not_true(
    connection: Connection,
    owner_connection: Connection,
    make: object,
    words: str,
    as_owner: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    """Other amounts than stated or booked, or one side alone: refused to the owner too."""
    here = owner_connection if as_owner else connection
    found = _stage(here)
    assert callable(make)

    with pytest.raises(Exception, match=words), here.begin_nested():
        _write(here, make(found))


def test_the_database_refuses_a_false_item(connection: Connection) -> None:
    """An item is the whole of an event in its place, named by its first line."""
    found = _stage(connection)
    account_id, seq, event_id = found.items[0].split(":")
    false = Found("R0", 1000, found.lines, (f"{account_id}:{int(seq) + 1:019d}:{event_id}",))
    false = Found("R0", 1000, false.lines, false.items, amounts=(1_000, 1_000))

    with (
        pytest.raises(Exception, match="another than it is"),
        connection.begin_nested(),
    ):
        _write(connection, false)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("UPDATE match SET score = 1", "HF001"),
        ("DELETE FROM match_line", "HF001"),
        ("UPDATE match_line SET amount_minor = 5", "23514"),
        ("UPDATE match_line SET undone_by = gen_random_uuid()", "23503"),
        ("UPDATE match_run SET line_count = 1", "HF001"),
    ],
)
def test_a_match_stands(owner_connection: Connection, change: str, state: str) -> None:
    """Not even the owner changes a match; undoing is a new row."""
    _stage(owner_connection)
    run(owner_connection)

    owner_connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")

    with pytest.raises(DBAPIError) as caught, owner_connection.begin_nested():
        owner_connection.exec_driver_sql(change)

    assert isinstance(caught.value.orig, psycopg.Error)
    assert caught.value.orig.sqlstate == state


def test_a_line_and_an_item_are_in_one_match(own_engine: Engine, tenant: Tenant) -> None:
    """Two connections write the same pair at once, past the lock of the runs: one is refused."""
    with transaction(own_engine, tenant) as connection:
        found = _stage(connection)
    both_there = threading.Barrier(2, timeout=30)

    def write() -> str:
        try:
            with transaction(own_engine, tenant) as connection:
                connection.exec_driver_sql("SELECT 1")
                both_there.wait()
                _write(connection, found)
        except psycopg.errors.UniqueViolation as error:
            return str(error.diag.constraint_name)
        return "done"

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(lambda _: write(), range(2)))

    assert answers == ["done", "match_line_one_match_per_line"]
    with transaction(own_engine, tenant) as connection:
        assert rows(connection, "match") == 1


def test_two_runs_at_once_match_once(own_engine: Engine, tenant: Tenant) -> None:
    """The second waits for the first and finds nothing left."""
    with transaction(own_engine, tenant) as connection:
        _stage(connection)

    def go() -> int:
        with transaction(own_engine, tenant) as connection:
            return int(run(connection).facts["counts"].get("R0", 0))

    with ThreadPoolExecutor(2) as pool:
        found = sorted(pool.map(lambda _: go(), range(2)))

    assert found == [0, 1]


def test_all_that_a_rail_did_is_matched_with_the_books(own_engine: Engine, tenant: Tenant) -> None:
    """Cards, fees, settlement, payouts and returns at the simulated rail: nothing is left over."""
    world = World(own_engine, tenant)
    world.open_capital(100_000)
    with transaction(own_engine, tenant) as connection:
        set_fee(connection, 200)
        payee = new_payee(connection)
        methods = [new_method(connection, payee, name) for name in ("bank", "bank:returns")]
    for minor in (10_300, 20_000):
        world.fund(payee, minor)
    world.end_day()
    for method_id in methods:
        world.wait(4)
        world.end_day()
        world.pay_out(payee, method_id, 5_000)
        world.end_day()
    world.wait(40)
    world.end_day()

    with transaction(own_engine, tenant) as connection:
        taken = take_simulated(connection, world.rail, world.at)
        again = take_simulated(connection, world.rail, world.at)
        counts = [
            run(
                connection,
                place.place,
                place.currency,
                rail_account=place.rail_account,
                at=world.at,
            ).facts["counts"]
            for place in store_matches.list_places(connection)
        ]
        left = [
            (place.place, each.amount_minor, each.text)
            for place in store_matches.list_places(connection)
            for of_statements in (True, False)
            for each in service_matching.list_unmatched(
                connection, place, of_statements=of_statements
            )
        ]

    assert taken > 8
    assert again == 0
    assert left == []
    assert sum(each["R0"] for each in counts) == taken


def test_both_sides_stream_in_their_order(connection: Connection) -> None:
    """By day and key, however they were written."""
    open_bank(connection)
    days = [NOON + timedelta(days=days) for days in (3, 0, 2, 1, 0)]
    for number, at in enumerate(days):
        book(connection, 100 + number, at=at)
    entries = [entry(100 + number, ref=f"R{number}") for number in range(5)]
    take(connection, camt(0, 510, entries))

    for listed in (list_items, list_lines):
        orders = [each.order for each in listed(connection, BANK, Window())]
        assert len(orders) == 5
        assert all(one < other for one, other in pairwise(orders))
    window = Window(days[1].date(), days[3].date())
    assert len(list(list_items(connection, BANK, window))) == 3
