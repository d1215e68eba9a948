"""The tests' own ground: a test's role, its database, and that it uses no network."""

import socket

import pytest
from sqlalchemy import Connection, Engine, text

from kernel.database import Tenant, transaction
from tests.fixtures.network import NetworkUsed


def test_a_connection_is_inside_the_tenants_transaction(
    connection: Connection, tenant: Tenant
) -> None:
    """A service under test has the tenant's role and sees the tenant's schema alone."""
    found = connection.execute(text("SELECT current_user, current_setting('search_path')")).one()

    assert found == (tenant.role, tenant.search_path)


def test_the_owner_sees_the_same_schema(owner_connection: Connection, tenant: Tenant) -> None:
    """The owner's connection is for showing what the database refuses even to him."""
    found = owner_connection.execute(
        text("SELECT current_user, current_setting('search_path')")
    ).one()

    assert found == ("holdfast_owner", tenant.search_path)


def test_the_database_is_marked_as_one_for_tests(connection: Connection) -> None:
    """Without the mark the program would refuse a server that has fsync off."""
    marks = connection.execute(
        text("SELECT current_setting('holdfast.test_database'), current_setting('fsync')")
    ).one()

    assert marks == ("on", "off")


def test_a_database_of_ones_own_holds_what_was_committed(
    own_engine: Engine, tenant: Tenant
) -> None:
    """A race test commits for real, in a database that no other test sees."""
    with transaction(own_engine, tenant) as first:
        first.execute(text("SELECT 1"))

    with transaction(own_engine, tenant) as second:
        assert second.scalar(text("SELECT current_database() LIKE 'test\\_%'"))


def test_no_test_reaches_another_machine() -> None:
    """A connection that leaves this machine fails, whether by name or by number."""
    with pytest.raises(NetworkUsed), socket.socket() as outside:
        outside.connect(("192.0.2.1", 80))
    with pytest.raises(NetworkUsed):
        socket.getaddrinfo("bank.example", 443)
