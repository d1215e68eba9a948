"""Edge case 44: a number proved to have been valid earlier credits tax, and rewrites nothing."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection

from escrow.model import Terms
from escrow.model_chargeback import RefundLater
from escrow.rules_tax_credit import CreditTax
from escrow.service_claims import refund_later
from escrow.service_tax_credit import credit_tax
from kernel.commands import Outcome
from tax import service_invoice, service_report, store_invoice
from tests.escrow.stage import START, Stage, person, prove_books
from tests.escrow.stage_price import prove_prices, released
from tests.tax.stage import OPERATOR, add_buyer, add_check, set_supplier

DAY = timedelta(days=1)
NUMBER = "DE136695976"


def taxed(connection: Connection, currency: str = "EUR", amount: int = 100_000) -> Stage:
    """A German payee with a number that nobody has checked, and a release at 10 % with tax."""
    set_supplier(connection)
    stage = Stage(connection, currency, Terms(commission_bps=1_000, client_fee_bps=0), (amount,))
    assert stage.payee.party_id is not None
    add_buyer(connection, stage.payee.party_id, "DE", number=NUMBER)
    for outcome in (stage.propose(), stage.accept()):
        assert outcome.is_done, outcome
    released(stage)
    return stage


def credit(stage: Stage, at: datetime, party_id: UUID | None = None, **more: Any) -> Outcome:
    named = party_id or stage.payee.party_id
    assert named is not None
    command = CreditTax(**{"actor": OPERATOR, "party_id": named, **more})
    return credit_tax(stage.connection, [command], at=at)[0]


def prove_number(stage: Stage, at: datetime, since: datetime | None) -> None:
    assert stage.payee.party_id is not None
    add_check(stage.connection, stage.payee.party_id, at=at, valid_since=since)


def documents(connection: Connection, at: datetime) -> list[dict[str, Any]]:
    numbers = service_invoice.issue_due(connection, at).numbers
    found = [store_invoice.find_invoice(connection, number) for number in numbers]
    return service_invoice.as_json(connection, [each for each in found if each])


def give_back(stage: Stage, amount_minor: int) -> Outcome:
    command = RefundLater(actor=stage.payee, slot_id=stage.slot_id, amount_minor=amount_minor)
    return refund_later(stage.connection, [command], at=stage.now)[0]


def balance(connection: Connection, kind: str, subject: object, currency: str) -> int:
    found = connection.exec_driver_sql(
        "SELECT -balance_minor FROM account WHERE kind = %s AND subject = %s AND currency = %s",
        (kind, str(subject), currency),
    ).scalar_one_or_none()
    return int(found or 0)


@pytest.mark.parametrize(("currency", "tax"), [("EUR", 1_900), ("JPY", 1_900), ("KWD", 1_900)])
def test_e44_tax_goes_back_by_credit_note_and_nothing_is_rewritten(
    connection: Connection, currency: str, tax: int
) -> None:
    """The payee has the tax, the country is owed none, a credit note and a new invoice say so."""
    stage = taxed(connection, currency)
    (invoice,) = documents(connection, START)
    before = connection.exec_driver_sql("SELECT fee_line::text FROM fee_line").scalars().all()
    assert balance(connection, "platform.vat_payable", "DE", currency) == tax
    prove_number(stage, START + 5 * DAY, START - DAY)

    outcome = credit(stage, START + 5 * DAY)

    assert outcome.is_done, outcome
    payee = stage.payee.party_id
    assert balance(connection, "platform.vat_payable", "DE", currency) == 0
    assert balance(connection, "custody.earned_available", payee, currency) == tax
    after = connection.exec_driver_sql("SELECT fee_line::text FROM fee_line").scalars().all()
    assert set(before) < set(after)
    note, anew = documents(connection, START + 5 * DAY)
    assert (note["kind"], note["originals"]) == ("credit_note", [invoice["number"]])
    assert (anew["kind"], anew["notes"]) == ("invoice", ["reverse_charge"])
    assert anew["net"] == invoice["net"]
    stored = store_invoice.find_invoice(connection, invoice["number"])
    assert stored is not None
    assert service_invoice.as_json(connection, [stored]) == [invoice]
    prove_books(connection)
    prove_prices(connection)
    report = service_report.vat(connection, since=START - DAY, until=START + 400 * DAY)
    assert report["ties"], report


def test_e44_it_is_credited_once(connection: Connection) -> None:
    """A second command finds nothing more, and writes nothing."""
    stage = taxed(connection)
    prove_number(stage, START + DAY, START - DAY)
    assert credit(stage, START + DAY).is_done

    assert credit(stage, START + DAY).code == "tax.nothing_to_credit"
    prove_prices(connection)


@pytest.mark.parametrize(
    ("since", "code"),
    [
        (START - DAY, "done"),
        (START + timedelta(hours=1), "tax.nothing_to_credit"),
        (None, "tax.not_proved"),
    ],
)
def test_e44_only_the_time_that_is_proved(
    connection: Connection, since: datetime | None, code: str
) -> None:
    """What was released before it is not credited, and a check alone proves nothing of before."""
    stage = taxed(connection)
    prove_number(stage, START + 5 * DAY, since)

    assert credit(stage, START + 5 * DAY).code == code


def test_e44_an_operator_credits_and_only_for_a_known_party(connection: Connection) -> None:
    """The payee himself may not, and nobody is credited who is not there."""
    stage = taxed(connection)
    prove_number(stage, START + DAY, START - DAY)

    assert credit(stage, START + DAY, actor=stage.payee).code == "tax.operator_only"
    assert credit(stage, START + DAY, person(None).principal_id).code == "party.unknown"
    assert balance(connection, "platform.vat_payable", "DE", "EUR") == 1_900


def test_e44_what_comes_back_later_brings_no_tax_back_again(connection: Connection) -> None:
    """A refund after the credit gives the commission back, and the tax was given back already."""
    stage = taxed(connection)
    prove_number(stage, START + DAY, START - DAY)
    assert credit(stage, START + DAY).is_done
    stage.wait(days=10)

    outcome = give_back(stage, 100_000)

    assert outcome.is_done, outcome
    assert balance(connection, "platform.vat_payable", "DE", "EUR") == 0
    prove_books(connection)
    prove_prices(connection)
    documents(connection, stage.now)
    assert service_report.vat(connection, since=START - DAY, until=START + 400 * DAY)["ties"]
