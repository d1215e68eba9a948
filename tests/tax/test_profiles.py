"""Profiles of supplier and buyers, and checks of numbers: who may, what is refused, what stays."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from psycopg import errors
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from kernel.database import driver
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from ledger import personal
from tax import service_profile
from tax.model_profile import Person, RegisterAnswer, SetBuyer, SetSupplier, StoreCheck
from tax.model_vat import Evidence
from tax.service_vat import decide_for
from tests.tax.stage import OPERATOR, START, add_buyer, add_party, set_supplier

HOUR = timedelta(hours=1)
SUPPLIER = SetSupplier(
    actor=OPERATOR, country="IE", name="Platform Ltd", address="1 Quay", tax_numbers={}
)
ANSWER = RegisterAnswer("vies", is_valid=True, reference="W1", checked_at=START)


def count(connection: Connection, table: str) -> int:
    return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"actor": Actor(new_id(), PrincipalKind.PERSON)}, "tax.operator_only"),
        ({"country": "Ireland"}, "tax.bad_profile"),
        ({"name": " "}, "tax.bad_profile"),
        ({"address": "a\x00b"}, "tax.bad_profile"),
        ({"check_days": 0}, "tax.bad_profile"),
        ({"tax_numbers": {"DE": "DE136695977"}}, "tax.bad_number"),
        ({"in_force_from": START - timedelta(days=2_000)}, "tax.too_early"),
    ],
)
def test_a_bad_supplier_is_refused(
    connection: Connection, change: dict[str, Any], code: str
) -> None:
    """Each with its own code, and nothing is written."""
    outcome = service_profile.set_supplier(connection, [replace(SUPPLIER, **change)], at=START)[0]

    assert outcome.code == code
    assert count(connection, "tax_supplier") == 0
    assert decide_for(connection, [new_id()], START).popitem()[1] is None


def test_a_later_version_never_reaches_back(connection: Connection) -> None:
    """The first profile may begin in the past; one after it only from now on."""
    first = replace(SUPPLIER, in_force_from=START - 10 * HOUR)
    again = replace(SUPPLIER, in_force_from=START - HOUR)

    codes = [
        service_profile.set_supplier(connection, [each], at=START)[0].code
        for each in (first, again, SUPPLIER)
    ]

    assert codes == ["done", "tax.too_early", "done"]
    assert count(connection, "tax_supplier") == 2


@pytest.mark.parametrize(
    ("country", "number", "stored"),
    [
        ("DE", "DE 136695976", "DE136695976"),
        ("DE", "136695976", "DE136695976"),
        ("GR", "GR094259216", "EL094259216"),
        ("GB", "GB 980780684", "980780684"),
        ("AU", "83 914 571 673", "83914571673"),
        ("DE", "DE136695977", None),
        ("DE", "FR40303265045", None),
        ("GB", "123", None),
        ("US", "x" * 41, None),
    ],
)
def test_numbers_have_the_syntax_of_their_country(
    connection: Connection, country: str, number: str, stored: str | None
) -> None:
    """Check digits are checked, prefixes are set, and Greece is `EL`."""
    party_id = add_party(connection)
    command = SetBuyer(
        actor=OPERATOR,
        party_id=party_id,
        evidence=(Evidence("address", country),),
        is_business=True,
        tax_country=country,
        person=Person("Ada", "1 Road", number),
    )

    outcome = service_profile.set_buyer(connection, [command], at=START)[0]

    assert outcome.code == ("done" if stored else "tax.bad_number")
    found = service_profile.find_people(connection, [party_id], at=START)[party_id]
    assert found.tax_number == (stored or "")


def test_personal_data_are_nowhere_in_plain_and_go_with_their_key(connection: Connection) -> None:
    """No table and no event holds the name; once the key is gone, nobody can read it."""
    party_id = add_party(connection)
    add_buyer(connection, party_id, "DE", number="DE136695976", name="Zyxwv Unusual")

    rows = connection.exec_driver_sql("SELECT tax_buyer::text FROM tax_buyer").scalars().all()
    events = connection.exec_driver_sql("SELECT event::text FROM event").scalars().all()
    assert not [text for text in (*rows, *events) if "Zyxwv" in text or "136695976" in text]
    read = service_profile.find_people(connection, [party_id], at=START)[party_id]
    assert read.name == "Zyxwv Unusual"

    assert personal.erase(connection, [party_id]) == {party_id}
    assert service_profile.find_people(connection, [party_id], at=START)[party_id] == Person()


def test_a_party_does_not_say_where_it_is(connection: Connection) -> None:
    """Who could give his own evidence would choose his tax: operators alone do."""
    party_id = add_party(connection)
    actor = Actor(new_id(), PrincipalKind.PERSON, party_id)
    command = SetBuyer(actor=actor, party_id=party_id, evidence=(Evidence("address", "US"),))

    assert service_profile.set_buyer(connection, [command], at=START)[0].code == "tax.operator_only"
    assert count(connection, "tax_buyer") == 0


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (ANSWER, "done"),
        (replace(ANSWER, reference=" "), "tax.bad_check"),
        (replace(ANSWER, checked_at=START + HOUR), "tax.bad_check"),
        (replace(ANSWER, valid_since=START + HOUR), "tax.bad_check"),
        (replace(ANSWER, is_valid=False, valid_since=START), "tax.bad_check"),
        (replace(ANSWER, is_valid=False, reference=""), "done"),
    ],
)
def test_a_check_names_its_consultation(
    connection: Connection, answer: RegisterAnswer, code: str
) -> None:
    """A valid one with the register's reference, and of a time that has come."""
    party_id = add_party(connection)
    add_buyer(connection, party_id, "DE", number="DE136695976")
    command = StoreCheck(actor=OPERATOR, party_id=party_id, answer=answer)

    assert service_profile.store_check(connection, [command], at=START)[0].code == code
    assert count(connection, "tax_check") == (code == "done")


def test_a_party_without_a_number_has_nothing_to_check(connection: Connection) -> None:
    """No buyer, and one without a number."""
    unknown, without = add_party(connection), add_party(connection)
    add_buyer(connection, without, "DE")
    commands = [
        StoreCheck(actor=OPERATOR, party_id=each, answer=ANSWER) for each in (unknown, without)
    ]

    codes = [o.code for o in service_profile.store_check(connection, commands, at=START)]

    assert codes == ["tax.no_number", "tax.no_number"]


@pytest.mark.parametrize("table", ["tax_supplier", "tax_buyer", "tax_check"])
@pytest.mark.parametrize("act", ["UPDATE {} SET recorded_at = now()", "DELETE FROM {}"])
def test_profiles_stand(
    connection: Connection, owner_connection: Connection, table: str, act: str
) -> None:
    """Nobody changes or deletes a version: not the tenant, by rights, nor the owner, by trigger."""
    set_supplier(connection)
    for role in (connection, owner_connection):
        with pytest.raises((errors.Error, DBAPIError)), role.begin_nested():
            driver(role).execute(act.format(table).encode())
