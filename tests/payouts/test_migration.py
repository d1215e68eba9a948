"""Payouts and methods from before version 0033 keep what they were."""

from uuid import uuid4

from alembic import command
from sqlalchemy import NullPool, create_engine, text

from kernel.database import Tenant
from migrations import runner
from tests.fixtures.databases import TestDatabase

OLD = Tenant("before")
STATES = {
    "requested": "NULL, NULL, NULL",
    "submitted": "now(), NULL, NULL",
    "paid": "now(), now(), NULL",
    "failed": "now(), NULL, now()",
    "returned": "now(), now(), now()",
    "cancelled": "NULL, NULL, now()",
}


def test_what_was_paid_and_named_before_stays_so(own_database: TestDatabase) -> None:
    """Methods stay usable from when they were named; each payout keeps its state and its times."""
    engine = create_engine(own_database.owner_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {OLD.role} NOLOGIN")
        connection.exec_driver_sql(f"CREATE SCHEMA {OLD.schema}")
        connection.execute(
            text(
                "SELECT set_config('search_path', :schema, true),"
                " set_config('holdfast.tenant_role', :role, true),"
                " set_config('holdfast.auditor_role', :auditor_role, true)"
            ),
            {"schema": OLD.search_path, "role": OLD.role, "auditor_role": OLD.auditor_role},
        )
        config = runner._config("tenant", connection)
        command.upgrade(config, "0032")
        party_id, method_id = uuid4(), uuid4()
        connection.exec_driver_sql(
            "INSERT INTO party (id, kind, kyc_state, sanction_state, reference, version,"
            " created_at) VALUES (%s, 'freelancer', 'verified', 'clear', '', 1, now())",
            (party_id,),
        )
        connection.exec_driver_sql(
            "INSERT INTO payout_method (id, party_id, token, added_at)"
            " VALUES (%s, %s, 'bank:1', now() - interval '1 hour')",
            (method_id, party_id),
        )
        for state, times in STATES.items():
            connection.exec_driver_sql(
                "INSERT INTO payout (id, payee_id, method_id, amount_minor, fee_minor, currency,"
                " state, version, rail_ref, code, charge_minor, requested_at, submitted_at,"
                " paid_at, ended_at) VALUES (%s, %s, %s, 100, 0, 'EUR', %s, 3, '', '', 0, now(),"
                f" {times})",
                (uuid4(), party_id, method_id, state),
            )

        command.upgrade(config, "0033")

        named = connection.exec_driver_sql(
            "SELECT state, rail, usable_from = added_at AS at_once FROM payout_method"
        ).one()
        kept = connection.exec_driver_sql(
            "SELECT state, rail, paid_from, version,"
            " screened_at IS NOT DISTINCT FROM submitted_at AS screened,"
            " left_at IS NOT DISTINCT FROM paid_at AS gone FROM payout"
        ).all()
        connection.rollback()
    assert tuple(named) == ("active", "simulated", True)
    assert {row.state for row in kept} == set(STATES)
    assert {tuple(row)[1:] for row in kept} == {("simulated", "", 4, True, True)}
