"""The worker's process: actors on the broker, the timer scanner and other loops, until told to end.

It ends cleanly on SIGTERM and SIGINT: what runs is finished, what was only taken is given back.
A second signal ends it at once; then leases run out and others do its jobs again.
"""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import FrameType
from typing import Final

import dramatiq
import structlog
from sqlalchemy import Engine

from engine.scanner import Scanner, TimerHandler
from escrow.service_reminders import begin_round, remind
from kernel import relay
from kernel.broker import BROKER
from kernel.due import DueTenants
from kernel.settings import CannotStart

Loop = Callable[[threading.Event], None]
"""Runs until the event is set: `Scanner.run_forever`, the caller of rails, the relay of jobs."""

_PR_SET_PDEATHSIG: Final = 1
_RESTART_AFTER_S: Final = 1.0
_IDLE_MS: Final = 1_000
_FINISH_WITHIN_S: Final = 60.0

_log = structlog.get_logger(__name__)


def work(
    engine: Engine,
    handlers: Mapping[str, TimerHandler],
    *,
    loops: Sequence[Loop] = (),
    broker_url: str | None = None,
    worker_threads: int = 8,
) -> None:
    """The whole worker: jobs and timers of all tenants until a signal comes.

    Args:
        engine: the program's own login; its pool must feed the threads and the loops.
        handlers: what fires timers of each kind (`engine/handlers.py`).
        loops: what else runs beside, such as the caller of rails.
        broker_url: RabbitMQ or Redis, to which the jobs are then drained; None: our own table.
        worker_threads: how many actors run beside one another.
    """
    scanner = Scanner(
        engine=engine,
        tenants=DueTenants(engine),
        handlers=handlers,
        ring=BROKER.ring,
        begin_round=begin_round,
        remind=remind,
    )
    everything: list[Loop] = [scanner.run_forever, *loops]
    BROKER.open(engine, DueTenants(engine))
    broker: dramatiq.Broker = BROKER
    if broker_url is not None:
        broker = relay.outside_broker(broker_url, lambda: engine)
        drain = partial(relay.relay_forever, engine, DueTenants(engine), broker)
        everything.append(drain)
    run(broker, loops=everything, worker_threads=worker_threads)
    BROKER.close()


def run(
    broker: dramatiq.Broker,
    *,
    loops: Sequence[Loop] = (),
    worker_threads: int = 8,
    stop: threading.Event | None = None,
    finish_within_s: float = _FINISH_WITHIN_S,
) -> None:
    """Work until `stop` is set or a signal comes; call it in the main thread.

    Args:
        broker: opened, and with all actors declared; `kernel.broker.BROKER`, or what
            `kernel.relay.outside_broker` made when HOLDFAST_BROKER_URL is set.
        loops: each runs in a thread of its own and begins again if it fails.
        worker_threads: how many actors run beside one another.
        stop: set it to end; one of our own if None.
        finish_within_s: what has not finished by then is left to its lease.
    """
    stopping = stop or threading.Event()
    _stop_on_signals(stopping)
    broker.emit_after("process_boot")
    worker = dramatiq.Worker(broker, worker_timeout=_IDLE_MS, worker_threads=worker_threads)
    worker.start()
    threads = [threading.Thread(target=_keep_up, args=(loop, stopping)) for loop in loops]
    for thread in threads:
        thread.start()
    _log.info("worker.started", threads=worker_threads, loops=len(loops))
    stopping.wait()
    worker.stop(timeout=int(finish_within_s * 1000))
    for thread in threads:
        thread.join(finish_within_s)
    broker.close()
    _log.info("worker.ended")


def end_with_parent(parent: int | None = None) -> None:
    """Have Linux send this process a SIGTERM when the one that started it dies, however it dies.

    Args:
        parent: the starter's process id, to notice that it died before we asked.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        _log.warning("worker.outlives_parent", errno=ctypes.get_errno())
    if parent is not None and os.getppid() != parent:
        raise CannotStart("The process that started this worker is gone.")


def _keep_up(loop: Loop, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            loop(stop)
        except Exception:  # noqa: BLE001  the outermost frame of a loop: it begins again
            _log.exception("worker.loop_failed", loop=getattr(loop, "__qualname__", repr(loop)))
            stop.wait(_RESTART_AFTER_S)


def _stop_on_signals(stop: threading.Event) -> None:
    def end(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
