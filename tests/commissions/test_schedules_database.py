"""What the database refuses of fee schedules, whoever asks; and two who save at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from uuid import UUID

import pytest
from psycopg import errors
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from commissions import service_schedule as service
from commissions import store
from commissions.commands import DecideSchedule, PrepareSchedule
from commissions.model import Band, Schedule
from commissions.model_schedule import ScheduleState, Version
from commissions.rules import Overlap
from kernel.commands import Outcome
from kernel.database import Tenant, driver, transaction
from kernel.ids import new_id
from tests.commissions.books import START, TIERS, draw_up, finance, hold, prepare, rows, tariff

DAY = timedelta(days=1)


@pytest.fixture(params=["tenant's role", "owner"])
def anyone(request: pytest.FixtureRequest) -> Connection:
    """The tenant's role, and the owner of the tables: the rules hold for both."""
    name = "connection" if request.param == "tenant's role" else "owner_connection"
    found: Connection = request.getfixturevalue(name)
    return found


@contextmanager
def refuses(connection: Connection, *why: str) -> Iterator[None]:
    """The statement is refused, by one of these constraints or error codes."""
    cause: BaseException | None = None
    try:
        with connection.begin_nested():
            yield
            connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    except DBAPIError as error:
        cause = error.orig
    except errors.Error as error:
        cause = error
    assert isinstance(cause, errors.Error), "nothing was refused"
    assert {cause.diag.constraint_name, cause.sqlstate} & set(why), cause


def written(connection: Connection, command: PrepareSchedule | None = None) -> Version:
    """A schedule that waits, past every rule of the program."""
    given = command or draw_up("twin")
    version = Version(
        schedule=Schedule(
            id=given.schedule_id,
            name=given.name,
            version=1,
            side=given.side,
            mode=given.mode,
            scope=given.scope,
            priority=given.priority,
            tariffs=given.tariffs,
            valid_from=given.valid_from or START,
            valid_to=given.valid_to,
            recorded_at=START,
        ),
        state=ScheduleState.PREPARED,
        reason="",
        prepared_by=given.actor.principal_id,
    )
    store.add_versions(connection, [version])
    return version


def approved(version: Version) -> Version:
    """The version as a second person approves it."""
    who = new_id()
    return replace(
        version,
        state=ScheduleState.APPROVED,
        approved_by=who,
        decided_by=who,
        decided_at=START,
    )


def test_no_two_approved_schedules_hold_at_one_time(anyone: Connection) -> None:
    """One side, scope, priority and currency: the second approval is refused, by constraint."""
    hold(anyone)
    twin = written(anyone)

    with refuses(anyone, "fee_tariff_no_two_at_a_time"):
        store.save_decided(anyone, approved(twin))


def test_what_the_database_alone_refuses_is_told_as_an_overlap(connection: Connection) -> None:
    """The last line of defence is answered by the code of the first, and nothing is left of it."""
    hold(connection)
    twin = written(connection)
    before = store.read_book(connection)

    with pytest.raises(Overlap):
        service._save_approved(connection, approved(twin), None)

    assert store.read_book(connection) == before
    assert store.find_versions(connection, [twin.id])[twin.id].state is ScheduleState.PREPARED


def test_a_schedule_in_two_currencies_overlaps_in_one_of_them(anyone: Connection) -> None:
    """The tariffs are what overlaps: one currency is enough."""
    hold(anyone, tariffs=(tariff("JPY"), tariff("KWD")))
    apart = written(anyone, draw_up("apart", tariffs=(tariff("EUR"),)))
    twin = written(anyone, draw_up("twin", tariffs=(tariff("EUR"), tariff("KWD"))))

    store.save_decided(anyone, approved(apart))

    with refuses(anyone, "fee_tariff_no_two_at_a_time"):
        store.save_decided(anyone, approved(twin))


def test_the_approver_is_another_person(anyone: Connection) -> None:
    """Four eyes stand in the table."""
    twin = written(anyone)
    alone = replace(approved(twin), approved_by=twin.prepared_by, decided_by=twin.prepared_by)

    with refuses(anyone, "fee_schedule_takes_two"):
        store.save_decided(anyone, alone)


