"""Brokers at work in tests: a worker in this process, and what the tables hold afterwards."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import dramatiq
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from kernel import jobs
from kernel.database import Tenant, transaction
from tests.fixtures.databases import TestDatabase

DEADLINE_S = 120.0


@contextmanager
def working(broker: dramatiq.Broker, *, threads: int = 2) -> Iterator[None]:
    """A worker in this process, stopped at the end."""
    worker = dramatiq.Worker(broker, worker_timeout=50, worker_threads=threads)
    broker.emit_after("process_boot")
    worker.start()
    try:
        yield
    finally:
        worker.stop(timeout=120_000)


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that another thread or process brings about."""
    ends_at = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < ends_at, "it did not come about in time"
        time.sleep(0.01)


def as_admin(database: TestDatabase, *statements: str) -> None:
    engine = create_engine(database.admin_url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def runs_of(engine: Engine, tenant: Tenant) -> list[int]:
    with transaction(engine, tenant) as connection:
        return [row.job for row in connection.exec_driver_sql("SELECT job FROM run")]


def count_waiting(engine: Engine, tenant: Tenant, queue: str = "default") -> int:
    with transaction(engine, tenant) as connection:
        return jobs.count_waiting(connection, queue)


def leases_of(engine: Engine, tenant: Tenant) -> list[datetime]:
    with transaction(engine, tenant) as connection:
        return [row.run_at for row in connection.exec_driver_sql("SELECT run_at FROM job")]


def dead_of(engine: Engine, tenant: Tenant) -> list[str]:
    with transaction(engine, tenant) as connection:
        return [row.why for row in connection.exec_driver_sql("SELECT why FROM job_dead")]
