"""What the database itself holds of prices: as the tenant's role, and as the owner."""

from uuid import uuid4

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from escrow.store_fee_proof import prove_fees
from tests.escrow.stage import Stage

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
