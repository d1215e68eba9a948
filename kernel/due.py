"""Which tenants may have something to do: a hint per tenant, so that thousands can sleep.

The hint is written after a commit, by the doorbell, and moved on by the scanner that has just
looked. It may be late or lost: once a minute every tenant is looked at anyway. With few tenants
all of them are looked at each time, and the hints decide nothing.
"""

import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine

from kernel.database import Tenant

FEW: Final = 20
"""Up to this many tenants, nobody is passed by."""

RESCAN_S: Final = 60.0

_LIST_ALL: Final = "SELECT name FROM holdfast.tenant ORDER BY name"

_LIST_DUE: Final = """
SELECT tenant FROM holdfast.tenant_due WHERE due_at <= clock_timestamp() ORDER BY due_at
"""

_HINT_NOW: Final = """
INSERT INTO holdfast.tenant_due AS known (tenant, due_at)
SELECT name, clock_timestamp() FROM holdfast.tenant WHERE name = ANY (%s) ORDER BY name
ON CONFLICT (tenant) DO UPDATE SET due_at = excluded.due_at WHERE known.due_at > excluded.due_at
"""

_MOVE: Final = """
INSERT INTO holdfast.tenant_due AS known (tenant, due_at)
SELECT name, %s FROM holdfast.tenant WHERE name = %s
ON CONFLICT (tenant) DO UPDATE SET due_at = excluded.due_at WHERE known.due_at <> excluded.due_at
"""

_FORGET: Final = "DELETE FROM holdfast.tenant_due WHERE tenant = %s"


class DueTenants:
    """Call it to learn whom to look at; broker and scanner each have one of their own."""

    def __init__(self, engine: Engine, *, few: int = FEW, rescan_s: float = RESCAN_S) -> None:
        self._engine = engine
        self._few = few
        self._rescan_s = rescan_s
        self._rescan_at = 0.0
        self._all: Sequence[Tenant] = ()
        self._lock = threading.Lock()

    def __call__(self) -> Sequence[Tenant]:
        """Everybody if they are few or a minute has passed; else whose hint has come."""
        with self._lock:
            is_rescan = time.monotonic() >= self._rescan_at
            if is_rescan:
                with self._engine.begin() as connection:
                    self._all = _list(connection, _LIST_ALL)
                self._rescan_at = time.monotonic() + self._rescan_s
            if is_rescan or len(self._all) <= self._few:
                return self._all
        with self._engine.begin() as connection:
            return _list(connection, _LIST_DUE)


def hint_now(connection: Connection, names: Sequence[str]) -> None:
    """Say that these tenants have something to do; call it after the commit, without a tenant."""
    connection.exec_driver_sql(_HINT_NOW, (list(names),))


def move_hint(connection: Connection, tenant: Tenant, *, to: datetime | None) -> None:
    """Say when the tenant has something to do next (real time); None: not that we know of."""
    if to is None:
        connection.exec_driver_sql(_FORGET, (tenant.name,))
    else:
        connection.exec_driver_sql(_MOVE, (to, tenant.name))


def _list(connection: Connection, statement: str) -> list[Tenant]:
    return [Tenant(name) for (name,) in connection.exec_driver_sql(statement)]
