"""What the database itself holds of retainers and term amendments, as the tenant and as owner."""

from datetime import date
from typing import Final

import psycopg
import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from escrow.model_retainer import Every, Overage, RetainerKind, RetainerTerms
from kernel.database import Tenant, connect, transaction
from kernel.ids import new_id
from tests.escrow.stage_hybrid import Trio
from tests.escrow.test_hybrid_stories import HOURS, at, trio
from tests.fixtures.databases import TestDatabase

NAMED: Final = {
    "no_hour_by_two_terms": (
        "INSERT INTO drawdown_time VALUES (%(drawdown)s, 9, %(payee)s,"
        " '2026-03-06T08:00Z', '2026-03-06T09:00Z', false)"
    ),
    "drawdown_time_no_hour_twice": (
        "INSERT INTO drawdown_time VALUES (%(drawdown)s, 9, %(payee)s,"
        " '2026-03-06T13:00Z', '2026-03-06T13:30Z', false)"
    ),
    "drawdown_time_in_whole_minutes": (
        "INSERT INTO drawdown_time VALUES (%(drawdown)s, 9, %(payee)s,"
        " '2026-03-06T20:00:30Z', '2026-03-06T21:00Z', false)"
    ),
    "drawdown_time_is_its_payees": (
        "INSERT INTO drawdown_time VALUES (%(drawdown)s, 9, %(client)s,"
        " '2026-03-06T20:00Z', '2026-03-06T21:00Z', false)"
    ),
    "drawdown_names_its_hours": (
        "INSERT INTO drawdown (id, period_id, seq, units, amount_minor, message_ref, state,"
        " version, submitted_at, due_at) SELECT %(other)s, period_id, 9, 60, 100, 'm',"
        " 'submitted', 1, submitted_at, due_at FROM drawdown WHERE id = %(drawdown)s"
    ),
    "drawdown_charged_only_exceeding": (
        "UPDATE drawdown SET state = 'charging', version = version + 1 WHERE id = %(drawdown)s"
    ),
    "period_paused_since": (
        "UPDATE retainer_period SET paused_at = now(), version = version + 1 WHERE state = 'active'"
    ),
    "period_has_days": (
        "UPDATE retainer_period SET next_on = first_on, version = version + 1"
        " WHERE state = 'active'"
    ),
    "retainer_shifts_forward": "UPDATE retainer SET shift_days = -1, version = version + 1",
    "term_amendment_one_open_per_term": (
        "INSERT INTO term_amendment (id, contract_id, term_id, action, proposed_by, state,"
        " version, created_at) SELECT %(other)s, contract_id, term_id, 'end', 'payee',"
        " 'proposed', 1, created_at FROM term_amendment"
    ),
    "term_amendment_signed_once": (
        "UPDATE term_amendment SET state = 'signed', version = version + 1"
    ),
    "term_amendment_changes_a_whole_price": (
        "INSERT INTO term_amendment (id, contract_id, term_id, action, proposed_by, state,"
        " version, created_at, amount_minor) SELECT %(other)s, contract_id, %(milestone)s,"
        " 'change', 'payee', 'proposed', 1, created_at, 5 FROM term_amendment"
    ),
    "term_amendment_rises": "UPDATE term_amendment SET version = version + 2",
}

_BACK_BY_HAND: Final = (
    "UPDATE retainer_period SET state = 'scheduled', version = version + 1 WHERE state = 'active'"
)

STANDS: Final = (
    "DELETE FROM drawdown_time",
    "DELETE FROM term_amendment",
    "TRUNCATE drawdown_time",
)

PINNED: Final = (
    "UPDATE retainer SET overage = 'bill'",
    "UPDATE retainer SET amount_minor = 1",
    "UPDATE drawdown SET amount_minor = 1",
    "UPDATE drawdown SET exceeds = true",
    "UPDATE drawdown_time SET started_at = started_at - interval '1 hour'",
    "UPDATE term_amendment SET amount_minor = 1",
    "UPDATE retainer_period SET number = 7",
)


