"""The whole worker as a process of its own, for tests that end it.

Run as: python -m tests.engine.worker_process URL [parent]
With "parent" it only starts the worker as its child, says its number, and waits to be killed.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from engine import worker
from kernel import jobs, timers
from kernel.broker import BROKER, actor, workplace
from kernel.database import connect, transaction
from kernel.timers import Arm, DueTimer

RING, RUNG = "test.ring", "test.rung"


@actor(queue="test", retries=3, time_limit_s=30, name="follow_up")
def follow_up(subject: str) -> None:
    """Leave a mark that the job of a fired timer ran: a timer that nobody fires."""
    here = workplace()
    with transaction(here.engine, here.tenant) as connection:
        far = datetime.fromisoformat("2100-01-01T00:00:00Z")
        timers.arm(connection, [Arm(subject, RUNG, far, os.getpid())])


def ring(connection: Connection, chunk: Sequence[DueTimer], _at: datetime) -> int:
    """Fire timers by giving each a job, in the same transaction."""
    claimed = timers.claim(connection, chunk)
    jobs.add(connection, [follow_up.message(due.subject) for due in claimed])
    return len(claimed)


def failing_loop(stop: threading.Event) -> None:
    """A loop that breaks at once; the worker must live on and end in time."""
    if not stop.is_set():
        raise ZeroDivisionError


def main(url: str, *role: str) -> None:
    """The worker, or the parent that only starts it."""
    if role:
        subprocess.Popen([sys.executable, "-m", "tests.engine.worker_process", url])
        signal.pause()
    worker.end_with_parent()
    worker.work(connect(url), {RING: ring}, loops=[failing_loop], worker_threads=2)
    assert BROKER.get_declared_actors() == {"follow_up"}


if __name__ == "__main__":
    main(*sys.argv[1:])
