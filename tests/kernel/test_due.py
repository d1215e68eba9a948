"""Which tenants are looked at: all while they are few, else those whose hint has come."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from kernel import due, jobs
from kernel.broker import TableBroker, actor
from kernel.database import Tenant, transaction
from migrations import runner
from tests.fixtures.databases import TestDatabase

PAST = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def tenants(own_database: TestDatabase, tenant: Tenant) -> list[Tenant]:
    """Two tenants, in order of name; neither has a hint."""
    other = Tenant("zeta")
    runner.create_tenant(own_database.owner_url, other)
    return [tenant, other]


def test_few_tenants_are_all_looked_at(own_engine: Engine, tenants: list[Tenant]) -> None:
    """With few tenants nobody depends on a hint."""
    whom = due.DueTenants(own_engine)

    assert whom() == tenants
    assert whom() == tenants


def test_many_tenants_wait_for_their_hint(own_engine: Engine, tenants: list[Tenant]) -> None:
    """After a first look at everybody only those are named whose hint has come."""
    whom = due.DueTenants(own_engine, few=1)
    with own_engine.begin() as connection:
        due.move_hint(connection, tenants[0], to=datetime.now(UTC) + timedelta(hours=1))
        due.move_hint(connection, tenants[1], to=PAST)

    assert whom() == tenants
    assert whom() == [tenants[1]]


def test_a_minute_later_everybody_is_looked_at(own_engine: Engine, tenants: list[Tenant]) -> None:
    """A lost hint costs one rescan at most."""
    whom = due.DueTenants(own_engine, few=1, rescan_s=0)

    assert whom() == tenants
    assert whom() == tenants


def test_an_earlier_hint_stays(own_engine: Engine, tenants: list[Tenant]) -> None:
    """Ringing for a tenant that is due already writes nothing; a later hint comes forward."""
    with own_engine.begin() as connection:
        due.move_hint(connection, tenants[0], to=PAST)
        due.move_hint(connection, tenants[1], to=datetime.now(UTC) + timedelta(hours=1))
        due.hint_now(connection, [one.name for one in tenants] + ["unknown"])
        hints = connection.exec_driver_sql("SELECT due_at FROM holdfast.tenant_due ORDER BY 1")
        first, second = hints.scalars()

    assert first == PAST
    assert second <= datetime.now(UTC)


def test_nothing_to_do_means_no_hint(own_engine: Engine, tenants: list[Tenant]) -> None:
    """A tenant with neither timer nor job is forgotten until it rings."""
    with own_engine.begin() as connection:
        due.hint_now(connection, [tenants[0].name])
        due.move_hint(connection, tenants[0], to=None)
        left = connection.exec_driver_sql("SELECT count(*) FROM holdfast.tenant_due").scalar_one()

    assert left == 0


def test_ringing_leaves_a_hint(own_engine: Engine, tenants: list[Tenant]) -> None:
    """The doorbell writes the hint that wakes the scanner, also if no worker hears the ring."""
    broker = TableBroker()
    broker.open(own_engine, lambda: tenants)
    count = actor(queue="default", retries=0, time_limit_s=5, broker=broker)(lambda: None)
    with transaction(own_engine, tenants[1]) as connection:
        jobs.add(connection, [count.message()])

    broker.ring(tenants[1])
    broker.close()

    whom = due.DueTenants(own_engine, few=1)
    whom()
    assert whom() == [tenants[1]]
