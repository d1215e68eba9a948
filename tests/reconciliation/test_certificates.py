"""The three-way certificate: every cent between ledger, processors and bank is named."""

from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from kernel.money import to_json
from kernel.principals import SYSTEM, Actor
from reconciliation import service_certificates
from reconciliation.commands_breaks import MakeCertificate, SignCertificate
from reconciliation.store_items import Place
from tests.reconciliation.certified import (
    LATER,
    MONDAY,
    SECOND,
    certified,
    make,
    match_and_break,
    operation,
    paid,
    stated,
    told,
)
from tests.reconciliation.desk import OPERATOR, STRANGER, camt, entry, open_bank, rows, take

TUESDAY = MONDAY + timedelta(days=1)
BANK = Place("custody_bank", "", "EUR")
STRIPE = Place("processor", "stripe", "EUR")


def statement(connection: Connection, opening: int, lines: list[tuple[int, str]], on: date) -> None:
    """The bank's statement of a day."""
    entries = [entry(minor, ref=ref, on=on) for minor, ref in lines]
    closing = opening + sum(minor for minor, _ in lines)
    outcome = take(connection, camt(opening, closing, entries, on=on, statement=f"S{on}"))
    assert outcome.is_done, outcome


@pytest.mark.parametrize(
    ("currency", "bank", "processor"),
    [("JPY", 12_345, 678), ("EUR", 12_345, 678), ("KWD", 1_234_567, 8_901)],
)
def test_all_three_agree(connection: Connection, currency: str, bank: int, processor: int) -> None:
    """Bank and processor hold what is owed: clean, to the minor unit."""
    open_bank(connection, currency)
    paid(connection, bank, name="txn_bank", currency=currency)
    paid(connection, processor, name="txn_card", currency=currency, rail_account="stripe")
    line = entry(bank, ref="txn_bank", currency=currency, on=MONDAY)
    assert take(connection, camt(0, bank, [line], currency=currency, on=MONDAY)).is_done
    stated(connection, processor, "txn_card", currency=currency)
    for place in (
        Place("custody_bank", "", currency),
        Place("processor", "stripe", currency),
    ):
        match_and_break(connection, place)

    found = certified(connection, currency=currency)

    assert found.state == "clean"
    assert (found.bank_minor, found.processor_minor) == (bank, processor)
    assert found.liability_minor == bank + processor
    assert (found.transit_minor, found.unexplained_minor, found.between) == (0, 0, ())
    assert found.resource_minor == found.requirement_minor
    assert found.as_json()["figures"]["c_bank"] == to_json(bank, currency)


def test_a_missing_bank_line_is_named(connection: Connection) -> None:
    """The books have money that the bank does not: one break explains all of the difference."""
    open_bank(connection)
    paid(connection, 10_000, name="txn_AAAA0001")
    paid(connection, 2_500, name="txn_AAAA0002")
    statement(connection, 0, [(10_000, "txn_AAAA0001")], MONDAY)
    match_and_break(connection, BANK)

    found = certified(connection)

    assert found.state == "breaks"
    assert told(found) == [("missing_external", 2_500)]
    assert "TXNAAAA0002" in found.breaks[0].told
    assert (found.difference_minor, found.unexplained_minor) == (2_500, 0)
    assert found.shortfall_minor == 2_500


def test_a_doubled_processor_line_is_named(connection: Connection) -> None:
    """The processor lists one charge twice: a duplicate, and no money of anybody's."""
    paid(connection, 9_971, name="txn_BBBB0001", rail_account="stripe")
    stated(connection, 9_971, "txn_BBBB0001", of="ch_1")
    stated(connection, 9_971, "txn_BBBB0009", of="ch_1")
    match_and_break(connection, STRIPE)

    found = certified(connection)

    assert told(found) == [("duplicate", -9_971)]
    assert (found.processor_minor, found.liability_minor) == (19_942, 9_971)
    assert found.unexplained_minor == 0


