"""The doorbell: after a commit, tell the workers of all processes which tenant has new jobs.

NOTIFY takes a lock that all commits of a database share, so it never stands in a posting's
transaction: it is sent afterwards, on its own, at most once in 10 ms per process. The hint for
the scanner (`kernel.due`) goes with it. A lost ring costs at most one poll of the worker.
"""

import threading
from collections.abc import Callable
from typing import Any, Final

import psycopg
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from kernel import due
from kernel.database import BadTenantName, Tenant
from kernel.errors import Broken

CHANNEL: Final = "holdfast_job"
REST_S: Final = 0.01

_RING: Final = "SELECT pg_notify(%s, name) FROM unnest(%s::text[]) AS name"
_HEAR_FOR_S: Final = 0.2
_RECONNECT_AFTER_S: Final = 1.0

_log = structlog.get_logger(__name__)


class Doorbell:
    """Rings for tenants; a thread of its own sends, so that ringing never waits."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rung: set[str] = set()
        self._change = threading.Condition()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def ring(self, tenant: Tenant) -> None:
        """Say that a tenant has new jobs or timers; call it after the commit."""
        with self._change:
            self._rung.add(tenant.name)
            self._change.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._send, name="doorbell", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Send what was rung and stop."""
        with self._change:
            self._stopping.set()
            self._change.notify()
        if self._thread is not None:
            self._thread.join()

    def _send(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._rung or self._stopping.is_set())
                names, self._rung = sorted(self._rung), set()
            if not names:
                return
            try:
                with self._engine.begin() as connection:
                    due.hint_now(connection, names)
                    connection.exec_driver_sql(_RING, (CHANNEL, names))
            except SQLAlchemyError as trouble:
                _log.warning("doorbell.lost", trouble=type(trouble).__name__)
            self._stopping.wait(REST_S)


class Listener:
    """Hears the doorbells of all processes and passes each tenant on."""

    def __init__(self, engine: Engine, heard: Callable[[Tenant], None]) -> None:
        self._engine = engine
        self._heard = heard
        self._stopping = threading.Event()
        self.is_listening = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop hearing; takes a fifth of a second."""
        self._stopping.set()
        self._thread.join()

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._connect() as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self.is_listening.set()
                    self._hear(connection)
            except (SQLAlchemyError, psycopg.Error) as trouble:
                _log.warning("listener.lost", trouble=type(trouble).__name__)
                self._stopping.wait(_RECONNECT_AFTER_S)

    def _hear(self, connection: psycopg.Connection[Any]) -> None:
        while not self._stopping.is_set():
            for note in connection.notifies(timeout=_HEAR_FOR_S):
                try:
                    self._heard(Tenant(note.payload))
                except BadTenantName:
                    _log.warning("listener.not_ours", payload=note.payload[:40])

    def _connect(self) -> psycopg.Connection[Any]:
        """A connection of our own, outside the pool: it listens for as long as we live."""
        pooled = self._engine.raw_connection()
        raw = pooled.driver_connection
        if not isinstance(raw, psycopg.Connection):
            raise Broken("the doorbell needs psycopg", driver=type(raw).__name__)
        pooled.detach()
        raw.autocommit = True
        return raw
