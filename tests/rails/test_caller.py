"""The loop between intents and a rail: one effect, one piece of news, whatever is lost between."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import psycopg
import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from kernel.commands import Outcome, done
from kernel.database import Tenant, transaction
from kernel.errors import Broken, Refusal
from rails import service
from rails.caller import Counts, run_once, run_until_quiet
from rails.model import FUNDS_AVAILABLE, Notice, RailOperation, RailOutcome, RailResult
from rails.port import Rail
from rails.simulated.service import SimulatedRail
from tests.rails.builders import NOON, BadLine, capital, notice, operation, payout

DAY = timedelta(days=1)


class BadRefusal(Refusal):
    """A refusal where there is nothing to refuse."""

    code = "test.refused"


class Ear:
    """A handler that remembers what it was told, and may fail for one operation."""

    def __init__(self) -> None:
        self.heard: list[RailResult] = []
        self.notices: list[Notice] = []
        self.deaf_to: RailOperation | None = None
        self.poison: Exception | str = Broken("deaf")

    def hear(
        self, _connection: Connection, results: Sequence[RailResult], _at: datetime
    ) -> list[Outcome]:
        if self.deaf_to and self.deaf_to.id in {each.operation_id for each in results}:
            if isinstance(self.poison, Exception):
                raise self.poison
            return [Outcome("test.refused")] * len(results)
        self.heard += results
        return [done() for _ in results]

    def note(self, _connection: Connection, notices: Sequence[Notice], _at: datetime) -> None:
        self.notices += notices

    def words(self) -> list[str]:
        return [f"{each.outcome.value} {each.code}".strip() for each in self.heard]


def _run(engine: Engine, tenant: Tenant, rail: Rail, ear: Ear, at: datetime = NOON) -> Counts:
    return run_until_quiet(
        engine,
        tenant,
        rail,
        {"test.heard": ear.hear},
        at,
        notice_handlers={FUNDS_AVAILABLE: ear.note},
    )


def _intend(engine: Engine, tenant: Tenant, *operations: RailOperation) -> None:
    with transaction(engine, tenant) as connection:
        service.intend(connection, operations, at=NOON)


def test_an_intent_becomes_an_effect_and_news(own_engine: Engine, tenant: Tenant) -> None:
    """Intended, sent, done, told: once each; a second run finds nothing to send."""
    rail, ear = SimulatedRail(own_engine, "test"), Ear()
    _intend(own_engine, tenant, operation(), operation(method="card:declined"))

    counts = _run(own_engine, tenant, rail, ear)

    assert (counts.taken, counts.news, counts.outcomes) == (2, 2, {"done": 1, "refused": 1})
    assert sorted(ear.words()) == ["done", "refused card.declined"]
    assert _run(own_engine, tenant, rail, ear).is_quiet


def test_no_transaction_is_open_while_the_rail_is_called(
    own_engine: Engine, tenant: Tenant
) -> None:
    """While the rail works, no session of the program is inside a transaction."""
    ear, open_meanwhile = Ear(), []

    class Watching(BadLine):
        def execute(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
            with own_engine.connect() as connection:
                open_meanwhile.append(connection.exec_driver_sql(_OPEN).scalar_one())
            return super().execute(operations, at=at)

    _intend(own_engine, tenant, operation())
    _run(own_engine, tenant, Watching(SimulatedRail(own_engine, "test")), ear)

    assert open_meanwhile == [0]


_OPEN = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND backend_type = 'client backend' AND xact_start IS NOT NULL
"""


def test_a_lost_reply_is_resolved_by_a_read(own_engine: Engine, tenant: Tenant) -> None:
    """The rail did it and the answer was lost: it is read, told once, and not done again."""
    rail, ear = SimulatedRail(own_engine, "test"), Ear()
    _intend(own_engine, tenant, operation(method="card:lost_reply"), operation())

    counts = _run(own_engine, tenant, rail, ear)

    assert (counts.lost, counts.resolved) == (1, 1)
    assert ear.words() == ["done", "done"]
    assert sum(b.amount_minor for b in rail.balances(at=NOON)) == 2 * 9_971


def test_a_line_cut_after_the_call_makes_no_second_effect(
    own_engine: Engine, tenant: Tenant
) -> None:
    """RailTrouble after the effect: all are unknown, read, and done exactly once."""
    line, ear = BadLine(SimulatedRail(own_engine, "test"), ["after"]), Ear()
    _intend(own_engine, tenant, operation(), operation())

    counts = _run(own_engine, tenant, line, ear)

    assert (counts.lost, counts.sent_again, len(line.executed)) == (2, 0, 2)
    assert ear.words() == ["done", "done"]


