"""Plans and products against the database: P44, renewals, failures, ends, and who may."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from ledger.proof import prove
from tests.escrow.stage_plans import Shop


def test_p44_from_the_balance_of_a_payee(connection: Connection) -> None:
    """14.99 and 20 % VAT leave what he may withdraw; the price is earned day by day, to the cent.

    payee subscribes, 14.99 + 3.00 -> available 2.01 · deferred 14.99 · vat payable 3.00
    the month is over              -> deferred 0.00 · revenue.subscription 14.99
    """
    shop = Shop(connection)
    shop.tax()
    shop.earn(2_000)
    shop.sell()

    begun = shop.subscribe()

    assert begun.is_done, begun
    assert begun.facts["total"] == {"amount": "17.99", "currency": "EUR"}
    assert shop.left() == 201
    assert shop.sums() == (1_499, 0, 300)
    assert shop.shown("custody.due_to_platform") == 1_799
    shop.until(datetime(2026, 4, 2, 9, tzinfo=UTC) - timedelta(seconds=1))
    assert shop.sums() == (1_499 - 30 * 48, 30 * 48, 300)
    shop.until(datetime(2026, 4, 2, 9, tzinfo=UTC))
    assert shop.sums() == (0, 1_499, 300)
    prove(connection)
