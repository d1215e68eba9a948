"""Events of rails: kept once as they came, read from the rail, and booked once."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import psycopg
import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from kernel.database import Tenant, transaction
from kernel.errors import Broken
from rails import events, service
from rails.caller import run_once
from rails.model import PAYEE_CHANGED, Notice, RailOperation, RailOutcome, RailResult
from rails.model_events import RailEvent
from rails.model_kept import EventState, KeptEvent
from rails.refusals import BadSignature
from rails.store_events import list_events
from tests.rails.builders import NOON, operation
from tests.rails.hinting import HintingRail, event, sign

NOW = timedelta()


class Killed(BaseException):
    """The worker's process ended here: nobody catches it, and the transaction is gone."""


class Ear:
    """A handler that writes what it heard into the tenant's own tables, so that races show."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.payees: list[Notice] = []
        self.failing: list[BaseException] = []
        self.lock = threading.Lock()

    def hear(self, connection: Connection, results: Sequence[RailResult], _at: datetime) -> None:
        connection.exec_driver_sql("SELECT FROM clock FOR UPDATE")
        if self.failing:
            raise self.failing.pop(0)
        with self.lock:
            self.heard += [each.outcome.value for each in results]

    def note(self, _connection: Connection, notices: Sequence[Notice], _at: datetime) -> None:
        self.payees += notices


def _intend(engine: Engine, tenant: Tenant, rail: HintingRail, *, sent: bool = True) -> str:
    """An operation that the rail has, and of which we know at most that it was sent."""
    wanted = replace(operation(), rail="stripe")
    ref = f"pi_{wanted.id.hex}"
    rail.objects[ref] = wanted
    rail.outcomes[ref] = RailOutcome.DONE
    with transaction(engine, tenant) as connection:
        service.intend(connection, [wanted], at=NOON)
        if sent:
            service.take(connection, 10, NOON, rail="stripe")
    return ref


def _take_in(engine: Engine, tenant: Tenant, *came: RailEvent) -> int:
    with transaction(engine, tenant) as connection:
        return events.take_in(connection, came, NOON)


def _work(
    engine: Engine,
    tenant: Tenant,
    rail: HintingRail,
    ear: Ear,
    at: datetime = NOON,
    *,
    limit: int = 100,
    lease: timedelta = events.LEASE,
) -> events.Counts:
    return events.work_events(
        engine,
        tenant,
        rail,
        {"test.heard": ear.hear},
        {PAYEE_CHANGED: ear.note},
        at,
        limit=limit,
        lease=lease,
    )


def _all(engine: Engine, tenant: Tenant) -> list[KeptEvent]:
    with transaction(engine, tenant) as connection:
        return list_events(connection, limit=2_000)


def _only(engine: Engine, tenant: Tenant) -> KeptEvent:
    (kept,) = _all(engine, tenant)
    return kept


def _now(engine: Engine, tenant: Tenant) -> None:
    """Let every lease and every wait be over."""
    with transaction(engine, tenant) as connection:
        connection.exec_driver_sql("UPDATE rail_event SET leased_until = NULL")


def test_the_same_event_three_times_at_once_is_applied_once(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Three deliveries and three workers beside one another: kept once, told once."""
    rail, ear = HintingRail(), Ear()
    ref = _intend(own_engine, tenant, rail)
    came = event("evt_1", ref)

    with ThreadPoolExecutor(3) as pool:
        taken = list(pool.map(lambda _: _take_in(own_engine, tenant, came), range(3)))
        counts = list(pool.map(lambda _: _work(own_engine, tenant, rail, ear), range(3)))

    assert sorted(taken) == [0, 0, 1]
    assert sum(each.processed for each in counts) == 1
    assert ear.heard == ["done"]
    assert _only(own_engine, tenant).state is EventState.PROCESSED


