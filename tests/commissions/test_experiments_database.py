"""What the database refuses of experiments, whoever asks; and units that come at the same time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from uuid import UUID

import pytest
from psycopg import errors
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from commissions import store_experiments as store
from commissions.experiments import Arm
from commissions.model_experiments import State
from commissions.service_experiments import Joined, Unit, arms_for, pin_arms
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from tests.attack.waiting import wait_until_blocked
from tests.commissions.books import START, finance, rows
from tests.commissions.trials import (
    accept,
    draw_up,
    move,
    pair,
    prepare,
    propose,
    settle,
    started,
)


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


def joined(connection: Connection) -> tuple[UUID, Unit]:
    """A running experiment with one unit in an arm."""
    which, unit = started(connection), pair(1)
    settle(connection, [unit])
    accept(connection, propose(connection, unit))
    connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    return which, unit


STOPPED = "stopped_by = started_by, stopped_at = now(), stop_why = 'x'"
NO_RIGHT, APPEND_ONLY = "42501", "HF001"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE experiment_arm SET share_bps = 1",
        "UPDATE experiment_arm SET name = 'other'",
        "DELETE FROM experiment_arm",
        "UPDATE experiment_unit SET arm = 'low'",
        "DELETE FROM experiment_unit",
        "UPDATE experiment_contract SET arm = 'low'",
        "DELETE FROM experiment_contract",
        "DELETE FROM experiment",
        "TRUNCATE experiment CASCADE",
        "TRUNCATE experiment_unit CASCADE",
    ],
)
def test_arms_units_and_pins_stand(anyone: Connection, statement: str) -> None:
    """What was written is not changed and does not go, by the tenant's role or by the owner."""
    joined(anyone)

    with refuses(anyone, NO_RIGHT, APPEND_ONLY):
        anyone.exec_driver_sql(statement)


@pytest.mark.parametrize(
    "change",
    [
        "name = 'other'",
        "unit = 'client'",
        "stop_after_units = 1",
        "harm_bps = 9",
        "arm_count = 2",
        "prepared_by = gen_random_uuid()",
        "started_by = gen_random_uuid()",
        "started_at = now()",
        "state = 'prepared', started_by = NULL, started_at = NULL",
        "state = 'withdrawn', withdrawn_by = gen_random_uuid(), withdrawn_at = now()",
        f"state = 'stopped', {STOPPED}, started_by = gen_random_uuid()",
        f"state = 'decided', {STOPPED}, decided_by = started_by, decided_at = now(), decision = ''",
    ],
)
def test_a_running_experiment_only_stops(anyone: Connection, change: str) -> None:
    """Its design and who started it stay as they are; no state is left out or taken again."""
    which = started(anyone)

    with refuses(anyone, NO_RIGHT, "HF011"):
        anyone.exec_driver_sql(f"UPDATE experiment SET {change} WHERE id = %s", (which,))


def test_two_people_stand_behind_each(anyone: Connection) -> None:
    """Past every rule of the program, who prepared it neither starts nor decides it."""
    command = draw_up()
    prepare(anyone, command)
    alone = (command.actor.principal_id, START, command.experiment_id)

    with refuses(anyone, "experiment_takes_two"):
        anyone.exec_driver_sql(
            "UPDATE experiment SET state = 'running', started_by = %s, started_at = %s"
            " WHERE id = %s",
            alone,
        )
    which = started(anyone, "second", actor=command.actor)
    assert move(anyone, "stop", which).is_done
    with refuses(anyone, "experiment_decision_takes_two"):
        anyone.exec_driver_sql(
            "UPDATE experiment SET state = 'decided', decided_by = %s, decided_at = %s,"
            " decision = 'x' WHERE id = %s",
            (*alone[:2], which),
        )


@pytest.mark.parametrize(
    "arms",
    [
        [("control", 1, 0, 5_000)],
        [("one", 1, 0, 5_000), ("two", 2, 5_000, 5_000)],
        [("control", 1, 0, 5_000), ("low", 2, 5_000, 4_999)],
        [("control", 1, 0, 5_000), ("low", 2, 4_000, 5_000)],
        [("control", 1, 0, 5_000), ("low", 3, 5_000, 5_000)],
        [("holdout", 1, 0, 5_000), ("control", 2, 5_000, 5_000)],
    ],
)
def test_an_experiment_is_whole(anyone: Connection, arms: list[tuple[str, int, int, int]]) -> None:
    """Two arms with a control, one after the other, and together all of the units."""
    which = new_id()

    with refuses(anyone, "experiment_is_whole"):
        anyone.exec_driver_sql(
            "INSERT INTO experiment (id, name, unit, stop_after_units, harm_bps, quiet_days,"
            " arm_count, reason, prepared_by, prepared_at)"
            " VALUES (%s, 'odd', 'pair', 1, 0, 1, 2, '', %s, %s)",
            (which, new_id(), START),
        )
        for name, place, start, share in arms:
            anyone.exec_driver_sql(
                "INSERT INTO experiment_arm (experiment_id, name, place, start_bps, share_bps)"
                " VALUES (%s, %s, %s, %s, %s)",
                (which, name, place, start, share),
            )


def test_no_arm_is_added_later(anyone: Connection) -> None:
    """Also to one that only waits: who starts it starts what he looked at."""
    command = draw_up(arms=(Arm("control", 10), Arm("low", 10)))
    prepare(anyone, command)

    with refuses(anyone, "experiment_is_whole"):
        anyone.exec_driver_sql(
            "INSERT INTO experiment_arm (experiment_id, name, place, start_bps, share_bps)"
            " VALUES (%s, 'free', 4, 9999, 1)",
            (command.experiment_id,),
        )


