"""The auditor's door: what the login reads, with words on every column, and what it cannot do."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import text

from kernel.database import Tenant, connect, snapshot, transaction
from kernel.embedded import EmbeddedServer
from kernel.money import EXPONENTS, format_minor
from ledger.chart import CHART
from ledger.service import post
from migrations import runner
from tests.fixtures.databases import TestDatabase, cloned_database
from tests.ledger.audited_books import auditor_of
from tests.ledger.drafts import fund, wallet

OTHER: Final = Tenant("other")


@pytest.fixture(scope="module")
def audited(server: EmbeddedServer, tenant: Tenant) -> Iterator[TestDatabase]:
    """A database with two tenants; in one a wallet was filled in euro, in yen and in dinar."""
    with ExitStack() as stack:
        database = stack.enter_context(cloned_database(server))
        runner.create_tenant(database.owner_url, OTHER)
        engine = connect(database.app_url)
        stack.callback(engine.dispose)
        with transaction(engine, tenant) as connection:
            drafts = [fund(12_345, wallet("ann", each)) for each in ("EUR", "JPY", "KWD")]
            assert len(post(connection, drafts)) == 3
        yield database


@pytest.fixture(scope="module")
def login(audited: TestDatabase, tenant: Tenant) -> Iterator[str]:
    """The conninfo of an auditor of the first tenant."""
    with auditor_of(audited, tenant) as conninfo:
        yield conninfo


@pytest.fixture
def auditor(login: str) -> Iterator[psycopg.Connection]:
    """A session of the auditor."""
    with psycopg.connect(login, autocommit=True) as connection:
        yield connection


def test_every_view_and_every_column_says_what_it_means(auditor: psycopg.Connection) -> None:
    """No audit view and no column of one is without a comment, and the auditor can read it."""
    silent = auditor.execute("""
        SELECT c.relname, a.attname
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE c.relnamespace = 'tenant_test'::regnamespace AND starts_with(c.relname, 'audit_')
            AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL)
    """).fetchall()
    views = list_views(auditor)

    assert silent == []
    assert len(views) > 25
    for view in views:
        auditor.execute(f"SELECT * FROM {view} LIMIT 1")


def test_the_auditor_has_a_right_on_the_views_alone(auditor: psycopg.Connection) -> None:
    """Over the whole catalogue: views of his tenant may be read, and nothing else is his."""
    may = auditor.execute("""
        SELECT c.oid::regclass::text, has_table_privilege(c.oid, 'SELECT'),
               has_any_column_privilege(c.oid, 'INSERT, UPDATE, REFERENCES')
                   OR has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
            AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    """).fetchall()
    readable = {name for name, reads, _ in may if reads}
    sequences = auditor.execute("""
        SELECT c.relname FROM pg_class c
        WHERE CASE WHEN c.relkind = 'S'
            THEN has_sequence_privilege(c.oid, 'SELECT, USAGE, UPDATE') END
    """).fetchall()

    assert readable == set(list_views(auditor))
    assert [name for name, _, writes in may if writes] == []
    assert sequences == []


def test_the_auditor_can_make_nothing_and_become_nobody(auditor: psycopg.Connection) -> None:
    """No CREATE on any schema or database, no role but his group, no attribute of power."""
    schemas = auditor.execute("""
        SELECT nspname FROM pg_namespace WHERE has_schema_privilege(oid, 'CREATE')
            AND NOT starts_with(nspname, 'pg_toast_temp') AND NOT starts_with(nspname, 'pg_temp')
    """).fetchall()
    database = auditor.execute(
        "SELECT has_database_privilege(current_database(), 'CREATE, TEMPORARY')"
    ).fetchone()
    roles = auditor.execute("""
        SELECT rolname, pg_has_role(current_user, oid, 'SET') FROM pg_roles
        WHERE pg_has_role(current_user, oid, 'MEMBER') AND rolname <> current_user
    """).fetchall()
    attributes = auditor.execute("""
        SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
        FROM pg_roles WHERE rolname = current_user
    """).fetchone()
    powerful = auditor.execute("""
        SELECT p.oid::regprocedure::text FROM pg_proc p
        JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE p.prosecdef AND n.nspname <> 'pg_catalog' AND has_schema_privilege(n.oid, 'USAGE')
            AND has_function_privilege(p.oid, 'EXECUTE')
    """).fetchall()

    assert schemas == []
    assert database == (False,)
    assert roles == [("holdfast_auditor_test", False)]
    assert attributes == (False,)
    assert powerful == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM event",
        "SELECT * FROM tenant_test.idempotency",
        "SELECT token FROM payout_method",
        "SELECT * FROM holdfast.api_key",
        "SELECT * FROM tenant_other.audit_event",
        "SELECT * FROM tenant_other.event",
        "INSERT INTO audit_party (party_id) VALUES (gen_random_uuid())",
        "UPDATE audit_hold SET reason = 'none'",
        "DELETE FROM audit_contract",
        "TRUNCATE event",
        "DROP VIEW audit_event",
        "CREATE VIEW mine AS SELECT 1",
        "CREATE TEMPORARY TABLE mine (a int)",
        "SELECT lo_create(0)",
        "SELECT nextval('batch_id_seq')",
        "SELECT clock_now()",
        "SELECT * FROM stored_answers('{}', '{}')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SET log_statement = 'none'",
        "SET temp_file_limit = -1",
        "SET ROLE holdfast_owner",
        "SET ROLE holdfast_tenant_test",
        "SET SESSION AUTHORIZATION holdfast_app",
        "ALTER ROLE holdfast_owner PASSWORD 'x'",
    ],
)
def test_what_is_not_his_is_refused_even_after_he_says_read_write(
    auditor: psycopg.Connection, statement: str
) -> None:
    """Reading a table, another tenant or a secret, and every way to write, lack the right."""
    auditor.execute("SET default_transaction_read_only = off")

    with pytest.raises(errors.InsufficientPrivilege):
        auditor.execute(statement.encode())


def test_a_session_begins_read_only_and_short_of_time(
    auditor: psycopg.Connection, login: str
) -> None:
    """What a mistake could cost is bounded, and a query that runs too long is ended."""
    shown = {
        name: auditor.execute(f"SHOW {name}").fetchone()
        for name in ("transaction_read_only", "statement_timeout", "log_statement", "search_path")
    }
    hurried = "-c statement_timeout=20"
    with psycopg.connect(login, options=hurried) as short, pytest.raises(errors.QueryCanceled):
        short.execute("SELECT count(*) FROM generate_series(1, 100000000000)")

    assert shown == {
        "transaction_read_only": ("on",),
        "statement_timeout": ("5min",),
        "log_statement": ("all",),
        "search_path": ("tenant_test",),
    }


def test_amounts_are_exact_in_every_currency(auditor: psycopg.Connection) -> None:
    """Debit and credit stand in minor units and in the currency's decimals, three for dinar."""
    rows = auditor.execute("""
        SELECT currency, debit_minor, credit_minor, debit::text, credit::text, balance_after::text
        FROM audit_line WHERE account_kind = 'custody.wallet' ORDER BY currency
    """).fetchall()

    assert rows == [
        ("EUR", 0, 12_345, "0.00", "123.45", "-123.45"),
        ("JPY", 0, 12_345, "0", "12345", "-12345"),
        ("KWD", 0, 12_345, "0.000", "12.345", "-12.345"),
    ]


