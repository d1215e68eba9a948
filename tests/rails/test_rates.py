"""Rates of exchange: what the bank wrote, exactly; cross rates; days without one; broken files."""

import io
import zipfile
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from rails.rates import ecb, fixed
from rails.rates.fixed import FixedRates
from rails.rates.model import NotRates, Rate, Source

TEXT = """Date,USD,JPY,HRK,
2026-03-03,1.1000,164.50,N/A,
2026-03-02,1.0900,163.00,N/A,
2026-02-27,1.0800,162.00,7.5345,
"""


@pytest.fixture(scope="module")
def history() -> ecb.EcbRates:
    return ecb.packaged()


def test_a_day_s_rates_are_what_is_written() -> None:
    """The euro into another, back, and across; ten decimals, half up."""
    rates = ecb.parse(TEXT.encode())
    day = date(2026, 3, 3)

    def of(sold: str, bought: str) -> Fraction:
        found = rates.find(sold=sold, bought=bought, on=day)
        assert found is not None
        assert (found.source, found.as_of) == ("ecb", day)
        return found.rate

    assert of("EUR", "USD") == Fraction("1.1")
    assert of("USD", "EUR") == Fraction("0.9090909091")
    assert of("USD", "JPY") == Fraction("149.5454545455")
    assert of("EUR", "EUR") == 1
    assert rates.newest == day


def test_a_day_without_rates_has_those_of_the_last_one() -> None:
    """A weekend has Friday's; before the first day, and for a currency given up, there is none."""
    rates = ecb.parse(TEXT.encode())

    sunday = rates.find(sold="EUR", bought="USD", on=date(2026, 3, 1))

    assert sunday is not None
    assert (sunday.rate, sunday.as_of) == (Fraction("1.08"), date(2026, 2, 27))
    assert rates.find(sold="EUR", bought="USD", on=date(2026, 2, 26)) is None
    kuna = rates.find(sold="EUR", bought="HRK", on=date(2026, 3, 3))
    assert kuna is not None
    assert kuna.as_of == date(2026, 2, 27)
    assert rates.find(sold="EUR", bought="HRK", on=date(2026, 4, 30)) is None
    assert rates.find(sold="EUR", bought="KES", on=date(2026, 3, 3)) is None
    assert rates.currencies(date(2026, 3, 3)) == {"EUR", "USD", "JPY"}
    assert rates.currencies(date(2020, 1, 1)) == frozenset()


def test_the_packaged_history_is_whole(history: ecb.EcbRates) -> None:
    """Every business day of 2023 to the end has dollars, no gap above a week of holidays."""
    assert history.newest >= date(2026, 10, 1)
    day, last = date(2023, 1, 9), history.newest
    while day <= last:
        found = history.find(sold="EUR", bought="USD", on=day)
        assert found is not None
        assert (day - found.as_of).days <= 5, day
        day += timedelta(days=1)
    assert len(history.currencies(last)) >= 29


def test_a_file_of_the_bank_is_read_plain_or_zipped(tmp_path: Path) -> None:
    """With a byte order mark or not, as CSV or in a zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("eurofxref.csv", TEXT)
    for name, content in (("a.csv", b"\xef\xbb\xbf" + TEXT.encode()), ("a.zip", packed.getvalue())):
        path = tmp_path / name
        path.write_bytes(content)
        assert ecb.read(path).newest == date(2026, 3, 3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 no zip",
        b"Day,USD\n2026-03-03,1.1\n",
        b"Date,USD\n",
        b"Date,USD\n03.03.2026,1.1\n",
        b"Date,USD\n2026-03-03,one\n",
        b"Date,USD\n2026-03-03,0\n",
        b"Date,USD\n2026-03-03,-1.1\n",
        b"Date,USD\n2026-03-03,1/0\n",
        b"\xff\xfe",
    ],
)
def test_what_is_no_file_of_the_bank_is_refused(content: bytes) -> None:
    """A rate of zero or less, another form, or nothing at all."""
    with pytest.raises(NotRates):
        ecb.parse(content)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("day;sold\n2026-03-03;EUR\n", "each line has as_of, sold, bought and rate"),
        ("as_of,sold,bought,rate\n2026-03-03,EUR\n", "each line has as_of, sold, bought and rate"),
        (
            "as_of,sold,bought,rate\n2026-03-03,EUR,USD,0\n",
            "0 is no rate of ten decimals above zero",
        ),
        ("as_of,sold,bought,rate\n", "no rate in it"),
    ],
)
def test_a_table_of_ones_own_says_what_is_wrong(tmp_path: Path, content: str, why: str) -> None:
    """Columns that are missing are told by the columns that there must be."""
    path = tmp_path / "table.csv"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(NotRates) as told:
        fixed.read(path)

    assert told.value.facts["why"] == why


def test_fixed_rates_hold_from_their_day() -> None:
    """The newest by then; the inverse is a pair of its own."""
    days = {date(2026, 1, 1): Fraction("1.05"), date(2026, 2, 1): Fraction("1.06")}
    source: Source = FixedRates(Rate("own", "EUR", "USD", rate, day) for day, rate in days.items())

    found = source.find(sold="EUR", bought="USD", on=date(2026, 1, 31))

    assert found is not None
    assert found.rate == Fraction("1.05")
    assert source.find(sold="EUR", bought="USD", on=date(2025, 12, 31)) is None
    assert source.find(sold="USD", bought="EUR", on=date(2026, 1, 31)) is None
    assert source.currencies(date(2026, 1, 31)) == {"EUR", "USD"}
