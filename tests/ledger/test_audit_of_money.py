"""What auditors are told of a payout: its people, its way back, the line that proves it."""

import re
from typing import Any

from sqlalchemy import Connection

from payouts import service
from tests.ledger.test_audit_page import QUESTIONS
from tests.payouts.bank_stage import PAYEES, add
from tests.payouts.builders import NOON, OPERATOR, asked, give, new_method, new_payee, submitting
from tests.reconciliation.desk import book, camt, entry, open_bank, run, take


def ask(connection: Connection, number: int, **values: str) -> list[dict[str, Any]]:
    """The answer to a question of the page."""
    statement = re.sub(
        r":'(\w+)'", lambda name: f"'{values[name[1]]}'", QUESTIONS[number].statement
    )
    cursor = connection.exec_driver_sql(statement.replace("%", "%%"))
    return [dict(row) for row in cursor.mappings()]


def test_who_asked_for_a_payout_and_when_it_left(connection: Connection) -> None:
    """Submitted by the engine for an operator; nobody else was needed, and it says so."""
    payee_id = new_payee(connection)
    give(connection, payee_id, 50_000, "KWD")
    wish = asked(payee_id, new_method(connection, payee_id), 12_345, currency="KWD", actor=OPERATOR)
    assert service.request(connection, [wish], at=NOON)[0].is_done
    assert service.submit(connection, [submitting(wish.payout_id)], at=NOON)[0].is_done

    (row,) = ask(connection, 23, payout=str(wish.payout_id))

    assert (str(row["amount"]), row["currency"], row["state"]) == ("12.345", "KWD", "submitted")
    assert (row["requested_by"], row["approved_by"]) == (OPERATOR.principal_id, None)
    assert row["is_one_person"] is None
    assert row["submitted_at"] == row["screened_at"] == NOON
    assert ask(connection, 29) == []


def test_a_line_of_a_statement_that_matches_is_found_by_its_match(connection: Connection) -> None:
    """Money that left the bank by the books and by its statement; no text of the line is told."""
    open_bank(connection)
    book(connection, -12_345, name="AB12CD34EF56")
    line = entry(-12_345, ref="B1", end="AB12CD34EF56", text="to Zoë Payee")
    assert take(connection, camt(50_000, 37_655, [line])).is_done
    run(connection)

    (told,) = connection.exec_driver_sql("SELECT * FROM audit_statement_line").mappings()

    assert (str(told["amount"]), told["end_to_end_id"]) == ("-123.45", "AB12CD34EF56")
    assert told["match_id"] is not None
    assert "Zoë" not in str(dict(told))
    (found,) = connection.exec_driver_sql("SELECT * FROM audit_match").mappings()
    assert (found["match_id"], str(found["amount"])) == (told["match_id"], "-123.45")
    assert [row for row in ask(connection, 28) if row["word"] == "statement line"] == []


def test_of_a_bank_account_four_characters_are_told(connection: Connection) -> None:
    """Neither its number nor its owner's name stands in any column."""
    add(connection, new_payee(connection), PAYEES)

    (told,) = connection.exec_driver_sql("SELECT * FROM audit_bank_account").mappings()

    assert told["last4"] == PAYEES[-4:]
    assert PAYEES not in str(dict(told))
    assert "Zoë" not in str(dict(told))
