"""The worker as `holdfast worker` runs it, at a double, in a process of its own that may be struck.

Its parent starts it from a server of forks that has everything imported, so that one that was
struck dead is replaced within a moment.
"""

import logging
import threading
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from typing import Final

import structlog

from engine import worker
from engine.handlers import TIMERS
from engine.loops import MoneyLoop
from kernel.database import Tenant, connect
from rails.port import Rail
from rails.simulated.service import SimulatedRail
from rails.stripe.service import StripeRail
from tests.scenarios.doubled import settings_at

THREADS: Final = 1
PATIENCE_S: Final = 180.0


def start(app_url: str, double_url: str, tenant: str) -> BaseProcess:
    """A worker that is at work, until it is ended."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    is_ready = context.Event()
    process = context.Process(
        target=main, args=(app_url, double_url, tenant, is_ready), daemon=True
    )
    process.start()
    assert is_ready.wait(PATIENCE_S), "the worker does not start"
    return process


def main(app_url: str, double_url: str, tenant_name: str, is_ready: Event) -> None:
    """Fire timers, call the rails and hear them, until told to end."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    engine, tenant = connect(app_url), Tenant(tenant_name)
    rails: list[Rail] = [
        StripeRail(settings_at(double_url, tenant=tenant.name)),
        SimulatedRail(engine, tenant.name),
    ]
    money = MoneyLoop(
        engine, lambda: [tenant], lambda _: rails, interval_s=0.02, lease=timedelta(0)
    )

    def tell(stop: threading.Event) -> None:
        is_ready.set()
        stop.wait()

    worker.work(engine, TIMERS, loops=[tell, money.run_forever], worker_threads=THREADS)