def prepared(connection: Connection) -> tuple[Trio, dict[str, object]]:
    """Four hours logged, two drawn after them, and an offer to end the retainer."""
    made = trio(connection, HOURS)
    made.until(date(2026, 3, 7))
    assert made.log((at(6, 8), at(6, 12))).is_done
    assert made.draw((at(6, 12), at(6, 14))).is_done
    assert made.amend(made.retainer_id, made.stage.payee).is_done
    connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    ids: dict[str, object] = {
        "drawdown": made.drawdown_id,
        "payee": made.stage.payee.party_id,
        "client": made.stage.client.party_id,
        "milestone": made.stage.slot_id,
        "other": new_id(),
    }
    return made, ids


def refused(connection: Connection, statement: str, ids: dict[str, object]) -> DBAPIError:
    point = connection.begin_nested()
    with pytest.raises(DBAPIError) as error:
        connection.exec_driver_sql(statement, ids)
    point.rollback()
    return error.value


def constraint_of(error: DBAPIError) -> str | None:
    """The name of the rule that was broken."""
    assert isinstance(error.orig, psycopg.Error)
    return error.orig.diag.constraint_name


@pytest.mark.parametrize("name", sorted(NAMED))
def test_what_the_database_refuses_by_name(connection: Connection, name: str) -> None:
    """Each rule stands in the database, whatever Python says."""
    _, ids = prepared(connection)

    error = refused(connection, NAMED[name], ids)

    assert constraint_of(error) == name


def test_what_the_program_has_no_right_to(connection: Connection) -> None:
    """What acceptance pinned and what was drawn is not changed, what stands is not taken away."""
    _, ids = prepared(connection)

    for statement in (*PINNED, *STANDS):
        assert "permission denied" in str(refused(connection, statement, ids).orig)


def test_what_even_the_owner_is_refused(own_database: TestDatabase, tenant: Tenant) -> None:
    """Rows stand, states move by the machines, and void hours stay void."""
    app: Engine = connect(own_database.app_url)
    with transaction(app, tenant) as connection:
        made, ids = prepared(connection)
        made.on_drawdown("withdraw_drawdown", made.stage.payee)
    app.dispose()
    owner = connect(own_database.owner_url)
    with owner.connect() as connection, connection.begin():
        connection.exec_driver_sql(
            "SELECT set_config('search_path', %s, true)", (tenant.search_path,)
        )
        for statement in (
            *STANDS,
            "UPDATE drawdown_time SET is_void = false",
            "UPDATE term_amendment SET state = 'signed', signed_at = now()",
            "UPDATE drawdown SET state = 'charging', version = version + 1",
            _BACK_BY_HAND,
            *(NAMED[name] for name in ("no_hour_by_two_terms", "drawdown_time_is_its_payees")),
        ):
            assert refused(connection, statement, ids).orig is not None
    owner.dispose()


def test_the_days_of_a_period_that_is_over_stay(connection: Connection) -> None:
    """Pauses move days of what runs or comes, never of what is settled."""
    made = trio(connection, HOURS)
    made.until(date(2026, 4, 6))

    error = refused(
        connection,
        "UPDATE retainer_period SET paused_days = 3, version = version + 1 WHERE state = 'settled'",
        {},
    )

    assert constraint_of(error) == "period_days_stay"


def test_an_access_fee_with_overage_is_no_row(connection: Connection) -> None:
    """Terms that Python refuses the database refuses too."""
    terms = RetainerTerms(
        kind=RetainerKind.HOURS_DRAWDOWN,
        amount_minor=1_000,
        every=Every.WEEK,
        anchor_on=date(2026, 3, 2),
        hourly_minor=100,
        overage=Overage.APPROVE,
    )
    trio(connection, terms)
    copy = (
        "INSERT INTO retainer SELECT (jsonb_populate_record(retainer, jsonb_build_object("
        "'id', %(id)s::uuid, 'kind', 'access_fee', 'hourly_minor', 0))).* FROM retainer"
    )

    error = refused(connection, copy, {"id": new_id()})

    assert constraint_of(error) == "retainer_overage_has_a_unit"