def test_a_line_cut_before_the_call_is_proven_and_sent_again(
    own_engine: Engine, tenant: Tenant
) -> None:
    """RailTrouble before the effect: a read finds nothing, the same id is sent once more."""
    line, ear = BadLine(SimulatedRail(own_engine, "test"), ["before"]), Ear()
    _intend(own_engine, tenant, operation())

    counts = _run(own_engine, tenant, line, ear)

    assert (counts.lost, counts.sent_again, counts.taken, len(line.executed)) == (1, 1, 2, 1)
    assert ear.words() == ["done"]


@pytest.mark.parametrize(("remembers_hours", "sent_again"), [(47, 0), (49, 1)])
def test_what_a_rail_may_have_forgotten_is_not_sent_again(
    own_engine: Engine, tenant: Tenant, remembers_hours: int, sent_again: int
) -> None:
    """Not found after the rail's memory of ids has passed proves nothing: it stays unknown."""
    line, ear = BadLine(SimulatedRail(own_engine, "test"), remembers_hours=remembers_hours), Ear()
    fund = operation()
    _intend(own_engine, tenant, fund)
    with transaction(own_engine, tenant) as connection:
        service.lose_replies(connection, service.take(connection, 9, NOON))

    counts = _run(own_engine, tenant, line, ear, NOON + 2 * DAY)

    assert (counts.sent_again, len(line.executed)) == (sent_again, sent_again)
    with transaction(own_engine, tenant) as connection:
        assert len(service.list_open(connection, "test.heard")) == 1 - sent_again


def test_a_worker_that_died_after_sending_is_cleared_up(own_engine: Engine, tenant: Tenant) -> None:
    """What was sent and never heard of is read after its lease; before that it is left alone."""
    rail, ear = SimulatedRail(own_engine, "test"), Ear()
    fund = operation()
    _intend(own_engine, tenant, fund)
    with transaction(own_engine, tenant) as connection:
        service.take(connection, 9, NOON)
    rail.execute([fund], at=NOON)

    handlers = {"test.heard": ear.hear}
    early = run_once(own_engine, tenant, rail, handlers, NOON)
    late = run_once(own_engine, tenant, rail, handlers, NOON, lease=timedelta(0))

    assert (early.resolved, late.resolved) == (0, 1)
    assert ear.words() == ["done"]


def test_later_facts_come_by_notice(own_engine: Engine, tenant: Tenant) -> None:
    """Slow, cleared and returned operations are told again when their time has come."""
    rail, ear = SimulatedRail(own_engine, "test"), Ear()
    asked = (operation(method="bank"), payout(method="payout:slow:returns:twice"))
    rail.execute([capital(100_000)], at=NOON)
    _intend(own_engine, tenant, *asked)

    told = []
    for days in (0, 3, 4, 24):
        _run(own_engine, tenant, rail, ear, NOON + days * DAY)
        told.append(ear.words())
        ear.heard = []

    assert told == [["done", "pending"], ["done"], ["done"], ["refused payout.returned"]]


def test_e3_notices_out_of_order_leave_the_last_word(own_engine: Engine, tenant: Tenant) -> None:
    """Edge case 3: "returned" heard before "paid" stands, and "paid" is no news any more."""
    rail, ear = SimulatedRail(own_engine, "test"), Ear()
    rail.execute([capital(100_000)], at=NOON)
    _intend(own_engine, tenant, payout(method="payout:slow:returns:reordered:twice"))

    for days in (0, 3, 24):
        _run(own_engine, tenant, rail, ear, NOON + days * DAY)

    assert ear.words() == ["pending", "refused payout.returned"]


