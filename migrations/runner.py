"""Bring a database to the schema of this version: roles, the shared schema, each tenant's schema.

`prepare_roles` wants a login that may create roles (the embedded server's superuser, or a DBA's
own). Everything else runs as `holdfast_owner`, which owns all objects; the program itself logs in
as `holdfast_app` and can only become a tenant's role.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from kernel.database import Tenant
from kernel.errors import Refusal

OWNER: Final = "holdfast_owner"
APP: Final = "holdfast_app"
SHARED_SCHEMA: Final = "holdfast"

_HERE: Final = Path(__file__).parent

# Several processes may start at once; one of them migrates, the others wait for it.
_MIGRATION_LOCK: Final = 0x686F6C64

# Only a database that holds none of a tenant's own names is safe to search by bare name.
_PUBLIC_IS_CLOSED: Final = "REVOKE CREATE ON SCHEMA public FROM PUBLIC"


class UnknownTenant(Refusal):
    """No tenant has this name."""

    code = "tenant.unknown"


class TenantExists(Refusal):
    """A tenant of this name is there already."""

    code = "tenant.exists"


def prepare_roles(admin_url: str, *, logins: Sequence[str] = ()) -> None:
    """Create the roles owner and app where they lack, and let the owner create in this database.

    Args:
        admin_url: a login that may create roles.
        logins: URLs; a role that is created takes its password from the one that names it. The
            server is sent the verifier of a password, never the password.
    """
    engine = create_engine(admin_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        known = set(connection.scalars(text("SELECT rolname FROM pg_roles")))
        for role, rights in ((OWNER, "CREATEROLE"), (APP, "NOINHERIT")):
            if role not in known:
                verifier = _verifier(connection, role, logins)
                connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN {rights}{verifier}")
        database = connection.execute(text("SELECT quote_ident(current_database())")).scalar_one()
        connection.exec_driver_sql(f"GRANT CREATE, CONNECT ON DATABASE {database} TO {OWNER}")
        connection.exec_driver_sql(f"GRANT CONNECT ON DATABASE {database} TO {APP}")
        connection.exec_driver_sql(f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
        connection.exec_driver_sql(_PUBLIC_IS_CLOSED)
        _prepare_for_auditors(connection)


def _prepare_for_auditors(connection: Connection) -> None:
    """What only a superuser may give: owners who log auditors' statements, no large objects.

    Without him both are left as they are; `holdfast auditor grant` then says what a DBA can do.
    """
    if connection.scalar(text("SELECT current_setting('is_superuser')")) != "on":
        return
    for parameter in ("log_statement", "temp_file_limit"):
        known = text("SELECT has_parameter_privilege(:role, :parameter, 'SET')")
        if not connection.scalar(known, {"role": OWNER, "parameter": parameter}):
            connection.exec_driver_sql(f"GRANT SET ON PARAMETER {parameter} TO {OWNER}")
    for maker in ("lo_creat(integer)", "lo_create(oid)", "lo_from_bytea(oid, bytea)"):
        known = text("SELECT has_function_privilege('public', :maker, 'EXECUTE')")
        if connection.scalar(known, {"maker": maker}):
            connection.exec_driver_sql(f"REVOKE EXECUTE ON FUNCTION {maker} FROM PUBLIC")


def _verifier(connection: Connection, role: str, logins: Sequence[str]) -> str:
    """The clause that gives a new role its password; empty where no URL holds one."""
    for url in map(make_url, logins):
        if url.username == role and url.password:
            raw = connection.connection.driver_connection
            assert isinstance(raw, psycopg.Connection)
            hashed = raw.pgconn.encrypt_password(str(url.password).encode(), role.encode())
            return f" PASSWORD '{hashed.decode('ascii')}'"
    return ""


def upgrade_shared(owner_url: str) -> None:
    """Bring the schema `holdfast` (tenants, keys, hints) to this version."""
    engine = create_engine(owner_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SHARED_SCHEMA}")
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {SHARED_SCHEMA} TO {APP}")
        connection.exec_driver_sql(f"SET LOCAL search_path TO {SHARED_SCHEMA}, pg_temp")
        command.upgrade(_config("shared", connection), "head")


def create_tenant(owner_url: str, tenant: Tenant) -> None:
    """Make the tenant's role and schema and bring it to this version; refuses a known name."""
    engine = create_engine(owner_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        if tenant.name in list_tenants(connection):
            raise TenantExists(tenant=tenant.name)
        known = connection.scalars(
            text("SELECT rolname FROM pg_roles WHERE rolname = :role"), {"role": tenant.role}
        )
        if not list(known):
            connection.exec_driver_sql(f"CREATE ROLE {tenant.role} NOLOGIN")
            connection.exec_driver_sql(f"GRANT {tenant.role} TO {APP} WITH INHERIT FALSE, SET TRUE")
        connection.exec_driver_sql(f"CREATE SCHEMA {tenant.schema}")
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {tenant.schema} TO {tenant.role}")
        connection.execute(
            text(f"INSERT INTO {SHARED_SCHEMA}.tenant (name) VALUES (:name)"),
            {"name": tenant.name},
        )
        _upgrade_schema(connection, tenant)


def upgrade_tenants(owner_url: str) -> list[str]:
    """Bring every tenant's schema to this version, each in its own transaction; their names."""
    engine = create_engine(owner_url, poolclass=NullPool)
    with engine.connect() as connection:
        names = list_tenants(connection)
    for name in names:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            _upgrade_schema(connection, Tenant(name))
    return names


def list_tenants(connection: Connection) -> list[str]:
    """The names of all tenants, in order."""
    return list(connection.scalars(text(f"SELECT name FROM {SHARED_SCHEMA}.tenant ORDER BY name")))


def head(branch: str) -> str | None:
    """The newest revision of a branch (`shared` or `tenant`) that this version of ours knows."""
    return ScriptDirectory(str(_HERE / branch)).get_current_head()


def revision(connection: Connection, schema: str) -> str | None:
    """The revision that a schema of the database stands at; None where it was never migrated."""
    options = {"version_table_schema": schema}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def _upgrade_schema(connection: Connection, tenant: Tenant) -> None:
    connection.execute(
        text(
            "SELECT set_config('search_path', :schema, true),"
            " set_config('holdfast.tenant_role', :role, true),"
            " set_config('holdfast.auditor_role', :auditor_role, true)"
        ),
        {
            "schema": tenant.search_path,
            "role": tenant.role,
            "auditor_role": tenant.auditor_role,
        },
    )
    command.upgrade(_config("tenant", connection), "head")


def _config(branch: str, connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE / branch))
    config.attributes["connection"] = connection
    return config
