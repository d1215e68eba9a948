"""The worker's process: it fires timers and runs their jobs, and ends when it must."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from kernel import jobs, timers
from kernel.database import Tenant, transaction
from kernel.timers import Arm
from tests.fixtures.databases import TestDatabase
from tests.kernel.broker_at_work import DEADLINE_S, until

# As in tests/engine/worker_process.py, whose import would declare its actor in this process too.
RING, RUNG = "test.ring", "test.rung"


@pytest.mark.slow
def test_the_worker_fires_a_timer_runs_its_job_and_ends_cleanly(
    own_database: TestDatabase, own_engine: Engine, tenant: Tenant
) -> None:
    """From a due timer to the job that its handler wrote; then SIGTERM and code 0."""
    arm_due(own_engine, tenant)

    with started(own_database) as process:
        until(lambda: rung_by(own_engine, tenant) is not None)
        process.send_signal(signal.SIGTERM)
        code = process.wait(DEADLINE_S)

    assert code == 0
    with transaction(own_engine, tenant) as connection:
        assert jobs.count_waiting(connection, "test") == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child")
def test_the_worker_ends_with_its_parent(
    own_database: TestDatabase, own_engine: Engine, tenant: Tenant
) -> None:
    """When the process that started it is killed outright, the worker ends by itself."""
    arm_due(own_engine, tenant)

    with started(own_database, "parent") as parent:
        until(lambda: rung_by(own_engine, tenant) is not None)
        worker = rung_by(own_engine, tenant)
        parent.kill()
        parent.wait(DEADLINE_S)

    assert worker is not None
    assert worker != parent.pid
    until(lambda: not is_running(worker))


@contextmanager
def started(database: TestDatabase, *role: str) -> Iterator[subprocess.Popen[bytes]]:
    """The worker's process; killed at the end if it is still there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engine.worker_process", database.app_url, *role],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": "."},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def arm_due(engine: Engine, tenant: Tenant) -> None:
    with transaction(engine, tenant) as connection:
        an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
        timers.arm(connection, [Arm("slot:a", RING, an_hour_ago, 1)])


def rung_by(engine: Engine, tenant: Tenant) -> int | None:
    """The process that ran the job of the fired timer; None before that."""
    with transaction(engine, tenant) as connection:
        kinds = {t.kind: t.subject_version for t in timers.list_of(connection, ["slot:a"])}
    return kinds.get(RUNG) if RING not in kinds else None


def is_running(process_id: int) -> bool:
    """Whether the process lives; one that has ended and waits to be collected does not."""
    stat = Path(f"/proc/{process_id}/stat")
    try:
        return stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