def test_news_about_no_operation_goes_to_the_handler_of_its_kind(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Funds that became available are told once, with their amount."""
    rail, ear = SimulatedRail(own_engine, "test"), Ear()
    _intend(own_engine, tenant, operation())

    for _ in range(2):
        _run(own_engine, tenant, rail, ear, NOON + 2 * DAY)
        _run(own_engine, tenant, rail, ear, NOON + 4 * DAY)

    assert [(each.kind, each.amount_minor) for each in ear.notices] == [(FUNDS_AVAILABLE, 9_971)]


@pytest.mark.parametrize("poison", [Broken("deaf"), AssertionError(), BadRefusal(), "refused"])
def test_a_poisoned_result_fails_alone(
    own_engine: Engine, tenant: Tenant, poison: Exception | str
) -> None:
    """A handler that breaks or refuses rolls back that one result, which is told later.

    Its neighbours are told at once.
    """
    rail, ear = SimulatedRail(own_engine, "test"), Ear()
    good, bad = operation(), operation()
    ear.deaf_to, ear.poison = bad, poison
    _intend(own_engine, tenant, good, bad)

    counts = _run(own_engine, tenant, rail, ear)
    ear.deaf_to = None
    handlers = {"test.heard": ear.hear}
    later = run_once(own_engine, tenant, rail, handlers, NOON, lease=timedelta(0))

    assert (counts.failed, counts.news, later.news) == (1, 1, 1)
    assert [each.operation_id for each in ear.heard] == [good.id, bad.id]


def test_e4_a_strange_notice_waits_for_its_operation(own_engine: Engine, tenant: Tenant) -> None:
    """Edge case 4: a notice before our insert is parked, and told once the operation is there."""
    rail, ear = SimulatedRail(own_engine, "test"), Ear()
    fund = operation()
    early = notice(fund)
    with transaction(own_engine, tenant) as connection:
        service.receive(connection, [early], at=NOON)
        service.park(connection, [early], at=NOON)
    with transaction(own_engine, tenant) as connection:
        service.intend(connection, [fund], at=NOON)
        service.take(connection, 1, NOON)

    _run(own_engine, tenant, rail, ear, NOON + timedelta(minutes=9))
    before = ear.words()
    _run(own_engine, tenant, rail, ear, NOON + timedelta(minutes=10))

    assert (before, ear.words()) == ([], ["done"])


def test_a_notice_that_breaks_is_set_aside(own_engine: Engine, tenant: Tenant) -> None:
    """One notice that cannot be acted on becomes an exception; the next ones are heard."""
    rail, ear = SimulatedRail(own_engine, "test"), Ear()
    bad, good = payout(100, method="payout:slow"), payout(100, method="payout:slow")
    rail.execute([capital(1_000)], at=NOON)
    _intend(own_engine, tenant, bad, good)
    _run(own_engine, tenant, rail, ear)
    ear.deaf_to = bad

    counts = _run(own_engine, tenant, rail, ear, NOON + 3 * DAY)

    with transaction(own_engine, tenant) as connection:
        ((excepted, trouble),) = service.list_exceptions(connection)
    assert counts.failed == 1
    assert (excepted.operation_id, "deaf" in trouble) == (bad.id, True)
    assert [e.operation_id for e in ear.heard if e.outcome is RailOutcome.DONE] == [good.id]


@pytest.mark.parametrize(
    "poison",
    [
        psycopg.errors.CheckViolation("slot_holds_money"),
        psycopg.errors.lookup("P0001")("a guard's word"),
        OperationalError("UPDATE", {}, psycopg.errors.lookup("P0001")("a guard's word")),
    ],
)
def test_a_notice_that_the_database_refuses_is_set_aside(
    own_engine: Engine, tenant: Tenant, poison: Exception
) -> None:
    """A CHECK or a guard, told by the driver itself or not: the rest of the feed goes on."""
    rail, ear = SimulatedRail(own_engine, "test"), Ear()
    late = payout(100, method="payout:slow")
    rail.execute([capital(1_000)], at=NOON)
    _intend(own_engine, tenant, late)
    _run(own_engine, tenant, rail, ear)
    ear.deaf_to = late
    ear.poison = poison

    counts = _run(own_engine, tenant, rail, ear, NOON + 3 * DAY)

    with transaction(own_engine, tenant) as connection:
        ((excepted, _),) = service.list_exceptions(connection)
    assert (counts.failed, excepted.operation_id) == (1, late.id)


@pytest.mark.parametrize(
    "outage",
    [
        OperationalError("UPDATE", {}, psycopg.errors.AdminShutdown("ended")),
        psycopg.errors.AdminShutdown("ended"),
        psycopg.errors.DeadlockDetected("in each other's way"),
    ],
)
def test_a_notice_is_not_set_aside_for_an_outage(
    own_engine: Engine, tenant: Tenant, outage: Exception
) -> None:
    """Where the server ended our connection the notice is heard next time: it has no fault."""
    rail, ear = SimulatedRail(own_engine, "test"), Ear()
    late = payout(100, method="payout:slow")
    rail.execute([capital(1_000)], at=NOON)
    _intend(own_engine, tenant, late)
    _run(own_engine, tenant, rail, ear)
    ear.deaf_to = late
    ear.poison = outage

    with pytest.raises(type(outage)):
        _run(own_engine, tenant, rail, ear, NOON + 3 * DAY)
    ear.deaf_to = None
    _run(own_engine, tenant, rail, ear, NOON + 3 * DAY)

    with transaction(own_engine, tenant) as connection:
        assert service.list_exceptions(connection) == []
    assert ear.words()[-1] == "done"
