"""Locks that a process holds while it works on something, whatever it commits meanwhile."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from sqlalchemy import Engine, text

from kernel.database import Tenant

_TRY_LOCK: Final = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
_UNLOCK: Final = text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))")


@contextmanager
def only_one(engine: Engine, what: str, tenant: Tenant) -> Iterator[bool]:
    """Whether nobody else has this lock of this tenant; held until the block ends, if so.

    `what` is `timers` (as the scanner takes it), `rails` or `settlement`.
    """
    name = {"name": f"holdfast.{what}.{tenant.name}"}
    with engine.connect() as plain:
        guard = plain.execution_options(isolation_level="AUTOCOMMIT")
        is_ours = bool(guard.execute(_TRY_LOCK, name).scalar_one())
        try:
            yield is_ours
        finally:
            if is_ours:
                guard.execute(_UNLOCK, name)


@contextmanager
def alone(engine: Engine, tenant: Tenant) -> Iterator[bool]:
    """Whether no worker is at a tenant; none comes to it until the block ends, if so."""
    with ExitStack() as locks:
        taken = [
            locks.enter_context(only_one(engine, what, tenant))
            for what in ("timers", "rails", "settlement")
        ]
        yield all(taken)
