"""Month's end: foreign balances of the platform are revalued, client money never is."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from commissions.model_fx import Policy
from kernel.commands import Outcome
from ledger.chart import account
from ledger.proof import prove
from payouts.service_revaluation import (
    Revalue,
    ReverseRevaluation,
    revalue,
    reverse_revaluation,
)
from tests.commissions.rates import stand_rates
from tests.escrow.stage import person
from tests.escrow.stage_fx import Desk, post_lines, rows

FIRST, END = date(2026, 3, 2), date(2026, 3, 31)
NEXT = date(2026, 4, 30)
AT = datetime(2026, 4, 1, 8, tzinfo=UTC)


def earn(desk: Desk, currency: str, minor: int, on: date) -> None:
    """Commission in a foreign currency, that is due from client money, and lies there too."""
    at = datetime(on.year, on.month, on.day, 10, tzinfo=UTC)
    due, revenue = "platform.due_from_custody", "platform.revenue.commission"
    ours = ((account(due, currency), minor), (account(revenue, currency), -minor))
    owed, bank = "custody.due_to_platform", "custody.bank"
    clients = ((account(bank, currency), minor), (account(owed, currency), -minor))
    post_lines(desk.connection, currency, ours, clients, actor=desk.first, at=at)


def do(desk: Desk, on: date = END, at: datetime = AT) -> Outcome:
    return revalue(desk.connection, [Revalue(actor=desk.first, on=on)], at=at)[0]


@pytest.fixture
def desk(connection: Connection) -> Desk:
    """110.00 USD came at 1.10 for a euro, 55.00 more at 1.25; the months end at 1.00 and 2.00."""
    desk = Desk(connection, Policy(reporting="EUR"))
    stand_rates(connection, date(2026, 3, 16), {"USD": "1.2500", "JPY": "160.00", "KWD": "0.4"})
    stand_rates(connection, END, {"USD": "1.0000", "JPY": "200.00", "KWD": "0.32"})
    stand_rates(connection, NEXT, {"USD": "2.0000", "JPY": "200.00", "KWD": "0.32"})
    earn(desk, "USD", 11_000, FIRST)
    earn(desk, "USD", 5_500, date(2026, 3, 16))
    return desk


def test_a_balance_gains_what_it_is_worth_above_what_it_was_worth_when_it_came(
    desk: Desk,
) -> None:
    """100.00 EUR and 44.00 EUR came; at 1.00 they are 165.00: 21.00 of gain, in euros alone."""
    done = do(desk)

    (row,) = done.facts["revalued"]
    assert (row["worth"]["amount"], row["carried"]["amount"]) == ("165.00", "144.00")
    assert row["gain"] == {"amount": "21.00", "currency": "EUR"}
    assert desk.balance("platform.revaluation", "EUR", "USD") == 2_100
    assert desk.balance("platform.expense.fx", "EUR") == -2_100
    assert desk.balance("platform.due_from_custody", "USD") == 16_500
    assert desk.balance("custody.bank", "USD") == 16_500
    assert prove(desk.connection).is_clean


def test_no_two_and_three_decimals_are_revalued_each_in_their_own_units(desk: Desk) -> None:
    """16,050 JPY at 160.50 are 100.00 EUR, and 80.25 later; 3.382 KWD at 0.33815 are 10.00."""
    earn(desk, "JPY", 16_050, FIRST)
    earn(desk, "KWD", 3_382, FIRST)

    facts = do(desk).facts["revalued"]

    gains = {each["currency"]: each["gain"]["amount"] for each in facts}
    assert gains == {"USD": "21.00", "JPY": "-19.75", "KWD": "0.57"}
    assert desk.balance("platform.revaluation", "EUR", "JPY") == -1_975


def test_a_day_is_revalued_once(desk: Desk) -> None:
    """Asked again it answers the same, and writes nothing."""
    first = do(desk)
    before = rows(desk.connection)

    again = do(desk)

    assert again.facts == first.facts
    assert rows(desk.connection) == before


def test_the_next_month_books_what_came_on_top_and_makes_late_entries_good(desk: Desk) -> None:
    """165.00 USD at 2.00 are 82.50; with 11.00 USD of March that were booked late, 88.00."""
    do(desk)
    earn(desk, "USD", 1_100, FIRST)

    done = do(desk, NEXT, datetime(2026, 5, 1, 8, tzinfo=UTC))

    (row,) = done.facts["revalued"]
    assert (row["worth"]["amount"], row["carried"]["amount"]) == ("88.00", "175.00")
    assert desk.balance("platform.revaluation", "EUR", "USD") == 8_800 - 10_000 - 4_400 - 1_000


def test_a_revaluation_is_taken_back_and_made_anew(desk: Desk) -> None:
    """The newest first; each entry by one that names it, and the day is free again."""
    do(desk)
    back = ReverseRevaluation(actor=desk.first, on=END, reason="a rate was wrong")

    done = reverse_revaluation(desk.connection, [back], at=AT)[0]

    assert done.is_done
    assert desk.balance("platform.revaluation", "EUR", "USD") == 0
    assert reverse_revaluation(desk.connection, [back], at=AT)[0].code == "fx.not_revalued"
    assert do(desk).facts["revalued"][0]["gain"]["amount"] == "21.00"
    assert prove(desk.connection).is_clean


def test_what_is_refused_writes_nothing(desk: Desk) -> None:
    """A day that runs, a day before one that was revalued, a stale rate, no rate, a stranger."""
    later = datetime(2026, 5, 20, tzinfo=UTC)
    do(desk, NEXT, later)
    before = rows(desk.connection)

    codes = [
        do(desk, AT.date()).code,
        do(desk, END, later).code,
        do(desk, NEXT + timedelta(days=8), later).code,
        revalue(desk.connection, [Revalue(actor=person(None), on=NEXT)], at=later)[0].code,
    ]
    earn(desk, "XOF", 100, date(2026, 5, 2))
    counted = rows(desk.connection)
    missing = do(desk, date(2026, 5, 4), later)

    assert codes == ["fx.later_revalued", "fx.later_revalued", "fx.stale_rate", "fx.not_operator"]
    assert missing.code == "fx.no_rate"
    assert counted["event"] == before["event"] + 1
    assert rows(desk.connection) == counted
    assert do(desk, later.date(), later).code == "fx.day_not_over"


def test_the_database_lets_one_revaluation_of_a_day_and_currency_stand(desk: Desk) -> None:
    """Whoever writes it."""
    do(desk)
    copy = (
        "INSERT INTO fx_revaluation SELECT gen_random_uuid(), on_day, currency, reporting,"
        " balance_minor, source, as_of, rate, worth_minor, carried_minor, gain_minor, event_id,"
        " revalued_by, revalued_at FROM fx_revaluation"
    )
    nested = desk.connection.begin_nested()

    with pytest.raises(DBAPIError, match="fx_revaluation_stands_once"):
        desk.connection.exec_driver_sql(copy)

    nested.rollback()