def test_an_event_whose_worker_was_killed_is_worked_again(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Killed inside the handler, then delivered again: it is not processed because it was seen."""
    rail, ear = HintingRail(), Ear()
    came = event("evt_1", _intend(own_engine, tenant, rail))
    _take_in(own_engine, tenant, came)
    ear.failing = [Killed()]
    with pytest.raises(Killed):
        _work(own_engine, tenant, rail, ear, lease=NOW)

    again = _take_in(own_engine, tenant, came)
    counts = _work(own_engine, tenant, rail, ear)

    assert (again, counts.processed, ear.heard) == (0, 1, ["done"])


def test_an_event_belongs_to_who_took_it_until_his_lease_is_over(
    own_engine: Engine, tenant: Tenant
) -> None:
    """While one worker has it no other gets it; when its lease is over one does."""
    rail, ear = HintingRail(), Ear()
    _take_in(own_engine, tenant, event("evt_1", _intend(own_engine, tenant, rail)))
    ear.failing = [Killed()]
    with pytest.raises(Killed):
        _work(own_engine, tenant, rail, ear)

    meanwhile = _work(own_engine, tenant, rail, ear)
    _now(own_engine, tenant)
    later = _work(own_engine, tenant, rail, ear)

    assert (meanwhile.taken, later.processed) == (0, 1)


def test_a_handler_that_fails_leaves_the_event_to_be_tried_again(
    own_engine: Engine, tenant: Tenant
) -> None:
    """A failure is noted with its words and waits; the next try books, and nothing is lost."""
    rail, ear = HintingRail(), Ear()
    _take_in(own_engine, tenant, event("evt_1", _intend(own_engine, tenant, rail)))
    ear.failing = [Broken("deaf")]

    first = _work(own_engine, tenant, rail, ear)
    failed = _only(own_engine, tenant)
    at_once = _work(own_engine, tenant, rail, ear)
    _now(own_engine, tenant)
    second = _work(own_engine, tenant, rail, ear)

    assert (first.failed, at_once.taken, second.processed) == (1, 0, 1)
    assert (failed.state, failed.failures) == (EventState.NEW, 1)
    assert "deaf" in failed.trouble
    assert ear.heard == ["done"]


def test_an_event_that_always_fails_comes_before_people_and_can_be_tried_again(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Twelve failures make an exception; an operator's retry works it once the cause is gone."""
    rail, ear = HintingRail(), Ear()
    _take_in(own_engine, tenant, event("evt_1", _intend(own_engine, tenant, rail)))
    ear.failing = [Broken("deaf")] * events.MOST_FAILURES
    for _ in range(events.MOST_FAILURES):
        _work(own_engine, tenant, rail, ear)
        _now(own_engine, tenant)
    given_up = _only(own_engine, tenant)

    with transaction(own_engine, tenant) as connection:
        assert events.save_retry(connection, given_up.event_no, NOON)
    counts = _work(own_engine, tenant, rail, ear)

    assert given_up.state is EventState.EXCEPTION
    assert (counts.processed, ear.heard) == (1, ["done"])


def test_a_rail_that_is_away_costs_an_event_nothing(own_engine: Engine, tenant: Tenant) -> None:
    """Trouble of the rail counts as no failure, and the rail is not asked for all that waits."""
    rail, ear = HintingRail(is_away=True), Ear()
    refs = [_intend(own_engine, tenant, rail) for _ in range(10)]
    _take_in(own_engine, tenant, *[event(f"evt_{ref}", ref) for ref in refs])

    away = _work(own_engine, tenant, rail, ear)
    asked = len(rail.asked_as)
    rail.is_away = False
    _now(own_engine, tenant)
    back = _work(own_engine, tenant, rail, ear)

    assert (away.put_off, asked, back.processed) == (10, 3, 10)
    assert all(each.failures == 0 for each in _all(own_engine, tenant))


def test_an_event_before_the_answer_to_the_call_books_once(
    own_engine: Engine, tenant: Tenant
) -> None:
    """The webhook is worked while the call's answer is still under way: one booking."""
    ear = Ear()
    wanted = replace(operation(), rail="stripe")

    class Early(HintingRail):
        def execute(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
            results = super().execute(operations, at=at)
            _take_in(own_engine, tenant, event("evt_1", f"pi_{wanted.id.hex}"))
            assert _work(own_engine, tenant, self, ear).processed == 1
            return results

    with transaction(own_engine, tenant) as connection:
        service.intend(connection, [wanted], at=NOON)
    counts = run_once(own_engine, tenant, Early(), {"test.heard": ear.hear}, NOON)

    assert (counts.taken, counts.news, counts.failed) == (1, 0, 0)
    assert ear.heard == ["done"]


@pytest.mark.slow
def test_two_hundred_events_on_one_escrow_beside_one_another(
    own_engine: Engine, tenant: Tenant
) -> None:
    """200 events about one payment, worked by eight at once: no deadlock, one booking."""
    rail, ear = HintingRail(), Ear()
    ref = _intend(own_engine, tenant, rail)
    _take_in(own_engine, tenant, *[event(f"evt_{number}", ref) for number in range(200)])

    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: _work(own_engine, tenant, rail, ear, limit=25), range(8)))

    assert sum(each.processed for each in counts) == 200
    assert sum(each.failed + each.put_off for each in counts) == 0
    assert ear.heard == ["done"]