def test_a_minor_unit_is_worth_what_money_says(audited: TestDatabase) -> None:
    """For each currency, also at the edge of what a balance can be."""
    owner = connect(audited.owner_url, pool_size=1)
    with owner.begin() as connection:
        rows = connection.execute(
            text(
                "SELECT code, (unit * 4611686018427387904)::text AS worth"
                " FROM tenant_test.currency_unit"
            )
        ).all()
    owner.dispose()

    expected = {code: format_minor(2**62, code) for code in EXPONENTS}
    assert {row.code: row.worth for row in rows} == expected


def test_every_kind_of_account_has_words(auditor: psycopg.Connection) -> None:
    """The chart in words has each kind of the chart, and a sentence for each."""
    rows = auditor.execute("SELECT account_kind, account_name, meaning FROM audit_account_kind")

    words = {kind: (name, meaning) for kind, name, meaning in rows}
    assert set(words) == set(CHART)
    assert [kind for kind, (name, meaning) in words.items() if name == kind or not meaning] == []


def test_a_line_that_nothing_explains_is_still_shown(audited: TestDatabase, login: str) -> None:
    """Who slips a line past every guard does not hide it from the auditor."""
    url = audited.admin_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(url) as admin, psycopg.connect(login, autocommit=True) as auditor:
        admin.execute("SET session_replication_role = replica")
        admin.execute("SET search_path = tenant_test")
        admin.execute(
            "INSERT INTO line (account_id, account_seq, event_id, amount_minor, entry_no, line_no,"
            " balance_after_minor, effective_at, recorded_at)"
            " VALUES (1, 999, 77, 5, 1, 1, 5, '2026-03-02', '2026-03-02')"
        )
        admin.commit()
        seen = auditor.execute("SELECT event_kind, book FROM audit_line WHERE event_id = 77")

        assert seen.fetchall() == [(None, None)]
        admin.execute("DELETE FROM line WHERE event_id = 77")


def test_the_program_reads_the_views_too(audited: TestDatabase, tenant: Tenant) -> None:
    """As the tenant's role: `holdfast audit tests` needs no other login."""
    engine = connect(audited.app_url)
    with snapshot(engine, tenant) as connection:
        count = connection.execute(text("SELECT count(*) FROM audit_line")).scalar_one()
    engine.dispose()

    assert count == 6


def list_views(auditor: psycopg.Connection) -> list[str]:
    return [
        name
        for (name,) in auditor.execute(
            "SELECT viewname FROM pg_views WHERE schemaname = 'tenant_test'"
            " AND starts_with(viewname, 'audit_')"
        )
    ]
