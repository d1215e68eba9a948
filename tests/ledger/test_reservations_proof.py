"""The proof finds what a superuser does to reservations past every guard."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Final

import pytest
from sqlalchemy import Connection

from kernel.database import Tenant, connect, snapshot, transaction
from kernel.embedded import EmbeddedServer
from kernel.ids import new_id
from kernel.principals import SYSTEM
from ledger.chart import reserved_twin
from ledger.model_reservations import PostReserved, Reserve, Target
from ledger.proof import prove
from ledger.reservations import post_reserved, reserve
from ledger.service import post
from tests.fixtures.databases import TestDatabase, cloned_database
from tests.ledger.drafts import fund, move, wallet

ANN, BEN = wallet("ann"), wallet("ben")
AT: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)

HELD: Final = "every reserved account holds what remains of its open reservations"
STEPS: Final = "every reservation stands where its steps and their events say"


@pytest.fixture(scope="module")
def reserved(server: EmbeddedServer, tenant: Tenant) -> Iterator[TestDatabase]:
    """60 of 100 set aside, 20 of them posted."""
    with ExitStack() as stack:
        database = stack.enter_context(cloned_database(server))
        engine = connect(database.app_url)
        stack.callback(engine.dispose)
        with transaction(engine, tenant) as connection:
            post(connection, [fund(100, ANN)])
            made = Reserve(
                actor=SYSTEM, reservation_id=new_id(), account=ANN, amount_minor=60, reason="x"
            )
            reserve(connection, [made], at=AT)
            paid = PostReserved(
                actor=SYSTEM, reservation_id=made.reservation_id, targets=(Target(BEN, 20),)
            )
            assert post_reserved(connection, [paid], at=AT)[0].is_done
        yield database


def test_sound_reservations_have_no_findings(reserved: TestDatabase, tenant: Tenant) -> None:
    """Reservations that nobody touched are proven, and both promises are among the asked."""
    engine = connect(reserved.app_url)
    with snapshot(engine, tenant) as connection:
        proof = prove(connection)
    engine.dispose()

    assert proof.is_clean
    assert {HELD, STEPS} <= set(proof.promises)


@pytest.fixture
def dba(reserved: TestDatabase, tenant: Tenant) -> Iterator[Connection]:
    """A superuser whom no trigger stops; rolled back."""
    engine = connect(reserved.admin_url)
    with engine.connect() as connection, connection.begin() as running:
        connection.exec_driver_sql(
            "SELECT set_config('search_path', %s, true),"
            " set_config('session_replication_role', 'replica', true)",
            (tenant.schema,),
        )
        yield connection
        running.rollback()
    engine.dispose()


def test_imported_money_goes_back_before_more_is_set_aside(dba: Connection, tenant: Tenant) -> None:
    """An import brings what lies on a twin and no reservation: one posting gives all of it back."""
    dba.exec_driver_sql("DELETE FROM reservation")
    dba.exec_driver_sql("INSERT INTO imported (size, root) VALUES (1, sha256(''))")
    dba.exec_driver_sql("SET LOCAL session_replication_role = origin")
    dba.exec_driver_sql("SELECT set_config('role', %s, true)", (tenant.role,))
    command = Reserve(
        actor=SYSTEM, reservation_id=new_id(), account=ANN, amount_minor=5, reason="x"
    )

    (before,) = reserve(dba, [command], at=AT)
    post(dba, [move(40, reserved_twin(ANN), ANN)])
    (after,) = reserve(dba, [command], at=AT)

    assert before.code == "reservation.not_reservable"
    assert after.is_done
    dba.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("UPDATE reservation SET remaining_minor = 39, posted_minor = 21", {HELD, STEPS}),
        ("UPDATE reservation SET posted_minor = 1, amount_minor = 41", {STEPS}),
        ("UPDATE reservation SET version = 5", {STEPS}),
        ("UPDATE reservation_step SET posted_minor = 19 WHERE step_no = 2", {STEPS}),
        ("UPDATE reservation_step SET event_id = 1 WHERE step_no = 2", {STEPS}),
        ("DELETE FROM reservation_step WHERE step_no = 1", {STEPS}),
        ("DELETE FROM reservation_step", {STEPS}),
        ("DELETE FROM reservation", {HELD}),
    ],
)
def test_the_proof_names_what_was_done(dba: Connection, fault: str, found: set[str]) -> None:
    """Each change of a reservation or a step that the guards did not see is found."""
    dba.exec_driver_sql(fault)

    assert {finding.promise for finding in prove(dba).findings} == found