def test_an_event_of_a_payees_account_is_read_as_that_account(
    own_engine: Engine, tenant: Tenant
) -> None:
    """The same event id at two accounts is two events, each read by its own account's name."""
    rail, ear = HintingRail(), Ear()
    ref = _intend(own_engine, tenant, rail)

    new = _take_in(own_engine, tenant, event("evt_1", ref), event("evt_1", ref, account="acct_1"))
    _work(own_engine, tenant, rail, ear)

    assert (new, rail.asked_as, ear.heard) == (2, ["", "acct_1"], ["done"])


def test_updates_of_an_account_delivered_backwards_say_what_is_true_now(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Two updates in reverse order: the account is read each time, and an old word is not heard."""
    rail, ear = HintingRail(), Ear()
    rail.payees["acct_1"] = (True, NOON + timedelta(hours=1))

    _take_in(own_engine, tenant, event("evt_2", "acct_1"))
    _work(own_engine, tenant, rail, ear)
    _take_in(own_engine, tenant, event("evt_1", "acct_1"))
    _work(own_engine, tenant, rail, ear)

    assert [each.facts["may_be_paid_out"] for each in ear.payees] == [True]


def test_an_event_about_something_unknown_waits_for_it(own_engine: Engine, tenant: Tenant) -> None:
    """Parked ten minutes; our own insert comes in between; then it is booked."""
    rail, ear = HintingRail(), Ear()
    wanted = replace(operation(), rail="stripe")
    ref = f"pi_{wanted.id.hex}"
    _take_in(own_engine, tenant, event("evt_1", ref))

    parked = _work(own_engine, tenant, rail, ear)
    rail.objects[ref] = wanted
    with transaction(own_engine, tenant) as connection:
        service.intend(connection, [wanted], at=NOON)
        service.take(connection, 10, NOON, rail="stripe")
    too_early = _work(own_engine, tenant, rail, ear, NOON + timedelta(minutes=9))
    in_time = _work(own_engine, tenant, rail, ear, NOON + timedelta(minutes=10))

    assert (parked.parked, too_early.taken, in_time.processed) == (1, 0, 1)
    assert ear.heard == ["done"]


def test_an_event_about_something_unknown_ends_before_people(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Three times parked for ten minutes, then an exception; it is never dropped."""
    rail, ear = HintingRail(), Ear()
    _take_in(own_engine, tenant, event("evt_1", f"pi_{operation().id.hex}"))

    counts = [
        _work(own_engine, tenant, rail, ear, NOON + number * timedelta(minutes=10))
        for number in range(6)
    ]

    assert [each.parked for each in counts] == [1, 1, 1, 0, 0, 0]
    assert [each.exceptions for each in counts] == [0, 0, 0, 1, 0, 0]
    assert _only(own_engine, tenant).state is EventState.EXCEPTION


def test_gaps_are_filled_by_listing_and_the_rail_is_not_asked_too_often(
    own_engine: Engine, tenant: Tenant
) -> None:
    """What no webhook brought is listed, booked once, and listed again only when it is time."""
    rail, ear = HintingRail(), Ear()
    refs = [_intend(own_engine, tenant, rail) for _ in range(3)]
    rail.unsent = [event(f"evt_{number}", ref) for number, ref in enumerate(refs)]
    _take_in(own_engine, tenant, rail.unsent[1])

    handlers = {"test.heard": ear.hear}
    first = events.step(own_engine, tenant, rail, handlers, {}, NOON)
    rail.unsent.append(event("evt_late", refs[0]))
    second = events.step(own_engine, tenant, rail, handlers, {}, NOON)
    rail.poll_every_s = 0
    third = events.step(own_engine, tenant, rail, handlers, {}, NOON)

    assert (first.filled, first.processed) == (2, 3)
    assert (second.filled, second.is_quiet) == (0, True)
    assert (third.filled, third.processed) == (1, 1)
    assert ear.heard == ["done"] * 3


@pytest.mark.slow
def test_a_history_again_adds_nothing(own_engine: Engine, tenant: Tenant) -> None:
    """A whole history once more, from its start: no event, no notice and no booking is new."""
    rail, ear = HintingRail(poll_every_s=0), Ear()
    refs = [_intend(own_engine, tenant, rail) for _ in range(5)]
    rail.unsent = [event(f"evt_{number}", refs[number % 5]) for number in range(300)]
    handlers = {"test.heard": ear.hear}
    while not events.step(own_engine, tenant, rail, handlers, {}, NOON, limit=1_000).is_quiet:
        pass

    with transaction(own_engine, tenant) as connection:
        service.save_position(connection, rail="stripe/events", position="")
    again = events.step(own_engine, tenant, rail, handlers, {}, NOON, limit=1_000)

    assert (again.filled, again.processed) == (0, 0)
    assert len(_all(own_engine, tenant)) == 300
    assert ear.heard == ["done"] * 5


def test_a_body_that_was_written_anew_is_not_believed() -> None:
    """The signature is of the bytes: the same JSON with other spaces fails, the bytes pass."""
    rail, body = HintingRail(), b'{"id":"evt_1","about":"pi_1"}'

    (opened,) = rail.open_event(body, {"signature": sign(body)}, endpoint="platform", at=NOON)

    assert opened.body == body
    with pytest.raises(BadSignature):
        rail.open_event(
            b'{"id": "evt_1", "about": "pi_1"}',
            {"signature": sign(body)},
            endpoint="platform",
            at=NOON,
        )


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("body = 'x'", "rail_event_stays_as_it_came"),
        ("event_id = 'evt_2'", "rail_event_stays_as_it_came"),
        ("state = 'new', processed_at = NULL", "rail_event_moves_forward"),
        ("trouble = 'once more'", "rail_event_moves_forward"),
    ],
)
def test_an_event_stays_as_it_came_and_moves_forward_only(
    owner_connection: Connection, change: str, constraint: str
) -> None:
    """Not even the owner changes what came, or takes back that it was processed."""
    events.take_in(owner_connection, [event("evt_1", "pi_1")], NOON)
    if constraint == "rail_event_moves_forward":
        owner_connection.exec_driver_sql(
            "UPDATE rail_event SET state = 'processed', processed_at = received_at"
        )

    with pytest.raises(DBAPIError) as refused, owner_connection.begin_nested():
        owner_connection.exec_driver_sql(f"UPDATE rail_event SET {change}")

    assert isinstance(refused.value.orig, psycopg.Error)
    assert refused.value.orig.diag.constraint_name == constraint


@pytest.mark.parametrize("table", ["rail_event", "rail_transaction"])
def test_what_rails_said_is_never_deleted(
    connection: Connection, owner_connection: Connection, table: str
) -> None:
    """The program has no right to, and the owner is refused."""
    for who in (connection, owner_connection):
        with pytest.raises(DBAPIError), who.begin_nested():
            who.exec_driver_sql(f"DELETE FROM {table}")


def test_the_program_may_not_rewrite_what_came(connection: Connection) -> None:
    """The tenant's role has no right to the columns that say what came."""
    events.take_in(connection, [event("evt_1", "pi_1")], NOON)

    with pytest.raises(DBAPIError) as refused, connection.begin_nested():
        connection.exec_driver_sql("UPDATE rail_event SET body = 'x'")

    assert isinstance(refused.value.orig, psycopg.errors.InsufficientPrivilege)