def test_a_changed_fee_is_named_on_both_sides(connection: Connection) -> None:
    """Net 97.10 in the books and 96.60 on the statement: 0.50 less, told on both sides."""
    paid(connection, 9_710, name="txn_CCCC0001", rail_account="stripe")
    stated(connection, 9_660, "txn_CCCC0001")
    match_and_break(connection, STRIPE)

    found = certified(connection)

    assert told(found) == [("amount", -9_660), ("amount", 9_710)]
    assert found.break_minor == found.difference_minor == 50
    assert "the books have 97.10" in found.breaks[1].told + found.breaks[0].told


def test_what_is_on_its_way_turns_stale(connection: Connection) -> None:
    """A transfer of ours is in transit for three business days, and a break from then on."""
    open_bank(connection)
    asked = operation(connection, 5_000)
    paid(connection, 5_000, operation_id=asked)
    statement(connection, 0, [], MONDAY)

    young = certified(connection, MONDAY + timedelta(days=3))
    old = certified(connection, MONDAY + timedelta(days=4))

    assert (young.state, young.transit_minor, young.breaks) == ("clean", 5_000, [])
    assert (old.transit_minor, told(old)) == (0, [("stale_in_transit", 5_000)])
    assert asked.hex.upper() in old.breaks[0].told


@pytest.mark.parametrize("is_booked_first", [True, False])
def test_parts_of_two_days_are_in_transit_between_them(
    connection: Connection, *, is_booked_first: bool
) -> None:
    """Booked on Monday and on the statement of Tuesday, or the other way round: clean both days."""
    open_bank(connection)
    first, second = (MONDAY, TUESDAY) if is_booked_first else (TUESDAY, MONDAY)
    paid(connection, 7_000, name="txn_DDDD0001", on=first)
    statement(connection, 0, [(7_000, "txn_DDDD0001")], second)
    match_and_break(connection, BANK)

    monday, tuesday = certified(connection), certified(connection, TUESDAY)

    sign = 1 if is_booked_first else -1
    assert (monday.state, monday.transit_minor) == ("clean", sign * 7_000)
    assert [each.kind.value for each in monday.between] == ["timing"]
    assert (tuesday.state, tuesday.between) == ("clean", ())


def test_a_lost_statement_is_unexplained_and_told(connection: Connection) -> None:
    """The bank's closing balance knows of money that no statement lists: it is no break of ours."""
    open_bank(connection)
    paid(connection, 10_000, name="txn_EEEE0001")
    statement(connection, 0, [(10_000, "txn_EEEE0001")], MONDAY)
    statement(connection, 12_000, [], TUESDAY)
    match_and_break(connection, BANK)

    found = certified(connection, TUESDAY)

    assert found.state == "breaks"
    assert (found.bank_minor, found.break_minor) == (12_000, 0)
    assert found.unexplained_minor == -2_000


def test_a_place_without_statements_is_not_told(connection: Connection) -> None:
    """Nothing was heard of the bank: what the books say is no proof."""
    paid(connection, 10_000)

    found = certified(connection)

    assert found.state == "untold"
    assert found.held[0].stated_minor is None
    assert found.as_json()["held"][0]["statement"] is None


def test_the_same_figures_are_the_same_certificate(connection: Connection) -> None:
    """Made again it is the one that is there; with something new it is the next version."""
    open_bank(connection)
    paid(connection, 10_000, name="txn_FFFF0001")
    statement(connection, 0, [(10_000, "txn_FFFF0001")], MONDAY)
    match_and_break(connection, BANK)

    first, again = make(connection), make(connection, actor=SECOND)
    paid(connection, 1, name="txn_FFFF0002")
    other = make(connection)

    assert first == again
    assert (first["version"], other["version"]) == (1, 2)
    assert first["digest"] == certified_digest(connection, first["certificate_id"])
    assert rows(connection, "certificate") == 2


def certified_digest(connection: Connection, certificate_id: str) -> str:
    """The digest of the stored body, counted by the database."""
    told_body = connection.exec_driver_sql(
        "SELECT encode(sha256(convert_to(body, 'UTF8')), 'hex') FROM certificate WHERE id = %s",
        (certificate_id,),
    )
    return str(told_body.scalar_one())


