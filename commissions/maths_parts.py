"""A commission part by part, as a quote shows it: each band with its own money, then what moved it.

The parts of a payment sum to `commissions.maths.fee` for any tariff, history and amount.
"""

from bisect import bisect_right
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from commissions.maths import NOTHING_BEFORE, Before
from commissions.model import Tariff
from kernel.money import round_bps


class What(StrEnum):
    """Where a part of a fee comes from, in the order in which it is applied."""

    BAND = "band"
    PER_TRANSACTION = "per_transaction"
    FLOOR = "floor"
    CAP = "cap"
    CAP_MONTH = "cap_month"
    AMOUNT = "amount"
    PROMOTION = "promotion"
    TAX_WITHIN = "tax_within"


class Part(NamedTuple):
    """What one rule adds to a fee, or takes from it (below zero); minor units.

    A band has its rate, the sums billed that it lies between (no end: None), and how much of the
    payment lies in it. Its fee is rounded as part of the pair's whole history, so that of two
    like parts one may be a minor unit more.
    """

    what: What
    fee_minor: int
    rate_bps: int = 0
    on_minor: int = 0
    from_minor: int = 0
    up_to_minor: int | None = None


def parts(tariff: Tariff, amount_minor: int, before: Before = NOTHING_BEFORE) -> tuple[Part, ...]:
    """The fee of a payment as the sum of its parts; those of nothing are left out, bands apart."""
    assert amount_minor >= 0
    found = list(_bands(tariff, amount_minor, before.billed_minor)) if amount_minor else []
    if not found:
        return ()
    charged = sum([each.fee_minor for each in found])
    for what, after in _bounded(tariff, amount_minor, before, charged):
        if after != charged:
            found.append(Part(what, after - charged))
            charged = after
    return tuple(found)


def _bounded(
    tariff: Tariff, amount_minor: int, before: Before, charged: int
) -> Iterator[tuple[What, int]]:
    """The fee behind each step that may change it, in the order of `commissions.maths.fee`."""
    charged += tariff.per_transaction_minor
    yield What.PER_TRANSACTION, charged
    charged = max(charged, tariff.floor_minor)
    yield What.FLOOR, charged
    if tariff.cap_minor is not None:
        charged = min(charged, tariff.cap_minor)
        yield What.CAP, charged
    if tariff.cap_month_minor is not None:
        charged = min(charged, max(tariff.cap_month_minor - before.charged_month_minor, 0))
        yield What.CAP_MONTH, charged
    yield What.AMOUNT, min(charged, amount_minor)


def _bands(tariff: Tariff, amount_minor: int, billed_minor: int) -> Iterator[Part]:
    """The bands that a payment lies in, lowest first."""
    at = bisect_right(tariff.ends, billed_minor)
    start = tariff.ends[at - 1] if at else 0
    low, until = billed_minor, billed_minor + amount_minor
    before = round_bps(tariff.bps_minor(low))
    for end, rate_bps in tariff.bands[at:]:
        high = until if end is None else min(end, until)
        after = round_bps(tariff.bps_minor(high))
        yield Part(What.BAND, after - before, rate_bps, high - low, start, end)
        if high == until:
            return
        low, start, before = high, high, after