def test_nothing_holds_before_it_is_approved(anyone: Connection) -> None:
    """An approval dated after the first day is refused."""
    twin = written(anyone)

    with refuses(anyone, "fee_schedule_begins_once_approved"):
        store.save_decided(anyone, replace(approved(twin), decided_at=START + DAY))


BANDS = {
    "a gap": "(%(id)s, 'EUR', 3, 60000, NULL, 1), (%(id)s, 'EUR', 2, 50000, 55000, 1)",
    "two of a place": "(%(id)s, 'EUR', 1, 0, NULL, 1)",
    "one too many": "(%(id)s, 'EUR', 4, 2000000, NULL, 1)",
    "more than all": "(%(id)s, 'EUR', 4, 2000000, NULL, 10001)",
    "falling": "(%(id)s, 'EUR', 4, 2000000, 1, 1)",
    "another currency": "(%(id)s, 'JPY', 1, 0, NULL, 1)",
}
WHY = (
    *("fee_schedule_is_whole", "fee_band_pkey", "fee_band_takes_no_more_than_all"),
    *("fee_band_rises", "fee_band_tariff_is_known"),
)


@pytest.mark.parametrize("name", BANDS)
def test_no_band_is_added_to_a_schedule(anyone: Connection, name: str) -> None:
    """A schedule is written whole: what somebody may approve gets no band more, and no gap."""
    twin = written(anyone, draw_up("twin", tariffs=(tariff("EUR", *TIERS),)))
    anyone.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")

    with refuses(anyone, *WHY):
        anyone.exec_driver_sql(
            "INSERT INTO fee_band (schedule_id, currency, place, from_minor, up_to_minor, rate_bps)"
            f" VALUES {BANDS[name]}",
            {"id": twin.id},
        )


GAPS: dict[str, list[tuple[int, int, int | None]]] = {
    "a gap": [(1, 0, 10), (2, 11, None)],
    "an overlap": [(1, 0, 10), (2, 9, None)],
    "an end": [(1, 0, 10), (2, 10, 20)],
    "no end but the last": [(1, 0, None), (2, 10, None)],
    "too few": [(1, 0, None)],
    "a place left out": [(1, 0, 10), (3, 10, None)],
}


@pytest.mark.parametrize("name", GAPS)
def test_bands_rise_without_gaps(anyone: Connection, name: str) -> None:
    """From nothing up, each from where the one before ends, the last without an end."""
    whole = written(anyone)
    anyone.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    anyone.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")

    with refuses(anyone, "fee_schedule_is_whole"):
        _write_bands(anyone, whole, GAPS[name])


def test_bands_that_rise_without_gaps_are_taken(anyone: Connection) -> None:
    """The builder of the test above writes what the rule lets through."""
    whole = written(anyone)

    _write_bands(anyone, whole, [(1, 0, 10), (2, 10, None)])
    anyone.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")

    assert rows(anyone, ("fee_schedule", "fee_band")) == {"fee_schedule": 2, "fee_band": 3}


def _write_bands(
    connection: Connection, like: Version, bands: list[tuple[int, int, int | None]]
) -> None:
    schedule_id = new_id()
    connection.exec_driver_sql(
        "INSERT INTO fee_schedule (id, name, version, side, mode, priority, tax_code, tariff_count,"
        " reason, recorded_at, prepared_by)"
        " SELECT %s, 'gaps', 1, side, mode, 5, tax_code, 1, '', recorded_at, prepared_by"
        " FROM fee_schedule WHERE id = %s",
        (schedule_id, like.id),
    )
    connection.exec_driver_sql(
        "INSERT INTO fee_tariff (schedule_id, currency, per_transaction_minor, floor_minor,"
        " band_count, scope_key, is_approved, during)"
        " SELECT id, 'EUR', 0, 0, 2, scope_key, is_approved, during"
        " FROM fee_schedule WHERE id = %s",
        (schedule_id,),
    )
    cursor = driver(connection).cursor()
    cursor.executemany(
        "INSERT INTO fee_band VALUES (%s, 'EUR', %s, %s, %s, 100)",
        [(schedule_id, *band) for band in bands],
    )


