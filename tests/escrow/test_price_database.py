"""What the database itself holds of prices: as the tenant's role, and as the owner."""

from uuid import uuid4

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from escrow.store_fee_proof import prove_fees
from ledger.chart import account
from ledger.entries import platform
from ledger.model import Draft
from ledger.service import post
from tests.commissions.books import hold
from tests.escrow.stage import START, Stage, person

_LINE = """
INSERT INTO fee_line (kind, contract_id, release_id, party_id, client_id, payee_id, currency,
    gross_minor, fee_minor, tax_minor, tax_rate_bps, before_minor, before_month_minor, is_promoted,
    foregone_minor, month, recorded_at)
SELECT kind, contract_id, release_id, party_id, client_id, payee_id, currency, {changes},
    tax_rate_bps, before_minor, before_month_minor, is_promoted, foregone_minor, month, recorded_at
FROM fee_line WHERE kind = 'commission'
"""


def _refused(connection: Connection, statement: str) -> str:
    """What the database answers to a statement, which must not pass."""
    with pytest.raises(DBAPIError) as caught, connection.begin_nested():
        connection.execute(text(statement))
    return str(caught.value)


@pytest.fixture
def released(connection: Connection) -> Stage:
    """A deal of which all is released."""
    stage = Stage(connection).ready()
    assert stage.approve().is_done
    return stage


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("UPDATE fee_line SET fee_minor = fee_minor + 1", "fee_line"),
        ("DELETE FROM fee_line", "fee_line"),
        ("UPDATE pair_billing SET billed_minor = billed_minor + 1", "pair_billing"),
        ("DELETE FROM pair_billing", "pair_billing"),
        (_LINE.format(changes="gross_minor, gross_minor + 2, 0"), "fee_line_of_billed_money"),
        (_LINE.format(changes="gross_minor, -fee_minor, 0"), "fee_line_goes_one_way"),
        (_LINE.format(changes="gross_minor, fee_minor, 1"), "fee_line_bears_tax_of_a_country"),
        (_LINE.format(changes="-3 * gross_minor, 0, 0"), "pair_billing_not_negative"),
    ],
)
@pytest.mark.usefixtures("released")
def test_fees_are_moved_by_lines_alone(connection: Connection, statement: str, name: str) -> None:
    """Nobody changes a fee, or what a pair was billed, and no line says what cannot be."""
    assert name in _refused(connection, statement)
    assert prove_fees(connection) == []


@pytest.mark.usefixtures("released")
def test_a_contract_pins_what_was_chosen(connection: Connection) -> None:
    """A pin names a schedule that there is."""
    answer = _refused(connection, f"UPDATE contract SET payee_schedule_id = '{uuid4()}'")
    assert "contract_payee_schedule_is_known" in answer


@pytest.mark.usefixtures("released")
def test_a_pair_begins_with_nothing(connection: Connection) -> None:
    """What was billed before is never claimed."""
    answer = _refused(
        connection,
        "INSERT INTO pair_billing (client_id, payee_id, currency, billed_minor)"
        " SELECT client_id, payee_id, 'JPY', 1 FROM pair_billing",
    )
    assert "a pair begins with nothing billed" in answer


_FEES = (
    ("platform.revenue.commission", ""),
    ("platform.revenue.client_fee", ""),
    ("platform.vat_payable", "DE"),
)
_KINDS = (
    *("slot.released", "period.drawn", "week.released", "line.written_off", "chargeback.lost"),
    *("dispute.decided", "claim.written_off", "funding.tipped"),
)


def _post(connection: Connection, kind: str, credited: tuple[str, str], currency: str) -> None:
    """An event that earns a fee, of which no fee line tells."""
    lines = (
        (account("platform.bank", currency), 7),
        (account(credited[0], currency, credited[1]), -7),
    )
    draft = Draft(kind, "slot:1", person(None, is_operator=True), START, platform(currency, *lines))
    (answer,) = post(connection, [draft])
    assert not isinstance(answer, Exception), answer


@pytest.mark.usefixtures("released")
@pytest.mark.parametrize("credited", _FEES)
@pytest.mark.parametrize("currency", ["JPY", "EUR", "KWD"])
def test_a_fee_that_no_line_tells_of_is_found(
    connection: Connection, credited: tuple[str, str], currency: str
) -> None:
    """Whatever of a deal posts a fee, and in any currency, owes a line; each event is named."""
    for kind in _KINDS:
        _post(connection, kind, credited, currency)

    (found,) = prove_fees(connection)

    assert found.startswith("the fee lines of an event are what it posted to revenue and to tax is")
    assert f"broken by {len(_KINDS)} rows" in found
    assert f"{currency}, its fee lines say 0 + 0 + 0" in found


def test_before_the_first_fee_line_too(connection: Connection) -> None:
    """Books in which nothing was ever told of fees are no excuse."""
    _post(connection, "slot.released", _FEES[0], "EUR")
    assert len(prove_fees(connection)) == 1


@pytest.mark.usefixtures("released")
def test_what_is_no_deal_s_owes_no_fee_line(connection: Connection) -> None:
    """Journals, adoptions and what is sold beside deals post to these accounts by themselves."""
    for kind in ("journal.posted", "books.adopted", "subscription.renewed"):
        _post(connection, kind, _FEES[0], "EUR")
    assert prove_fees(connection) == []


def test_what_was_posted_before_fee_lines_had_events_is_not_asked_for(
    connection: Connection,
) -> None:
    """Releases of before were given lines without an event; what came after them is proven."""
    _post(connection, "slot.released", _FEES[0], "EUR")
    assert Stage(connection).ready().approve().is_done
    connection.execute(text(_LINE.format(changes="gross_minor, fee_minor, tax_minor")))

    found = " ".join(prove_fees(connection))
    assert "posted to revenue" not in found

    _post(connection, "slot.released", _FEES[0], "EUR")
    assert "posted to revenue and to tax is broken by 1 rows" in " ".join(prove_fees(connection))


@pytest.mark.usefixtures("released")
@pytest.mark.parametrize("side", ["payee", "client", "promotion"])
def test_no_pin_stands_without_its_choice(connection: Connection, side: str) -> None:
    """A schedule that there is, but that nobody chose for this contract, is not pinned to it."""
    schedule_id = hold(connection)

    answer = _refused(
        connection,
        f"UPDATE contract SET {side}_schedule_id = '{schedule_id}'; SET CONSTRAINTS ALL IMMEDIATE",
    )

    assert "pins a schedule that was not chosen for it" in answer
