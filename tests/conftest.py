"""What every test may ask for: a real PostgreSQL, a database of its worker's own, connections.

One server per user is shared by all pytest workers; the last one to end stops it.
Each worker has one clone of a migrated template with the tenant `test`.

- `connection`: in a transaction as the tenant's role; at the end its deferred constraints are
  checked, then it is rolled back
- `owner_connection`: the same as `holdfast_owner`, to show what the database refuses even to him
- `engine`: the program's own login on the worker's database, for `kernel.database.transaction`
- `own_engine`: the same on a database made for this one test (some 40 ms)
- `owner_engine`: the owner's login on the worker's database
- `tenant`: `Tenant("test")`
- `admin_url`, `owner_url`, `app_url`: SQLAlchemy URLs of the worker's database
- `database`, `own_database`: the three URLs together, of the worker's and of one's own
- `server`: the server itself

A test of a race needs transactions that really commit. It takes `own_engine`, so that what it
leaves behind meets no other test, and opens as many connections as there are racers:

    def test_two_releases_of_one_slot_pay_once(own_engine, tenant):
        with transaction(own_engine, tenant) as first, ThreadPoolExecutor(1) as pool:
            release(first, ...)
            second = pool.submit(release_in_its_own_transaction, own_engine, tenant)
            ...

A statement that the database shall refuse is run inside `connection.begin_nested()`, so that the
transaction lives on and its deferred constraints are still checked at the end.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine

from kernel.database import Tenant, connect, driver, enter
from kernel.embedded import EmbeddedServer
from tests.fixtures.databases import (
    SERVER_SETTINGS,
    TENANT,
    TestDatabase,
    cloned_database,
    data_dir,
)
from tests.fixtures.network import loopback_only

# How fast a machine is says nothing about the code: no example fails by the clock.
settings.register_profile(
    "untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")


def pytest_configure() -> None:
    """No test shall find the database or the settings of the person who runs it."""
    for name in list(os.environ):
        if name == "DATABASE_URL" or name.startswith(("HOLDFAST_", "MPESA_", "PAYPAL_", "STRIPE_")):
            del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    with loopback_only():
        yield


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """The server that all workers share."""
    with EmbeddedServer.start(data_dir(), settings=SERVER_SETTINGS) as server:
        yield server


@pytest.fixture(scope="session")
def database(server: EmbeddedServer) -> Iterator[TestDatabase]:
    """The worker's database."""
    with cloned_database(server) as database:
        yield database


@pytest.fixture(scope="session")
def admin_url(database: TestDatabase) -> str:
    """The superuser's URL of the worker's database."""
    return database.admin_url


@pytest.fixture(scope="session")
def owner_url(database: TestDatabase) -> str:
    """The URL of the role that owns all objects."""
    return database.owner_url


@pytest.fixture(scope="session")
def app_url(database: TestDatabase) -> str:
    """The URL of the program's own login."""
    return database.app_url


@pytest.fixture(scope="session")
def tenant() -> Tenant:
    """The tenant that every test database has."""
    return TENANT


@pytest.fixture(scope="session")
def engine(app_url: str) -> Iterator[Engine]:
    """The program's engine on the worker's database. What a test commits here, it must undo."""
    engine = connect(app_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def owner_engine(owner_url: str) -> Iterator[Engine]:
    """The owner's engine on the worker's database."""
    engine = connect(owner_url)
    yield engine
    engine.dispose()


@pytest.fixture
def own_database(server: EmbeddedServer) -> Iterator[TestDatabase]:
    """A database for this one test, which may commit what it likes."""
    with cloned_database(server) as database:
        yield database


@pytest.fixture
def own_engine(own_database: TestDatabase) -> Iterator[Engine]:
    """The program's engine on the database of this one test."""
    engine = connect(own_database.app_url)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: Engine, tenant: Tenant) -> Iterator[Connection]:
    """A transaction of the tenant, as a service receives it; rolled back."""
    with engine.connect() as connection, connection.begin() as transaction:
        enter(connection, tenant)
        yield connection
        _check_deferred(connection)
        transaction.rollback()


@pytest.fixture
def owner_connection(owner_engine: Engine, tenant: Tenant) -> Iterator[Connection]:
    """A transaction of the owner who sees the tenant's tables; rolled back."""
    with owner_engine.connect() as connection, connection.begin() as transaction:
        connection.exec_driver_sql(
            "SELECT set_config('search_path', %s, true)", (tenant.search_path,)
        )
        yield connection
        _check_deferred(connection)
        transaction.rollback()


def _check_deferred(connection: Connection) -> None:
    """A deferred constraint is silent in a transaction that rolls back, unless it is asked."""
    if driver(connection).info.transaction_status == TransactionStatus.INTRANS:
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
