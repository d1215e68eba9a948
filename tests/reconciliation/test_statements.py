"""Statements come in: each file once, each line once, whole or not at all."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import psycopg as pg
import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from kernel.database import Tenant, transaction
from rails.statements.model import StatementLine
from reconciliation import service
from reconciliation.commands import OpenAccount
from reconciliation.store_statements import find_account
from tests.payouts.builders import NOON
from tests.reconciliation.desk import (
    IBAN,
    OPERATOR,
    STRANGER,
    camt,
    entry,
    open_bank,
    rows,
    take,
)

TODAY = NOON.date()


def test_the_same_file_twice_adds_nothing(connection: Connection) -> None:
    """The same bytes are known again: not a row more, and the second answer says since when."""
    open_bank(connection)
    data = camt(0, 1_500, [entry(1_000, ref="A"), entry(500)])
    first = take(connection, data)
    tables = ("statement_file", "statement", "statement_line")
    before = [rows(connection, table) for table in tables]

    second = take(connection, data, "another-name.xml")

    assert first.facts["new_lines"] == 2
    assert second.is_done
    assert second.facts["new_lines"] == 0
    assert second.facts["known_since"] == NOON.isoformat()
    assert [rows(connection, table) for table in tables] == before == [1, 1, 2]


def test_an_overlapping_statement_brings_only_its_new_lines(connection: Connection) -> None:
    """A line with its own reference, and the n-th line of one content, are known again."""
    open_bank(connection)
    twins = [entry(-500), entry(-500)]
    take(connection, camt(0, 0, [entry(1_000, ref="A"), *twins], statement="S1"))

    outcome = take(
        connection,
        camt(0, -300, [entry(1_000, ref="A"), *twins, entry(-300)], statement="S2"),
    )

    (told,) = outcome.facts["statements"]
    assert (told["new_lines"], told["known_lines"]) == (1, 3)
    assert rows(connection, "statement_line") == 4
    assert rows(connection, "statement_overlap") == 3


def test_a_statement_that_goes_on_brings_lines_of_known_content(connection: Connection) -> None:
    """Behind the balance of a known one, a second fee of the same words on the same day is new."""
    open_bank(connection)
    take(connection, camt(1_000, 500, [entry(-500, text="fee")], statement="S1"))

    again = take(connection, camt(500, 0, [entry(-500, text="fee")], statement="S2"))
    sent_again = take(
        connection, camt(500, 0, [entry(-500, text="fee")], statement="S2") + b"<!-- again -->\n"
    )

    assert again.facts["new_lines"] == 1
    assert sent_again.facts["new_lines"] == 0
    assert rows(connection, "statement_line") == 2


def test_a_known_reference_with_other_money_is_refused(connection: Connection) -> None:
    """The bank contradicts itself: the file is refused whole, with the line."""
    open_bank(connection)
    take(connection, camt(0, 1_000, [entry(1_000, ref="A")]))

    outcome = take(
        connection, camt(0, 3_001, [entry(2_000), entry(1_001, ref="A")], statement="S2")
    )

    assert outcome.code == "statement.contradicts"
    assert outcome.facts["known_minor"] == 1_000
    assert outcome.facts["line"] > 1
    assert rows(connection, "statement_line") == 1
    assert rows(connection, "statement_file") == 1


def test_an_account_that_nobody_knows_is_refused(connection: Connection) -> None:
    """A bank's account must be opened first; its number is not told and nothing is written."""
    outcome = take(connection, camt(0, 100, [entry(100)]))

    assert outcome.code == "statement.unknown_account"
    assert outcome.facts["account"] == "...2051"
    assert rows(connection, "statement_file") == 0


def test_no_bank_number_is_kept(connection: Connection) -> None:
    """Of the account and of numbers in texts only the last four signs are in the tables."""
    open_bank(connection)
    take(connection, camt(0, 100, [entry(100, text=f"from GB29NWBK60161331926819 to {IBAN}")]))

    kept = connection.exec_driver_sql(
        "SELECT a.label || ' ' || l.text FROM reconciliation_account a JOIN statement_line l"
        " ON l.account_id = a.id"
    ).scalar_one()

    assert kept == "...2051 from ...6819 to ...2051"


def test_pending_entries_wait_until_they_are_booked(connection: Connection) -> None:
    """A pending entry is no line; booked later it comes in once."""
    open_bank(connection)
    first = take(connection, camt(0, 0, [entry(700, ref="P", status="PDNG")], statement="S1"))
    second = take(connection, camt(0, 700, [entry(700, ref="P")], statement="S2"))

    assert first.facts["statements"][0]["left_out"] == 1
    assert second.facts["new_lines"] == 1


@pytest.mark.parametrize(
    ("place", "rail_account", "code"),
    [
        ("processor", "", "statement.bad_place"),
        ("custody_bank", "stripe", "statement.bad_place"),
        ("vault", "", "statement.bad_place"),
        ("custody_bank", "", "done"),
    ],
)
def test_an_account_stands_for_one_place(
    connection: Connection, place: str, rail_account: str, code: str
) -> None:
    """A processor has a rail account, a bank has none; a second opening is refused."""
    command = OpenAccount(
        actor=OPERATOR, reference=IBAN, currency="EUR", place=place, rail_account=rail_account
    )
    (outcome,) = service.open_accounts(connection, [command], at=NOON)
    (again,) = service.open_accounts(connection, [command], at=NOON)

    assert outcome.code == code
    assert again.code == ("statement.account_exists" if outcome.is_done else code)


