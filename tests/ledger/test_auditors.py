"""Auditors' logins: made for an engagement, told in the log, ended with their sessions."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import count
from typing import Final

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import errors, sql
from sqlalchemy import Engine

from engine.__main__ import main
from kernel.database import Tenant, connect, transaction
from kernel.errors import Refusal
from ledger import auditors, store_auditors
from ledger.auditors import AuditorExists, BadAuditorName, DateIsPast, UnknownAuditor
from tests.fixtures.databases import TestDatabase

TODAY: Final = date(2026, 6, 1)
_NUMBERS: Final = count(1)


@pytest.fixture
def owner(own_database: TestDatabase) -> Iterator[Engine]:
    """The owner's engine on this test's own database."""
    engine = connect(own_database.owner_url, pool_size=1)
    yield engine
    engine.dispose()


@pytest.fixture
def name(owner: Engine, tenant: Tenant) -> Iterator[str]:
    """An engagement that no other process has; its login is gone at the end."""
    name = f"n{os.getpid()}_{next(_NUMBERS)}"
    yield name
    with owner.begin() as connection:
        if name in {each.name for each in auditors.list_auditors(connection, tenant)}:
            auditors.revoke(connection, tenant, name)


def grant(owner: Engine, tenant: Tenant, name: str, last_day: date | None = None) -> None:
    with owner.begin() as connection:
        auditors.grant(connection, tenant, name, last_day=last_day, today=TODAY)


def log_of(engine: Engine, tenant: Tenant, name: str) -> list[str]:
    with transaction(engine, tenant) as connection:
        rows = connection.exec_driver_sql(
            "SELECT kind FROM event WHERE subject = %s ORDER BY id", (f"auditor:{name}",)
        )
        return [kind for (kind,) in rows]


def test_a_login_lasts_through_its_last_day_and_its_password_is_never_sent(
    owner: Engine, own_engine: Engine, own_database: TestDatabase, tenant: Tenant, name: str
) -> None:
    """Until midnight after the day, in UTC; the server holds a SCRAM verifier; the log tells it."""
    with owner.begin() as connection:
        new = auditors.grant(connection, tenant, name, last_day=TODAY, today=TODAY)

    assert new.auditor.until == datetime(2026, 6, 2, tzinfo=UTC)
    assert new.auditor.is_logged
    assert new.missing == ()
    assert new.password not in repr(new)
    with psycopg.connect(own_database.admin_url.replace("+psycopg", "")) as admin:
        stored = admin.execute(
            "SELECT rolpassword FROM pg_authid WHERE rolname = %s", (new.auditor.login,)
        ).fetchone()
    assert stored is not None
    assert stored[0].startswith("SCRAM-SHA-256$")
    assert log_of(own_engine, tenant, name) == ["auditor.granted"]


def test_who_is_revoked_is_out_at_once(
    owner: Engine, own_engine: Engine, own_database: TestDatabase, tenant: Tenant, name: str
) -> None:
    """Sessions that are open end, the login is gone, and the log tells both ends."""
    grant(owner, tenant, name)
    login = auditors.login_of(tenant, name)
    conninfo = psycopg.conninfo.make_conninfo(
        own_database.admin_url.replace("+psycopg", ""), user=login
    )
    session = psycopg.connect(conninfo, autocommit=True)
    session.execute("SELECT count(*) FROM audit_event")

    with owner.begin() as connection:
        ended = auditors.revoke(connection, tenant, name)

    assert ended == 1
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT count(*) FROM audit_event")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(conninfo)
    assert log_of(own_engine, tenant, name) == ["auditor.granted", "auditor.revoked"]


def test_no_more_sessions_than_five(
    owner: Engine, own_database: TestDatabase, tenant: Tenant, name: str
) -> None:
    """The sixth is refused, so that one auditor never takes every connection."""
    grant(owner, tenant, name)
    conninfo = psycopg.conninfo.make_conninfo(
        own_database.admin_url.replace("+psycopg", ""), user=auditors.login_of(tenant, name)
    )
    sessions = [psycopg.connect(conninfo) for _ in range(5)]

    with pytest.raises(psycopg.OperationalError, match="too many connections"):
        psycopg.connect(conninfo)
    for each in sessions:
        each.close()


@pytest.mark.parametrize(
    ("wrong", "last_day", "refusal"),
    [
        ("Kpmg", None, BadAuditorName),
        ("a-b", None, BadAuditorName),
        ('x"; DROP ROLE', None, BadAuditorName),
        ("a" * 25, None, BadAuditorName),
        ("kpmg", date(2026, 5, 31), DateIsPast),
    ],
)
def test_a_bad_name_or_a_past_day_is_refused_and_makes_nothing(
    owner: Engine, tenant: Tenant, wrong: str, last_day: date | None, refusal: type[Refusal]
) -> None:
    """Before anything is written."""
    with pytest.raises(refusal):
        grant(owner, tenant, wrong, last_day)

    with owner.begin() as connection:
        assert wrong not in {each.name for each in auditors.list_auditors(connection, tenant)}


def test_a_name_is_given_once_and_only_its_own_is_revoked(
    owner: Engine, own_engine: Engine, tenant: Tenant, name: str
) -> None:
    """Twice is refused and leaves no event; so is ending who is not there."""
    grant(owner, tenant, name)

    with pytest.raises(AuditorExists):
        grant(owner, tenant, name)
    with pytest.raises(UnknownAuditor), owner.begin() as connection:
        auditors.revoke(connection, tenant, "nobody")
    assert log_of(own_engine, tenant, name) == ["auditor.granted"]


def test_an_owner_without_a_superusers_leave_says_what_is_missing(
    own_database: TestDatabase, tenant: Tenant, name: str
) -> None:
    """On a managed server the login is made all the same, with the statements for a DBA."""
    thin = sql.Identifier(f"thin_{name}")
    url = own_database.admin_url.replace("+psycopg", "")
    login = auditors.login_of(tenant, name)
    group = sql.Identifier(tenant.auditor_role)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE").format(thin))
        admin.execute(sql.SQL("GRANT {} TO {} WITH ADMIN TRUE").format(group, thin))
    engine = connect(own_database.admin_url.replace("postgres@", f"thin_{name}@"))
    try:
        with engine.begin() as connection:
            missing = store_auditors.add_login(connection, tenant, login, password="x", until=None)
            (row,) = [
                each
                for each in store_auditors.list_logins(connection, tenant)
                if each.login == login
            ]
    finally:
        engine.dispose()
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(login)))
            admin.execute(sql.SQL("DROP OWNED BY {}").format(thin))
            admin.execute(sql.SQL("DROP ROLE {}").format(thin))

    assert missing == [
        f'ALTER ROLE "{login}" SET "log_statement" = \'all\'',
        f'ALTER ROLE "{login}" SET "temp_file_limit" = \'2GB\'',
    ]
    assert "statement_timeout=5min" in row.settings
    assert "log_statement=all" not in row.settings


def test_the_program_itself_lets_nobody_in(own_engine: Engine, tenant: Tenant) -> None:
    """Its login may make no role: letting auditors in takes the owner's."""
    with pytest.raises(errors.InsufficientPrivilege), own_engine.begin() as connection:
        store_auditors.add_login(connection, tenant, "audit-test-x", password="x", until=None)


def holdfast(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_auditors_come_and_go_by_command(
    own_database: TestDatabase, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The password is shown once; the way in is one that psql takes; trouble is one sentence."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    monkeypatch.setenv("HOLDFAST_OWNER_URL", own_database.owner_url)
    made = json.loads(holdfast("auditor", "grant", name, "--until", "2199-12-31", "--json").stdout)
    listed = holdfast("auditor", "list", "--json").stdout
    again = holdfast("auditor", "grant", name)
    ended = holdfast("auditor", "revoke", name)
    unknown = holdfast("auditor", "revoke", name)
    monkeypatch.delenv("HOLDFAST_OWNER_URL")
    ownerless = holdfast("auditor", "grant", name)

    assert made["until"] == "2200-01-01T00:00:00+00:00"
    assert made["login"] in made["conninfo"]
    assert made["password"] not in listed
    assert [each["name"] for each in json.loads(listed) if each["name"] == name] == [name]
    assert (again.exit_code, ended.exit_code, unknown.exit_code) == (2, 0, 2)
    assert "HOLDFAST_OWNER_URL" in ownerless.stderr
