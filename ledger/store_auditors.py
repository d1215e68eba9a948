"""SQL of the auditors' logins: roles of the server, each a member of its tenant's group."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from psycopg import sql
from sqlalchemy import Connection

from kernel.database import Tenant, driver

# What a session begins with. Whoever has the login may change these for himself: they protect the
# server from mistakes. What he may read, and that he may write nothing, rests on his rights.
SETTINGS: Final = (
    ("default_transaction_read_only", "on"),
    ("default_transaction_isolation", "repeatable read"),
    ("statement_timeout", "5min"),
    ("idle_in_transaction_session_timeout", "5min"),
    ("lock_timeout", "10s"),
    ("work_mem", "32MB"),
    ("timezone", "UTC"),
)

# What he cannot change. It takes a superuser's leave to set them for anybody.
GUARDED: Final = (("log_statement", "all"), ("temp_file_limit", "2GB"))

_CONNECTIONS: Final = 5

_LIST: Final = """
SELECT r.rolname AS login, nullif(r.rolvaliduntil, 'infinity') AS until, r.rolconnlimit AS sessions,
       (SELECT count(*) FROM pg_stat_activity s WHERE s.usesysid = r.oid) AS connected,
       coalesce((SELECT array_agg(v) FROM pg_db_role_setting d, unnest(d.setconfig) v
                 WHERE d.setrole = r.oid), '{}') AS settings
FROM pg_auth_members m
JOIN pg_roles g ON g.oid = m.roleid
JOIN pg_roles r ON r.oid = m.member
WHERE g.rolname = %s AND r.rolcanlogin
ORDER BY r.rolname
"""

_MAY_SET: Final = "SELECT has_parameter_privilege(%s, 'SET')"

_MAY_CONNECT: Final = "SELECT has_database_privilege(%s, current_database(), 'CONNECT')"

_DATABASE: Final = "SELECT current_database()"

_END_SESSIONS: Final = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = %s
"""


class LoginRow(NamedTuple):
    """One login as the server knows it."""

    login: str
    until: datetime | None
    sessions: int
    connected: int
    settings: Sequence[str]


def enter_as_owner(connection: Connection, tenant: Tenant) -> None:
    """See the tenant's tables as their owner, until the end of the transaction."""
    driver(connection).execute("SELECT set_config('search_path', %s, true)", (tenant.search_path,))


def list_logins(connection: Connection, tenant: Tenant) -> list[LoginRow]:
    """The logins of a tenant's auditors, by name."""
    rows = driver(connection).execute(_LIST, (tenant.auditor_role,))
    return [LoginRow(*row) for row in rows]


def add_login(
    connection: Connection, tenant: Tenant, login: str, *, password: str, until: datetime | None
) -> list[str]:
    """Make a login of the tenant's group; the statements that only a superuser may still run.

    The server is sent the verifier of the password, never the password.
    """
    raw = driver(connection)
    role, group = sql.Identifier(login), sql.Identifier(tenant.auditor_role)
    verifier = raw.pgconn.encrypt_password(password.encode(), login.encode()).decode("ascii")
    raw.execute(
        sql.SQL(
            "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
            " CONNECTION LIMIT {} PASSWORD {} VALID UNTIL {}"
        ).format(role, _CONNECTIONS, verifier, until.isoformat() if until else "infinity")
    )
    raw.execute(sql.SQL("GRANT {} TO {} WITH INHERIT TRUE, SET FALSE").format(group, role))
    for name, value in (("search_path", tenant.schema), *SETTINGS):
        raw.execute(_set(login, name, value))
    missing = []
    for name, value in GUARDED:
        statement = _set(login, name, value)
        if raw.execute(_MAY_SET, (name,)).fetchone() == (True,):
            raw.execute(statement)
        else:
            missing.append(statement.as_string(raw))
    if raw.execute(_MAY_CONNECT, (login,)).fetchone() != (True,):
        named = raw.execute(_DATABASE).fetchone()
        assert named is not None
        grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
        missing.append(grant.format(sql.Identifier(named[0]), group).as_string(raw))
    return missing


def remove_login(connection: Connection, tenant: Tenant, login: str) -> int:
    """Take the rights away, end the login's sessions and drop it; how many were ended."""
    raw = driver(connection)
    role, group = sql.Identifier(login), sql.Identifier(tenant.auditor_role)
    raw.execute(sql.SQL("REVOKE {} FROM {}").format(group, role))
    # Who ends a session must have the rights of its role.
    raw.execute(sql.SQL("GRANT {} TO CURRENT_USER WITH INHERIT TRUE").format(role))
    ended = raw.execute(_END_SESSIONS, (login,)).fetchone()
    assert ended is not None
    raw.execute(sql.SQL("DROP ROLE {}").format(role))
    return int(ended[0])


def _set(login: str, name: str, value: str) -> sql.Composed:
    return sql.SQL("ALTER ROLE {} SET {} = {}").format(
        sql.Identifier(login), sql.Identifier(name), value
    )
