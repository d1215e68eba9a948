"""How a loop of the worker goes round its tenants: trouble with one stops no other."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import psycopg
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from engine.store_locks import only_one
from kernel.database import Tenant
from kernel.errors import Broken

OURS: Final[tuple[type[Exception], ...]] = (Broken,)
"""What only people can mend: it is told with its trace, and the next round tries again."""

_log = structlog.get_logger(__name__)


def keep_going(
    run_once: Callable[[threading.Event], bool], stop: threading.Event, *, interval_s: float
) -> None:
    """Go round until `stop` is set; at once again while there is work."""
    while not stop.is_set():
        if not run_once(stop):
            stop.wait(interval_s)


def go_round(
    tenants: Callable[[], Sequence[Tenant]],
    look_at: Callable[[Tenant], int],
    stop: threading.Event,
    *,
    what: str,
    engine: Engine | None = None,
    lock: str = "",
    broken: tuple[type[Exception], ...] = OURS,
) -> int:
    """Look at each tenant once; the sum of what the looks came to.

    Args:
        tenants: whom there is to look at now.
        look_at: one tenant's turn; how much there was to do.
        stop: ends the round before the next tenant.
        what: names the round in the log.
        engine: where a lock is taken, so that each tenant is walked by one process at a time;
            None: several may.
        lock: the lock's name; that of the round if left out.
        broken: what ends one tenant's turn besides trouble with the database.
    """
    done = 0
    for tenant in tenants():
        if stop.is_set():
            break
        try:
            with _turn(engine, lock or what, tenant) as is_ours:
                done += look_at(tenant) if is_ours else 0
        except (SQLAlchemyError, psycopg.Error) as trouble:
            name = type(trouble).__name__
            _log.warning(f"{what}.round_failed", tenant=tenant.name, trouble=name)
        except broken:
            # Somebody must look; the tenants after this one are served all the same.
            _log.exception(f"{what}.round_broken", tenant=tenant.name)
    return done


@contextmanager
def _turn(engine: Engine | None, lock: str, tenant: Tenant) -> Iterator[bool]:
    if engine is None:
        yield True
        return
    with only_one(engine, lock, tenant) as is_ours:
        yield is_ours
