"""A database with committed history for the guards of the books, seen as app and as owner."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from kernel.database import Tenant, connect, enter, transaction
from kernel.embedded import EmbeddedServer
from tests.fixtures.databases import TestDatabase, cloned_database
from tests.ledger.raw_rows import draw, insert, transfer, write


@pytest.fixture(scope="module")
def history(server: EmbeddedServer, tenant: Tenant) -> Iterator[TestDatabase]:
    """A database in which one batch is committed: 10.00 EUR moved into Ann's wallet."""
    with ExitStack() as stack:
        database = stack.enter_context(cloned_database(server))
        engine = connect(database.app_url)
        stack.callback(engine.dispose)
        with transaction(engine, tenant) as connection:
            march = {"during": "[2026-03-01 00:00:00+00,2026-04-01 00:00:00+00)"}
            insert(connection, "period", [march])
            write(connection, draw(connection, transfer(1_000)))
        yield database


@pytest.fixture(params=["app", "owner"])
def books(
    request: pytest.FixtureRequest, history: TestDatabase, tenant: Tenant
) -> Iterator[Connection]:
    """A transaction on the books with history: as the tenant's role, then as holdfast_owner.

    It is rolled back; what a test leaves in it must pass the checks of its commit.
    """
    is_owner = request.param == "owner"
    url = history.owner_url if is_owner else history.app_url
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection, connection.begin() as running:
        if is_owner:
            path = "SELECT set_config('search_path', %s, true)"
            connection.exec_driver_sql(path, (tenant.schema,))
        else:
            enter(connection, tenant)
        yield connection
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        running.rollback()
