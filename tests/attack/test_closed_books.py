"""A closed month and a sealed log under old snapshots and wrong clocks."""

from datetime import UTC, datetime, timedelta

import pytest
from psycopg import errors
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from kernel.database import Tenant, enter, transaction
from ledger.seal import seal
from ledger.service import post
from tests.ledger.drafts import fund, wallet
from tests.ledger.period_rows import IN_MARCH, close, period_at, soft_close

COUNT = "SELECT count(*) FROM event WHERE entry_count > 0"


def test_an_old_snapshot_posts_nothing_into_a_month_that_was_closed_meanwhile(
    own_engine: Engine, tenant: Tenant
) -> None:
    """A transaction that still sees the month open is refused at its commit."""
    with transaction(own_engine, tenant) as connection:
        post(connection, [fund(1, wallet("first"), at=IN_MARCH)])
    period_id = period_at(own_engine, tenant, IN_MARCH)
    with own_engine.connect() as plain:
        late = plain.execution_options(isolation_level="REPEATABLE READ")
        running = late.begin()
        enter(late, tenant)
        late.exec_driver_sql(COUNT)
        with transaction(own_engine, tenant) as connection:
            assert soft_close(connection, period_id).is_done
        with transaction(own_engine, tenant) as connection:
            seal(connection, at=datetime.now(UTC))
        with transaction(own_engine, tenant) as connection:
            assert close(connection, period_id).is_done

        def post_late() -> None:
            post(late, [fund(5, wallet("ann"), at=IN_MARCH)])
            running.commit()

        with pytest.raises((errors.SerializationFailure, OperationalError)):
            post_late()
        running.close()

    with transaction(own_engine, tenant) as connection:
        assert connection.exec_driver_sql(COUNT).scalar_one() == 1


def test_a_clock_that_runs_ahead_does_not_stop_the_sealer(connection: Connection) -> None:
    """The program's machine may be minutes ahead of the database's: blocks get the earlier time."""
    post(connection, [fund(1, wallet("ann"))])

    sealed = seal(connection, at=datetime.now(UTC) + timedelta(minutes=10))

    assert sealed.event_count == 1
    assert sealed.sealed_at is not None
    assert sealed.sealed_at < datetime.now(UTC) + timedelta(minutes=1)
