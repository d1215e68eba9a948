"""A commission part by part, as a quote shows it: each band with its own money, then what moved it.

The parts of a payment sum to `commissions.maths.fee` for any tariff, history and amount.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

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


@dataclass(frozen=True, slots=True)
class Part:
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
    charged = sum(each.fee_minor for each in found)
    month = tariff.cap_month_minor
    steps = (
        (What.PER_TRANSACTION, charged + tariff.per_transaction_minor),
        (What.FLOOR, tariff.floor_minor),
        (What.CAP, tariff.cap_minor),
        (What.CAP_MONTH, None if month is None else max(month - before.charged_month_minor, 0)),
        (What.AMOUNT, amount_minor),
    )
    for what, bound in steps:
        if bound is None:
            continue
        after = max(charged, bound) if what in _RAISING else min(charged, bound)
        if after != charged:
            found.append(Part(what, after - charged))
        charged = after
    return tuple(found)


_RAISING = frozenset({What.PER_TRANSACTION, What.FLOOR})


def _bands(tariff: Tariff, amount_minor: int, billed_minor: int) -> Iterator[Part]:
    """The bands that a payment lies in, lowest first."""
    start, until = 0, billed_minor + amount_minor
    for end, rate_bps in tariff.bands:
        low = max(start, billed_minor)
        high = until if end is None else min(end, until)
        if low < high:
            taken = round_bps(tariff.bps_minor(high)) - round_bps(tariff.bps_minor(low))
            yield Part(What.BAND, taken, rate_bps, high - low, start, end)
        if end is None or end >= until:
            return
        start = end