CHANGES = {
    "a name": "UPDATE fee_schedule SET name = 'other'",
    "a side": "UPDATE fee_schedule SET side = 'client'",
    "a scope": "UPDATE fee_schedule SET plan = 'pro'",
    "a priority": "UPDATE fee_schedule SET priority = 7",
    "a first day": "UPDATE fee_schedule SET valid_from = valid_from + interval '1 day'",
    "a last day": "UPDATE fee_schedule SET valid_to = valid_from + interval '1 day'",
    "a state back": (
        "UPDATE fee_schedule SET state = 'prepared', approved_by = NULL, decided_by = NULL,"
        " decided_at = NULL"
    ),
    "an approver": "UPDATE fee_schedule SET approved_by = gen_random_uuid()",
    "a price": "UPDATE fee_tariff SET floor_minor = 1",
    "a cap": "UPDATE fee_tariff SET cap_minor = 1",
    "a range": "UPDATE fee_tariff SET during = 'empty'",
    "a rate": "UPDATE fee_band SET rate_bps = 1",
    "a band taken": "DELETE FROM fee_band",
    "a tariff taken": "DELETE FROM fee_tariff",
    "a schedule taken": "DELETE FROM fee_schedule",
    "all taken": "TRUNCATE fee_schedule CASCADE",
    "the book taken": "DELETE FROM fee_book",
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_approved_schedule_does_not_change(anyone: Connection, name: str) -> None:
    """Neither its prices nor its scope nor its days, and it does not go: by rights and by trigger.

    The end alone moves, and not without an approved ending.
    """
    hold(anyone, tariffs=(tariff("EUR", Band(10, 5), Band(None, 10)),))
    anyone.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")

    with refuses(anyone, "HF001", "HF011", "42501", "23503", "23514"):
        anyone.exec_driver_sql(CHANGES[name])


def test_two_who_save_overlapping_schedules_at_once(own_engine: Engine, tenant: Tenant) -> None:
    """Exactly one is written; the other is told, by its own code, and leaves nothing."""
    commands = [draw_up("one"), draw_up("two")]
    barrier = Barrier(2)

    def save(command: PrepareSchedule) -> Outcome:
        with transaction(own_engine, tenant) as connection:
            barrier.wait(timeout=60)
            return prepare(connection, command)

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(save, commands))

    assert sorted(each.code for each in outcomes) == ["done", "fees.overlap"]
    with transaction(own_engine, tenant) as connection:
        assert rows(connection, ("fee_schedule", "fee_tariff", "fee_band")) == {
            "fee_schedule": 1,
            "fee_tariff": 1,
            "fee_band": 1,
        }


def test_two_who_approve_overlapping_schedules_at_once(own_engine: Engine, tenant: Tenant) -> None:
    """Exactly one holds afterwards, even of two that both wait."""
    with transaction(own_engine, tenant) as connection:
        ids = [written(connection, draw_up(name)).id for name in ("one", "two")]
    barrier = Barrier(2)

    def approve(schedule_id: UUID) -> Outcome:
        with transaction(own_engine, tenant) as connection:
            barrier.wait(timeout=60)
            command = DecideSchedule(actor=finance(), schedule_id=schedule_id)
            return service.approve(connection, [command], at=START)[0]

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(approve, ids))

    assert sorted(each.code for each in outcomes) == ["done", "fees.overlap"]
    with transaction(own_engine, tenant) as connection:
        assert len(store.read_book(connection)[1]) == 1


def test_an_approval_waits_for_the_one_before_it(own_engine: Engine, tenant: Tenant) -> None:
    """The second reads the book after the first has written: it sees what it may not stand by."""
    with transaction(own_engine, tenant) as connection:
        first, second = (written(connection, draw_up(name)).id for name in ("one", "two"))

    def approve(connection: Connection, schedule_id: UUID) -> Outcome:
        command = DecideSchedule(actor=finance(), schedule_id=schedule_id)
        return service.approve(connection, [command], at=START)[0]

    def approve_alone() -> Outcome:
        with transaction(own_engine, tenant) as connection:
            return approve(connection, second)

    with ThreadPoolExecutor(1) as pool:
        with transaction(own_engine, tenant) as connection:
            held = approve(connection, first)
            waiting = pool.submit(approve_alone)
        outcome = waiting.result(timeout=60)

    assert (held.code, outcome.code) == ("done", "fees.overlap")
