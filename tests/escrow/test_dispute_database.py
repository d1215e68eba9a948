"""What the database refuses of disputes, to the tenant's role and to the owner."""

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from kernel.ids import new_id
from tests.escrow.stage import Stage
from tests.escrow.stage_dispute import Court

FORBIDDEN = {
    "frozen more than held": (
        "UPDATE slot SET disputed_minor = held_minor + 1, version = version + 1",
        "slot_disputed_is_held",
    ),
    "disputed with nothing frozen": (
        "UPDATE slot SET disputed_minor = 0, version = version + 1",
        "slot_frozen_while_disputed",
    ),
    "a step outside the machine": (
        "UPDATE dispute SET state = 'arbitration_elect', version = version + 1",
        "may not move from",
    ),
    "a version that does not rise": ("UPDATE dispute SET due_at = now()", "version"),
    "default without notice": (
        (
            "UPDATE dispute SET state = 'executed', resolution = 'defaulted', payee_minor = 0,"
            " client_minor = claim_minor, ended_at = now(), version = version + 1"
        ),
        "without proof of notice",
    ),
    "decided by nobody": (
        (
            "UPDATE dispute SET state = 'executed', resolution = 'decided', payee_minor = 0,"
            " client_minor = claim_minor, ended_at = now(), version = version + 1"
        ),
        "no approved decision",
    ),
    "shares that lose a cent": (
        (
            "UPDATE dispute SET state = 'executed', resolution = 'settled', payee_minor = 1,"
            " client_minor = claim_minor - 2, ended_at = now(), version = version + 1"
        ),
        "dispute_shares_add_up",
    ),
    "an offer taken back": ("DELETE FROM dispute_offer", "refused|denied"),
    "evidence changed": ("UPDATE dispute_evidence SET reference = 'other'", "refused|denied"),
    "a dispute deleted": ("DELETE FROM dispute", "refused|denied"),
    "a proposal changed": (
        "UPDATE dispute_decision SET payee_minor = payee_minor + 1",
        "stands|denied",
    ),
}


def _court(connection: Connection) -> Court:
    court = Court(Stage(connection).ready())
    assert court.open().is_done
    assert court.offer(court.stage.payee, 0, is_reply=True).is_done
    assert court.file(court.stage.payee).is_done
    connection.exec_driver_sql(
        "INSERT INTO dispute_decision VALUES (%s, 1, 1, 9999, 'award', %s, now())",
        (court.dispute_id, new_id()),
    )
    return court


@pytest.mark.parametrize("whose", ["connection", "owner_connection"])
@pytest.mark.parametrize(("statement", "match"), FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_the_database_refuses(
    request: pytest.FixtureRequest, whose: str, statement: str, match: str
) -> None:
    """Raw SQL cannot do what the rules forbid, not even as the owner."""
    connection: Connection = request.getfixturevalue(whose)
    court = _court(connection)
    assert court.dispute.state == "negotiation"

    nested = connection.begin_nested()
    with pytest.raises(DBAPIError, match=match):
        connection.exec_driver_sql(statement)
    nested.rollback()


def test_one_open_dispute_per_slot(connection: Connection) -> None:
    """A second open dispute of the same slot is refused by the database itself."""
    _court(connection)
    columns = connection.exec_driver_sql(
        "SELECT string_agg(column_name, ', ') FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND table_name = 'dispute' AND column_name <> 'id'"
    ).scalar_one()
    copy = f"INSERT INTO dispute (id, {columns}) SELECT %s, {columns} FROM dispute"

    nested = connection.begin_nested()
    with pytest.raises(DBAPIError, match="dispute_one_open_per_slot"):
        connection.exec_driver_sql(copy, (new_id(),))
    nested.rollback()
