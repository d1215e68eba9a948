"""What the database itself holds for escrow: names, sums, states, and what may not change."""

from typing import Final

import pytest
from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DatabaseError

from escrow import tables, tables_hourly
from tests.escrow.stage import Stage

DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


TABLES: Final = {
    each.name: each
    for module in (tables, tables_hourly)
    for each in vars(module).values()
    if isinstance(each, Table)
}


@pytest.mark.parametrize("table", sorted(TABLES))
def test_the_tables_are_those_of_the_migration(connection: Connection, table: str) -> None:
    """Names, order and types of the columns are what the program believes."""
    rows = connection.exec_driver_sql(
        "SELECT column_name, udt_name FROM information_schema.columns"
        " WHERE table_name = %s AND table_schema = current_schema() AND is_generated = 'NEVER'"
        " ORDER BY ordinal_position",
        (table,),
    )

    found = [(name, _short(kind)) for name, kind in rows]

    believed = [
        (column.name, _short(column.type.compile(DIALECT).lower()))
        for column in TABLES[table].columns
    ]
    assert found == believed


def _short(kind: str) -> str:
    names = {
        "int8": "bigint",
        "int4": "integer",
        "bool": "boolean",
        "bpchar": "text",
        "_text": "text[]",
    }
    return names.get(kind, kind).replace("timestamp with time zone", "timestamptz")


BROKEN = {
    "slot_money_adds_up": "UPDATE slot SET held_minor = held_minor + 1, version = version + 1",
    "slot_version_rises": "UPDATE slot SET notices = 1",
    "slot_state_is_known": (
        "UPDATE slot SET state = 'lost', released_minor = held_minor, held_minor = 0,"
        " fee_deferred_minor = 0, version = version + 1"
    ),
    "slot_holds_money_in_its_states": "UPDATE slot SET state = 'released', version = version + 1",
    "slot_uncleared_is_held": (
        "UPDATE slot SET uncleared_minor = held_minor + 1, version = version + 1"
    ),
    "slot_submitted_has_a_submission": (
        "UPDATE slot SET state = 'submitted', submission_no = 0, version = version + 1"
    ),
    "funding_refunds_within_captured": "UPDATE funding SET refunded_minor = captured_minor + 1",
    "funding_captured_as_asked": "UPDATE funding SET captured_minor = captured_minor - 1",
    "funding_one_open_per_slot": (
        "INSERT INTO funding SELECT gen_random_uuid(), contract_id, slot_id, purpose, method,"
        " rail_account, currency, amount_minor, client_fee_minor, 'created', 1, created_at,"
        " 0, 0, 0, '', '', NULL, '' FROM funding CROSS JOIN generate_series(1, 2)"
    ),
    "lot_gone_within_amount": "UPDATE lot SET gone_minor = amount_minor + 1",
    "contract_state_is_known": "UPDATE contract SET state = 'open'",
}


@pytest.mark.parametrize("rule", BROKEN)
def test_the_database_refuses(connection: Connection, rule: str) -> None:
    """The rule is a constraint with a name, whoever writes."""
    Stage(connection).ready()

    with pytest.raises(DatabaseError, match=rule), connection.begin_nested():
        connection.exec_driver_sql(BROKEN[rule])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE contract SET commission_bps = 0",
        "UPDATE contract SET release_rule = 'client_only'",
        "UPDATE slot SET contract_id = gen_random_uuid()",
        "UPDATE funding SET amount_minor = 1",
        "UPDATE release SET commission_minor = 0",
        "UPDATE refund SET amount_minor = 1",
        "UPDATE submission SET message_ref = 'other'",
        "DELETE FROM slot",
        "DELETE FROM funding",
        "TRUNCATE lot CASCADE",
    ],
)
def test_what_is_pinned_stays(connection: Connection, statement: str) -> None:
    """The tenant's role has no right to change terms, amounts or history."""
    Stage(connection).submitted()

    with pytest.raises(DatabaseError, match="permission denied"), connection.begin_nested():
        connection.exec_driver_sql(statement)
