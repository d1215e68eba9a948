"""What the start-up check reads of a server, and the making of the embedded server's database."""

from dataclasses import dataclass
from typing import Final

import psycopg
from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from kernel.database import Tenant, enter
from migrations import runner

_FACTS: Final = """
SELECT current_setting('server_version_num')::integer AS version_number,
    current_setting('server_version') AS version,
    current_setting('fsync') AS fsync,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('full_page_writes') AS full_page_writes,
    coalesce(current_setting('holdfast.test_database', true), '') = 'on' AS is_test,
    to_regnamespace('holdfast') IS NOT NULL AS has_schema,
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
    current_user AS login
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a server and a database say of themselves."""

    version_number: int
    version: str
    fsync: str
    synchronous_commit: str
    full_page_writes: str
    is_test: bool
    has_schema: bool
    is_superuser: bool
    login: str


def get_facts(connection: Connection) -> ServerFacts:
    """The server's version and what keeps its commits safe, and whether our schema is there."""
    row = connection.exec_driver_sql(_FACTS).one()
    return ServerFacts(**dict(zip(row._fields, row, strict=True)))


def list_outdated(connection: Connection) -> list[tuple[str, str | None]]:
    """Tenants whose schema is not at this version, with the revision that they stand at.

    Run it in a transaction; it takes each tenant's role in turn.
    """
    wanted = runner.head("tenant")
    outdated = []
    for name in runner.list_tenants(connection):
        tenant = Tenant(name)
        enter(connection, tenant)
        stands_at = runner.revision(connection, tenant.schema)
        connection.exec_driver_sql("RESET ROLE")
        if stands_at != wanted:
            outdated.append((name, stands_at))
    return outdated


def make_database(admin_url: str, *, name: str) -> bool:
    """Make a database where it lacks; whether that was needed.

    Args:
        admin_url: a superuser's URL of another database of the server.
        name: one of our own names; it is written into the statement.
    """
    assert name.isidentifier()
    url = make_url(admin_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as admin:
        found = admin.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if found is not None:
            return False
        try:
            admin.execute(f"CREATE DATABASE {name}".encode())
        except psycopg.errors.DuplicateDatabase:
            return False  # another process started at the same time
    return True