def test_statements_are_the_platforms_business(connection: Connection) -> None:
    """A party's actor may neither open accounts nor bring statements."""
    assert take(connection, camt(0, 0, []), actor=STRANGER).code == "reconciliation.operator_only"


@pytest.mark.parametrize(
    ("currency", "minor"), [("JPY", 1_234), ("EUR", 123_456), ("KWD", 1_234_567)]
)
def test_amounts_are_kept_in_minor_units(connection: Connection, currency: str, minor: int) -> None:
    """No decimals, two and three: the row has what the file says, to the last minor unit."""
    open_bank(connection, currency)
    take(connection, camt(0, minor, [entry(minor, currency=currency)], currency=currency))

    kept = connection.exec_driver_sql("SELECT amount_minor FROM statement_line").scalar_one()

    assert kept == minor


def test_two_imports_at_once_bring_a_file_in_once(own_engine: Engine, tenant: Tenant) -> None:
    """The second waits for the first, finds the file and adds nothing; so do two overlapping."""
    with transaction(own_engine, tenant) as connection:
        open_bank(connection)
    one = camt(0, 1_000, [entry(1_000, ref="A")], statement="S1")
    other = camt(0, 1_500, [entry(1_000, ref="A"), entry(500)], statement="S2")

    def bring(data: bytes) -> int:
        with transaction(own_engine, tenant) as connection:
            outcome = take(connection, data)
            assert outcome.is_done, outcome
            return int(outcome.facts["new_lines"])

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(bring, [one, one, other, other]))

    assert sum(found) == 2
    with transaction(own_engine, tenant) as connection:
        assert rows(connection, "statement_line") == 2
        assert rows(connection, "statement_file") == 2


def test_a_rails_own_lines_are_taken_once(connection: Connection) -> None:
    """Lines of a listing are known by their names, whichever source told them first."""
    account = service.account_of(connection, "stripe", "USD", actor=OPERATOR, at=NOON)
    lines = [
        StatementLine(
            amount_minor=minor,
            currency="USD",
            booked_on=TODAY + timedelta(days=days),
            value_on=TODAY,
            ref=name,
            own_id=name,
            kind=kind,
        )
        for days, (name, minor, kind) in enumerate(
            [("txn_1", 100, "charge"), ("txn_2", -40, "refund"), ("txn_3", -9, "reserve")]
        )
    ]
    first = service.take_lines(
        connection, account, lines[:1], "rail.transactions", actor=OPERATOR, at=NOON
    )
    second = service.take_lines(
        connection, account, lines, "rail.transactions", actor=OPERATOR, at=NOON
    )

    assert (first, second) == (1, 1)
    report = (
        "balance_transaction_id,created,currency,gross,fee,net,reporting_category,extra\n"
        f"txn_1,{TODAY},usd,1.00,0.00,1.00,charge,x\n"
    )
    assert take(connection, report.encode(), "b.csv").facts["new_lines"] == 0
    assert rows(connection, "statement_line") == 2


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE statement_line SET amount_minor = 1",
        "DELETE FROM statement_line",
        "TRUNCATE statement_line CASCADE",
        "UPDATE statement SET closing_minor = 1",
        "DELETE FROM statement_file",
        "UPDATE reconciliation_account SET place = 'platform_bank'",
    ],
)
def test_what_a_bank_said_is_never_changed(owner_connection: Connection, change: str) -> None:
    """Not even by the owner of the tables."""
    open_bank(owner_connection)
    take(owner_connection, camt(0, 100, [entry(100)]))

    with pytest.raises(DBAPIError) as caught, owner_connection.begin_nested():
        owner_connection.exec_driver_sql(change)

    assert isinstance(caught.value.orig, pg.Error)
    assert caught.value.orig.sqlstate == "HF001"


def test_the_database_holds_that_a_statement_adds_up(owner_connection: Connection) -> None:
    """Even past the reader: balances that the lines do not make are refused."""
    open_bank(owner_connection)
    account = find_account(owner_connection, IBAN, "EUR")
    assert account is not None
    owner_connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")

    with pytest.raises(DBAPIError) as caught, owner_connection.begin_nested():
        owner_connection.exec_driver_sql(
            "INSERT INTO statement (id, account_id, source, statement_no, reference, from_on,"
            " to_on, opening_minor, closing_minor, line_count, overlap_count, taken_by, taken_at)"
            " VALUES (gen_random_uuid(), %s, 'x', 1, '', %s, %s, 0, 5, 0, 0, %s, %s)",
            (account.id, date(2026, 1, 1), date(2026, 1, 2), OPERATOR.principal_id, NOON),
        )

    assert isinstance(caught.value.orig, pg.errors.CheckViolation)
    assert caught.value.orig.diag.constraint_name == "statement_adds_up"
