"""Workers that die: every job is done, poison dies alone, and a signal ends a worker cleanly."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Engine

from kernel import jobs
from kernel.broker import TableBroker
from kernel.database import Tenant, transaction
from tests.fixtures.databases import TestDatabase
from tests.kernel.broker_at_work import (
    DEADLINE_S,
    as_admin,
    count_waiting,
    dead_of,
    runs_of,
    until,
)
from tests.kernel.worker_process import RUN_TABLE, declare


@pytest.mark.slow
def test_killed_workers_lose_no_job(own_database: TestDatabase, own_engine: Engine) -> None:
    """Five times kill -9 of two workers with jobs in flight: every job is done at least once."""
    tenant, count = _runs_table(own_database), declare(TableBroker())["count"]
    with transaction(own_engine, tenant) as connection:
        jobs.add(connection, [count.message(n) for n in range(300)])
    with ExitStack() as stack:
        workers = [_start_worker(stack, own_database, tenant) for _ in range(2)]
        for wanted in range(20, 120, 20):
            until(lambda wanted=wanted: len(runs_of(own_engine, tenant)) >= wanted)  # type: ignore[misc]
            workers[0].kill()
            workers.append(_start_worker(stack, own_database, tenant))
            workers.pop(0)
        until(lambda: count_waiting(own_engine, tenant, "counted") == 0)

    assert set(runs_of(own_engine, tenant)) == set(range(300))


@pytest.mark.slow
def test_a_job_that_kills_its_workers_dies_and_its_neighbours_live(
    own_database: TestDatabase, own_engine: Engine
) -> None:
    """A poisonous job ends with the dead after MAX_LOST_STARTS + 1 starts, and it alone."""
    tenant, actors = _runs_table(own_database), declare(TableBroker())
    with transaction(own_engine, tenant) as connection:
        jobs.add(connection, [actors["poison"].message(-1)])
        jobs.add(connection, [actors["count"].message(n) for n in range(20)])
    with ExitStack() as stack:
        worker = _start_worker(stack, own_database, tenant)
        ends_at = time.monotonic() + 2 * DEADLINE_S
        while count_waiting(own_engine, tenant, "counted") and time.monotonic() < ends_at:
            if worker.poll() is not None:
                worker = _start_worker(stack, own_database, tenant)
            time.sleep(0.05)

    runs = runs_of(own_engine, tenant)
    assert runs.count(-1) == jobs.MAX_LOST_STARTS + 1
    assert set(range(20)) <= set(runs)
    assert len(dead_of(own_engine, tenant)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_ends_cleanly_on_a_signal(
    own_database: TestDatabase, own_engine: Engine, number: signal.Signals
) -> None:
    """SIGTERM and SIGINT end the worker with code 0, and no job is left under a lease."""
    tenant, count = _runs_table(own_database), declare(TableBroker())["count"]
    with transaction(own_engine, tenant) as connection:
        jobs.add(connection, [count.message(n) for n in range(200)])
    with ExitStack() as stack:
        worker = _start_worker(stack, own_database, tenant)
        until(lambda: bool(runs_of(own_engine, tenant)))
        worker.send_signal(number)
        code = worker.wait(DEADLINE_S)

    runs = runs_of(own_engine, tenant)
    with transaction(own_engine, tenant) as connection:
        held, left = connection.exec_driver_sql("SELECT count(worker), count(*) FROM job").one()
    assert code == 0
    assert held == 0
    assert len(runs) == len(set(runs)) == 200 - left


def _start_worker(
    stack: ExitStack, database: TestDatabase, tenant: Tenant
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.kernel.worker_process", database.app_url]
    process = subprocess.Popen(
        [*command, tenant.name, "1"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": "."},
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def _runs_table(database: TestDatabase) -> Tenant:
    tenant = Tenant("test")
    as_admin(
        database,
        f"SET search_path TO {tenant.schema}",
        RUN_TABLE,
        f"GRANT SELECT, INSERT ON run TO {tenant.role}",
    )
    return tenant