JOIN = (
    "INSERT INTO experiment_unit (experiment_id, unit_key, client_id, payee_id, arm, first_seen_at)"
    " VALUES (%s, %s, %s, %s, %s, %s)"
)


def test_nobody_is_put_into_an_arm_by_hand(anyone: Connection) -> None:
    """Only the arm that the hash says is taken, of a unit of the right kind, while it runs."""
    which = started(anyone)
    unit = pair(1)
    settle(anyone, [unit])
    (arms,) = arms_for(anyone, [unit], START)
    mine = next(iter(arms)).split("/")[1]
    key = f"{unit.client_id}:{unit.payee_id}"

    for other in {"control", "low", "holdout"} - {mine}:
        with refuses(anyone, "experiment_unit_joins_rightly"):
            anyone.exec_driver_sql(JOIN, (which, key, *unit, other, START))
    with refuses(anyone, "experiment_unit_arm_is_its_own"):
        anyone.exec_driver_sql(JOIN, (which, key, *unit, "high", START))
    with refuses(anyone, "experiment_unit_key_names_it"):
        anyone.exec_driver_sql(JOIN, (which, f"{key}x", *unit, mine, START))
    alone = str(unit.client_id)
    for arm in ("control", "low", "holdout"):
        with refuses(anyone, "experiment_unit_joins_rightly"):
            anyone.exec_driver_sql(JOIN, (which, alone, unit.client_id, None, arm, START))
    assert move(anyone, "stop", which).is_done
    with refuses(anyone, "experiment_unit_joins_rightly"):
        anyone.exec_driver_sql(JOIN, (which, key, *unit, mine, START))


def test_a_contract_is_pinned_to_its_own_unit_and_arm(anyone: Connection) -> None:
    """Not to another's, nor to another arm than its unit has."""
    which, unit = joined(anyone)
    (arms,) = arms_for(anyone, [unit], START)
    mine = next(iter(arms)).split("/")[1]
    other = pair(2)
    settle(anyone, [other])
    contract_id = propose(anyone, other).contract_id
    pin = (
        "INSERT INTO experiment_contract (experiment_id, contract_id, unit_key, arm, pinned_at)"
        " VALUES (%s, %s, %s, %s, %s)"
    )
    key = f"{unit.client_id}:{unit.payee_id}"

    with refuses(anyone, "experiment_contract_is_the_units"):
        anyone.exec_driver_sql(pin, (which, contract_id, key, mine, START))
    own = propose(anyone, unit).contract_id
    wrong = next(arm for arm in ("control", "low") if arm != mine)
    with refuses(anyone, "experiment_contract_has_its_units_arm"):
        anyone.exec_driver_sql(pin, (which, own, key, wrong, START))


def test_no_schedule_is_for_those_held_out(anyone: Connection) -> None:
    """They are charged as ever: the database takes no schedule with their arm."""
    with refuses(anyone, "fee_schedule_spares_the_held_out"):
        anyone.exec_driver_sql(
            "INSERT INTO fee_schedule (id, name, version, side, mode, arm, priority, tax_code,"
            " tariff_count, reason, recorded_at, prepared_by)"
            " VALUES (%s, 'x', 1, 'payee', 'marginal', 'launch/holdout', 0, 'standard', 1, '',"
            " %s, %s)",
            (new_id(), START, finance().principal_id),
        )


def test_the_first_contracts_of_a_unit_may_come_at_once(own_engine: Engine, tenant: Tenant) -> None:
    """Four transactions accept for one pair at the same time: one unit, four contracts, one arm."""
    unit = pair(1)
    with transaction(own_engine, tenant) as connection:
        settle(connection, [unit])
        which = started(connection)
        contracts = [propose(connection, unit).contract_id for _ in range(4)]
    together = Barrier(4)

    def pin(contract_id: UUID) -> frozenset[str]:
        with transaction(own_engine, tenant) as connection:
            (arms,) = arms_for(connection, [unit], START)
            together.wait(120)
            pin_arms(connection, [Joined(contract_id, unit, arms)], START)
        return arms

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(pin, contracts))

    assert len(found) == 1
    with transaction(own_engine, tenant) as connection:
        assert rows(connection, ("experiment_unit", "experiment_contract")) == {
            "experiment_unit": 1,
            "experiment_contract": 4,
        }
        study = store.find_study(connection, which)
        assert study is not None
        assert study.state is State.RUNNING


def test_a_stop_waits_for_who_joins_and_refuses_who_comes_after(
    own_engine: Engine, tenant: Tenant
) -> None:
    """Whoever asked for his arm before the stop and joins after it is refused, not miscounted."""
    first, second = pair(1), pair(2)
    with transaction(own_engine, tenant) as connection:
        settle(connection, [first, second])
        which = started(connection)
        one = propose(connection, first).contract_id
        two = propose(connection, second).contract_id

    def stop() -> str:
        with transaction(own_engine, tenant) as connection:
            return move(connection, "stop", which).code

    with ThreadPoolExecutor(1) as pool:
        with transaction(own_engine, tenant) as connection:
            (arms,) = arms_for(connection, [first], START)
            pin_arms(connection, [Joined(one, first, arms)], START)
            stopping = pool.submit(stop)
            wait_until_blocked(own_engine)
        assert stopping.result(timeout=120) == "done"

    with transaction(own_engine, tenant) as late:
        (arms,) = arms_for(late, [second], START)
        assert arms == frozenset()
    with transaction(own_engine, tenant) as late:
        forged = Joined(two, second, frozenset({"launch/control"}))
        with refuses(late, "experiment_unit_joins_rightly"):
            pin_arms(late, [forged], START)
