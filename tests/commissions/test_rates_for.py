"""The mid rates that a batch of conversions is made at, read from our own rows."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from commissions import store_fx
from commissions.model_fx import Conversion, ConversionKind, Fill
from commissions.service_fx import rates_for
from kernel.ids import new_id
from rails.rates.ecb import packaged
from rails.rates.model import Rate
from tests.commissions.rates import stand_rates
from tests.escrow.stage import START, add_party

DAY = START.date()


def test_pairs_are_direct_inverse_or_over_the_euro(connection: Connection) -> None:
    """Currencies with 0, 2 and 3 decimals; each rate at ten decimals, half up."""
    stand_rates(connection, DAY)

    found = rates_for(connection, [("EUR", "USD"), ("USD", "EUR"), ("JPY", "KWD")], START)

    assert found == {
        ("EUR", "USD"): Rate("ecb", "EUR", "USD", Fraction("1.1"), DAY),
        ("USD", "EUR"): Rate("ecb", "USD", "EUR", Fraction("0.9090909091"), DAY),
        ("JPY", "KWD"): Rate("ecb", "JPY", "KWD", Fraction("0.0021068536"), DAY),
    }


def test_a_missing_an_old_and_a_vanishing_rate_are_refusals_beside_their_pair(
    connection: Connection,
) -> None:
    """Three business days are fresh, four are not; one in ten milliards rounds to nothing."""
    stand_rates(connection, DAY - timedelta(days=4))
    stand_rates(connection, DAY, {"IDR": "9999999999", "BHD": "0.4"})
    late = START + timedelta(days=2)
    asked = [("EUR", "USD"), ("EUR", "XOF"), ("EUR", "EUR"), ("EUR", "IDR"), ("IDR", "BHD")]

    found = rates_for(connection, asked, late)
    still = rates_for(connection, [("EUR", "USD")], START + timedelta(days=1))

    codes = {pair: getattr(each, "code", "") for pair, each in found.items()}
    assert codes == {
        ("EUR", "USD"): "fx.stale_rate",
        ("EUR", "XOF"): "fx.no_rate",
        ("EUR", "EUR"): "fx.same_currency",
        ("EUR", "IDR"): "",
        ("IDR", "BHD"): "fx.zero_rate",
    }
    assert isinstance(still["EUR", "USD"], Rate)


def test_what_we_read_is_what_the_file_of_the_bank_says(connection: Connection) -> None:
    """A cross of two stored rates is the cross of the file itself."""
    source, on = packaged(), date(2020, 6, 3)
    known = sorted(source.currencies(on) - {"EUR"})[:12]
    at = datetime(2020, 6, 3, 18, tzinfo=UTC)
    per_euro = {code: source.find(sold="EUR", bought=code, on=on) for code in known}
    stand_rates(
        connection, on, {code: str(float(each.rate)) for code, each in per_euro.items() if each}
    )

    pairs = [(one, other) for one in known for other in known if one != other]
    found = rates_for(connection, pairs, at)

    assert found == {(one, two): source.find(sold=one, bought=two, on=on) for one, two in pairs}


def test_conversions_are_read_as_they_were_written(connection: Connection) -> None:
    """One statement for any number; a fill stands beside its conversion."""
    party_id = add_party(connection, "freelancer")
    first = Conversion(
        id=new_id(),
        kind=ConversionKind.RELEASE,
        subject="release:1",
        party_id=party_id,
        mid=Rate("ecb", "EUR", "USD", Fraction("1.1"), DAY),
        rate=Fraction("1.0835"),
        margin_bps=150,
        sold_minor=9_000,
        bought_minor=9_752,
        margin_minor=149,
        at=START,
    )
    second = replace(first, id=new_id(), subject="release:2", rail_account="bank")
    store_fx.add_conversions(connection, [first, second])
    fill = Fill(9_870, START, "house", "f-1", 118, 31)

    store_fx.save_fills(connection, {first.id: fill})

    assert store_fx.find_conversions(connection, [first.id, second.id]) == {
        first.id: replace(first, fill=fill),
        second.id: second,
    }
    assert store_fx.list_open(connection, after=None, limit=10) == [second]
    assert store_fx.sum_open(connection) == [
        ("EUR", -9_000, 1, START),
        ("USD", 9_752, 1, START),
    ]


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("UPDATE fx_conversion SET bought_minor = 1", "fx_conversion_stands"),
        ("UPDATE fx_conversion SET state = 'filled'", "fx_conversion_filled_whole"),
        ("DELETE FROM fx_conversion", "DELETE of fx_conversion refused"),
        ("UPDATE fx_rate SET rate = 1", "UPDATE of fx_rate refused"),
        (
            "INSERT INTO fx_rate VALUES ('ecb', 'mid', 'EUR', 'JPY', '2026-01-01', 0, 's', now())",
            "fx_rate_above_zero",
        ),
    ],
)
def test_the_owner_himself_is_refused(
    owner_connection: Connection, statement: str, name: str
) -> None:
    """Rates stay, conversions keep their amounts, and nothing is worth nothing."""
    stand_rates(owner_connection, DAY)
    given = Conversion(
        id=new_id(),
        kind=ConversionKind.RELEASE,
        subject="release:1",
        party_id=add_party(owner_connection, "freelancer"),
        mid=Rate("ecb", "EUR", "USD", Fraction("1.1"), DAY),
        rate=Fraction("1.0835"),
        margin_bps=150,
        sold_minor=9_000,
        bought_minor=9_752,
        margin_minor=149,
        at=START,
    )
    store_fx.add_conversions(owner_connection, [given])
    nested = owner_connection.begin_nested()

    with pytest.raises(DBAPIError, match=r"stands|append-only|fx_") as raised:
        owner_connection.exec_driver_sql(statement)

    diagnosis = getattr(raised.value.orig, "diag", None)
    assert name in str(raised.value) + str(diagnosis and diagnosis.constraint_name)
    nested.rollback()
