"""A worker's process for tests that kill it: counts runs of jobs in a table of the tenant.

Run as: python -m tests.kernel.worker_process URL TENANT LEASE_S
"""

import logging
import os
import signal
import sys
from datetime import timedelta

import dramatiq

from engine import worker
from kernel.broker import TableBroker, actor, workplace
from kernel.database import Tenant, connect, transaction

RUN_TABLE = "CREATE TABLE run (job integer NOT NULL, process integer NOT NULL)"


def declare(broker: TableBroker) -> dict[str, dramatiq.Actor[[int], None]]:
    """The actors that the test sends to and the processes run."""

    @actor(queue="counted", retries=3, time_limit_s=30, name="count", broker=broker)
    def count(job: int) -> None:
        _note(job)

    @actor(queue="counted", retries=3, time_limit_s=30, name="poison", broker=broker)
    def poison(job: int) -> None:
        _note(job)
        os.kill(os.getpid(), signal.SIGKILL)

    return {"count": count, "poison": poison}


def _note(job: int) -> None:
    here = workplace()
    with transaction(here.engine, here.tenant) as connection:
        connection.exec_driver_sql("INSERT INTO run VALUES (%s, %s)", (job, os.getpid()))


def main(url: str, tenant: str, lease_s: str) -> None:
    """Work until a signal comes."""
    logging.basicConfig(level=logging.WARNING)
    worker.end_with_parent()
    broker = TableBroker()
    declare(broker)
    broker.open(
        connect(url),
        lambda: [Tenant(tenant)],
        lease_for=timedelta(seconds=float(lease_s)),
        prefetch=8,
    )
    worker.run(broker, worker_threads=2)


if __name__ == "__main__":
    main(*sys.argv[1:])
