"""What the database refuses of chargebacks, to the tenant's role and to the owner."""

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from tests.escrow.stage import Stage
from tests.escrow.stage_chargeback import Bank

FORBIDDEN = {
    "a payment that goes back twice": (
        "UPDATE funding SET refunded_minor = captured_minor, version = version + 1",
        "funding_returned_once",
    ),
    "a balance transaction taken back": ("DELETE FROM chargeback_movement", "refused|denied"),
    "another amount of it": (
        "UPDATE chargeback_movement SET amount_minor = amount_minor + 1",
        "refused|denied",
    ),
    "the same balance transaction again": (
        "INSERT INTO chargeback_movement SELECT * FROM chargeback_movement",
        "chargeback_movement_booked_once",
    ),
    "a movement that nobody counts": (
        (
            "INSERT INTO chargeback_movement SELECT rail, 'other', chargeback_id, direction,"
            " amount_minor, disputed_minor, fee_minor, occurred_at, recorded_at"
            " FROM chargeback_movement"
        ),
        "is away|is not counted",
    ),
    "a case deleted": ("DELETE FROM chargeback", "refused|denied"),
    "pieces deleted": ("DELETE FROM chargeback_piece", "refused|denied"),
    "holds forgotten": ("DELETE FROM chargeback_hold", "refused|denied"),
    "more back than was taken": (
        "UPDATE chargeback_piece SET back_money_minor = money_minor + 1",
        "chargeback_piece_back_within_money",
    ),
    "back without a movement": (
        (
            "UPDATE chargeback_piece SET back_money_minor = 1;"
            " UPDATE chargeback SET version = version + 1"
        ),
        "is away|does not know",
    ),
    "a slot that forgets what was taken": (
        (
            "UPDATE slot SET recalled_minor = 0, charged_back_minor = recalled_minor,"
            " state = 'awaiting_funding', submission_no = 0, version = version + 1"
        ),
        "does not know its chargebacks",
    ),
    "money from nowhere": (
        "UPDATE slot SET held_minor = 10000, version = version + 1",
        "slot_money_adds_up",
    ),
    "released while it is away": (
        "UPDATE slot SET state = 'released', version = version + 1",
        "slot_holds_money_in_its_states|may not move",
    ),
    "a payment that forgets its case": (
        "UPDATE funding SET in_dispute = false, version = version + 1",
        "does not know its chargebacks",
    ),
    "a step outside the machine": (
        "UPDATE chargeback SET state = 'closed', version = version + 1",
        "may not move from",
    ),
    "a version that does not rise": ("UPDATE chargeback SET reason = 'x'", "version"),
    "evidence before the payee was heard": (
        (
            "UPDATE chargeback SET state = 'under_review', submitted_at = told_at,"
            " due_by = told_at + interval '1 day', version = version + 1"
        ),
        "before the payee was heard",
    ),
    "evidence after the deadline": (
        (
            "UPDATE chargeback SET state = 'under_review', answered_at = now(),"
            " submitted_at = due_by, version = version + 1"
        ),
        "too late",
    ),
    "settled without a decision": (
        "UPDATE chargeback SET is_settled = true, version = version + 1",
        "chargeback_settled_once_decided",
    ),
    "a statement changed": (
        "UPDATE chargeback_statement SET reference = 'other'",
        "refused|denied",
    ),
    "a notice of yesterday": ("DELETE FROM chargeback_notice", "refused|denied"),
}


def _bank(connection: Connection) -> Bank:
    bank = Bank(Stage(connection).submitted()).opened()
    assert bank.tell().is_done
    assert bank.file(bank.stage.operator).is_done
    return bank


@pytest.mark.parametrize("whose", ["connection", "owner_connection"])
@pytest.mark.parametrize(("statement", "match"), FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_the_database_refuses(
    request: pytest.FixtureRequest, whose: str, statement: str, match: str
) -> None:
    """Raw SQL cannot do what the rules forbid, not even as the owner."""
    connection: Connection = request.getfixturevalue(whose)
    _bank(connection)

    nested = connection.begin_nested()
    with pytest.raises(DBAPIError, match=match):
        _run(connection, *statement.split(";"), "SET CONSTRAINTS ALL IMMEDIATE")
    nested.rollback()


def _run(connection: Connection, *statements: str) -> None:
    for each in statements:
        connection.exec_driver_sql(each)


@pytest.mark.parametrize("whose", ["connection", "owner_connection"])
def test_what_is_lost_stays_lost(request: pytest.FixtureRequest, whose: str) -> None:
    """A loss is not made undone by writing; only money that comes back relieves of it."""
    connection: Connection = request.getfixturevalue(whose)
    bank = _bank(connection)
    assert bank.says("lost").is_done

    nested = connection.begin_nested()
    with pytest.raises(DBAPIError, match="does not go back"):
        connection.exec_driver_sql("UPDATE chargeback_piece SET is_lost = false")
    nested.rollback()
