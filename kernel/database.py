"""Connections and transactions: one tenant, one schema, one role, committed only by the opener.

A tenant is a PostgreSQL schema `tenant_<name>` with a NOLOGIN role of the same name
prefixed by `holdfast_`. A transaction starts by taking that role and search path locally, so a
statement without a schema name can only reach the tenant's own tables.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.pool import StaticPool

from kernel.copying import teach
from kernel.errors import Broken, Refusal

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,30}", re.ASCII)


class BadTenantName(Refusal):
    """A tenant's name is a small letter, then up to thirty small letters, digits, underscores."""

    code = "tenant.bad_name"


@dataclass(frozen=True, slots=True)
class Tenant:
    """One marketplace, named once; its schema and role follow from the name."""

    name: str

    def __post_init__(self) -> None:
        """Refuse a name that could not be written into SQL as it is."""
        if _NAME.fullmatch(self.name) is None:
            raise BadTenantName(name=self.name[:40])

    @property
    def schema(self) -> str:
        """The PostgreSQL schema that holds everything of this tenant."""
        return f"tenant_{self.name}"

    @property
    def search_path(self) -> str:
        """The schema alone; temporary tables last, so that none stands in for a real one."""
        return f"{self.schema}, pg_temp"

    @property
    def role(self) -> str:
        """The NOLOGIN role that may touch this tenant's schema and nothing else."""
        return f"holdfast_tenant_{self.name}"

    @property
    def auditor_role(self) -> str:
        """The NOLOGIN role that may read this tenant's audit views and nothing else."""
        return f"holdfast_auditor_{self.name}"


_PLACE: Final = "holdfast.place"


def connect(url: str, *, pool_size: int = 5, max_overflow: int = 10) -> Engine:
    """An engine for our database; every session is set to UTC and plain compilation (no JIT)."""
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_pre_ping=True,
        connect_args={"options": "-c timezone=UTC -c jit=off"},
    )

    @event.listens_for(engine, "connect")
    def _prepare_at_once(driver_connection: psycopg.Connection[Any], _record: object) -> None:
        driver_connection.prepare_threshold = 1
        teach(driver_connection)

    return engine


def enter(connection: Connection, tenant: Tenant) -> None:
    """Take the tenant's role and search path until the end of the running transaction."""
    connection.exec_driver_sql(
        "SELECT set_config('role', %s, true), set_config('search_path', %s, true)",
        (tenant.role, tenant.search_path),
    )
    where = driver(connection).info
    connection.info[_PLACE] = (where.host, where.port, where.dbname, tenant.search_path)


def place_of(connection: Connection) -> tuple[object, ...] | None:
    """Which tenant of which database a connection has entered: the name of what is kept of it.

    None before `enter`. Ids are chosen by callers, so no id names a row of all tenants together.
    """
    place: tuple[object, ...] | None = connection.info.get(_PLACE)
    return place


@contextmanager
def transaction(engine: Engine, tenant: Tenant) -> Iterator[Connection]:
    """One READ COMMITTED transaction of one tenant; commits at the end, rolls back on error."""
    with engine.begin() as connection:
        enter(connection, tenant)
        yield connection


@contextmanager
def snapshot(engine: Engine, tenant: Tenant) -> Iterator[Connection]:
    """One REPEATABLE READ, READ ONLY transaction: every statement sees the same books."""
    with engine.connect() as connection:
        reading = connection.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        with reading.begin():
            enter(reading, tenant)
            yield reading


class _Adopted(PGDialect_psycopg):
    """Speaks on a connection whose transaction is somebody else's: it is his to end, not ours.

    Without it the first use of an engine rolls back whatever its connection has done so far.
    """

    supports_statement_cache = True

    def on_connect(self) -> None:
        """Add no handler of notices: one more would stay at each adoption."""

    def do_commit(self, dbapi_connection: object) -> None:
        """Leave it to the caller."""

    def do_rollback(self, dbapi_connection: object) -> None:
        """Leave it to the caller."""


registry.register("postgresql.adopted", __name__, "_Adopted")


@contextmanager
def adopt(driver_connection: psycopg.Connection[Any], tenant: Tenant) -> Iterator[Connection]:
    """Use the caller's own psycopg connection: its transaction stays his to commit.

    The search path and role are put back at the end, whatever happened inside, so that the
    caller's own statements before and after see his own tables.
    """
    before = driver_connection.execute(
        "SELECT current_setting('role'), current_setting('search_path')"
    ).fetchone()
    if before is None:
        raise Broken("a SELECT without FROM answered no row")
    if driver_connection.info.transaction_status != TransactionStatus.INTRANS:
        raise Broken("a connection in autocommit has no transaction to share")
    teach(driver_connection)
    engine = create_engine(
        "postgresql+adopted://",
        creator=lambda: driver_connection,
        poolclass=StaticPool,
        pool_reset_on_return=None,
    )
    try:
        with engine.connect() as connection:
            enter(connection, tenant)
            yield connection
    finally:
        if driver_connection.info.transaction_status == TransactionStatus.INTRANS:
            driver_connection.execute(
                "SELECT set_config('role', %s, true), set_config('search_path', %s, true)", before
            )


def driver(connection: Connection) -> psycopg.Connection[Any]:
    """The psycopg connection underneath, for COPY and array statements of the hot paths."""
    raw = connection.connection.driver_connection
    if not isinstance(raw, psycopg.Connection):
        raise Broken(
            "Holdfast speaks to PostgreSQL through psycopg only", driver=type(raw).__name__
        )
    return raw