def sign(
    connection: Connection, certificate_id: str, actor: Actor = OPERATOR, remark: str = ""
) -> str:
    """Sign a certificate; the code."""
    wish = SignCertificate(actor=actor, certificate_id=UUID(certificate_id), remark=remark)
    (outcome,) = service_certificates.sign(connection, [wish], at=LATER)
    return outcome.code


def test_one_with_breaks_is_signed_by_another(connection: Connection) -> None:
    """Its maker may not, and nobody without a remark; a clean one anybody of the platform, once."""
    paid(connection, 10_000, name="txn_GGGG0001", rail_account="stripe")
    stated(connection, 9_000, "txn_GGGG0002")
    match_and_break(connection, STRIPE)
    broken = make(connection)["certificate_id"]
    clean = make(connection, MONDAY - timedelta(days=1))["certificate_id"]

    codes = [
        sign(connection, broken, remark="ours"),
        sign(connection, broken, SECOND),
        sign(connection, broken, SYSTEM, "by itself"),
        sign(connection, broken, STRANGER, "mine"),
        sign(connection, broken, SECOND, "asked Stripe"),
        sign(connection, clean),
        sign(connection, clean),
        sign(connection, str(UUID(int=5))),
    ]

    assert codes == [
        *("certificate.needs_another", "certificate.needs_another", "certificate.people_sign"),
        *("reconciliation.operator_only", "done", "done", "certificate.signed_already"),
        "certificate.unknown",
    ]


def test_a_day_to_come_is_not_certified(connection: Connection) -> None:
    """Nor does a party certify anything."""
    wishes = [
        MakeCertificate(actor=OPERATOR, currency="EUR", on=LATER.date() + timedelta(days=1)),
        MakeCertificate(actor=STRANGER, currency="EUR", on=MONDAY),
        MakeCertificate(actor=SYSTEM, currency="XXX", on=MONDAY),
    ]

    codes = [each.code for each in service_certificates.make(connection, wishes, at=LATER)]

    assert codes == [
        *("certificate.day_not_over", "reconciliation.operator_only", "money.unknown_currency"),
    ]
    assert rows(connection, "certificate") == 0


_SIGN = "INSERT INTO certificate_signature SELECT gen_random_uuid(), id, {0} FROM certificate"
_COPY = (
    "INSERT INTO certificate SELECT gen_random_uuid(), currency, on_day, 9, {0} FROM certificate"
)
_FIGURES = "0, 0, 0, 0, 0, 0, 0"


@pytest.mark.parametrize("as_owner", [False, True])
@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("UPDATE certificate SET state = 'clean'", "certificate"),
        ("DELETE FROM certificate", "certificate"),
        (_SIGN.format("digest, made_by, made_at, 'x'"), "signed by another"),
        (
            _SIGN.format("digest, gen_random_uuid(), made_at, ''"),
            "signed by another",
        ),
        (
            _SIGN.format("sha256(''), gen_random_uuid(), made_at, 'x'"),
            "another certificate was signed",
        ),
        (
            _COPY.format(f"'breaks', sha256(''), body, {_FIGURES}, 0, 0, made_by, made_at"),
            "certificate_digest_is_of_its_body",
        ),
        (
            _COPY.format(f"'breaks', digest, body, {_FIGURES}, 0, 1, made_by, made_at"),
            "certificate_adds_up",
        ),
        (
            _COPY.format(f"'clean', digest, body, {_FIGURES}, 1, -1, made_by, made_at"),
            "certificate_clean_is_explained",
        ),
    ],
)
def test_a_certificate_stands(
    connection: Connection, owner_connection: Connection, change: str, name: str, *, as_owner: bool
) -> None:
    """It is never changed, it adds up, and the database knows who may sign it; whoever asks."""
    here = owner_connection if as_owner else connection
    paid(here, 10_000, name="txn_HHHH0001", rail_account="stripe")
    stated(here, 9_000, "txn_HHHH0002")
    make(here)

    with pytest.raises(DBAPIError, match=name), here.begin_nested():
        here.exec_driver_sql(change)
