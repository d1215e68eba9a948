"""What a split payment costs, and in which order: which property each part of a tariff keeps.

For payments of one pair in one month that add up to a whole, before tax:

- bands alone: the parts cost what the whole does, in any order;
- bands and a cap of the month: the same, as far as the cap has room;
- a part per transaction: so much more for every further payment, while no fee meets its amount;
- floor, cap, part per transaction, cap of the month together: the parts never cost less than the
  whole, and at most a floor and a part per transaction more for each of them;
- a promotion of bands alone over bands alone: the parts never cost more than the whole.

A floor, a cap and a part per transaction are of each payment, so there the number of payments is
part of the price, and with a cap or a floor so is which payment came first. Each tax is rounded by
itself: of n fees it is within half a minor unit each of what the tax on their sum would be.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from commissions.maths import Before, fee, fee_with_promotion
from commissions.model import Tariff
from kernel.money import share_bps
from tests.commissions.deals import cumulated, draw


def draw_parts(random: Random) -> list[int]:
    """Two to six payments."""
    return [
        random.choice((1, random.randint(1, 60), random.randint(1, 60_000)))
        for _ in range(random.randint(2, 6))
    ]


def charged(
    given: Tariff,
    parts: Sequence[int],
    *,
    billed_minor: int,
    month_minor: int = 0,
    promoted: Tariff | None = None,
) -> list[int]:
    """The fees of payments of one month, one after the other."""
    fees: list[int] = []
    for part in parts:
        before = Before(billed_minor, month_minor)
        if promoted is None:
            fees.append(fee(given, part, before))
        else:
            fees.append(fee_with_promotion(given, part, before, promoted=promoted)[0])
        billed_minor, month_minor = billed_minor + part, month_minor + fees[-1]
    return fees


def check_splits(random: Random) -> int:
    """One tariff by all the properties above; how many payments were priced."""
    given, parts = draw(random), draw_parts(random)
    billed = random.choice((0, random.randint(0, 300_000)))
    bands = Tariff(given.currency, given.bands)
    check_bands(random, bands, parts, billed, month_cap=given.cap_month_minor or 5_000)
    check_each(given, parts, billed, month=random.randint(0, 9_000))
    promoted = draw(random, plain=True)
    whole = charged(bands, [sum(parts)], billed_minor=billed, promoted=promoted)
    split = charged(bands, parts, billed_minor=billed, promoted=promoted)
    assert sum(split) <= whole[0], (bands, promoted, billed, parts)
    check_taxes(split, random.randint(0, 10_000))
    return len(parts)


def check_bands(
    random: Random, bands: Tariff, parts: Sequence[int], billed: int, *, month_cap: int
) -> None:
    """Bands alone, and with a cap of the month: neither the split nor the order matters."""
    whole = cumulated(bands, billed + sum(parts)) - cumulated(bands, billed)
    capped = replace(bands, cap_month_minor=month_cap)
    month = random.randint(0, month_cap)
    shuffled = random.sample(parts, len(parts))
    for order in (parts, shuffled):
        assert sum(charged(bands, order, billed_minor=billed)) == whole, (bands, billed, order)
        under_cap = charged(capped, order, billed_minor=billed, month_minor=month)
        assert sum(under_cap) == min(whole, month_cap - month), (capped, billed, order, month)


def check_each(given: Tariff, parts: Sequence[int], billed: int, *, month: int) -> None:
    """Floor, cap and part per transaction: never cheaper split, and dearer by no more than them."""
    (whole,) = charged(given, [sum(parts)], billed_minor=billed, month_minor=month)
    split = charged(given, parts, billed_minor=billed, month_minor=month)
    bands = cumulated(given, billed + sum(parts)) - cumulated(given, billed)
    most = bands + len(parts) * (given.per_transaction_minor + given.floor_minor)
    assert whole <= sum(split) <= most, (given, billed, month, parts)
    assert all(taken <= part for taken, part in zip(split, parts, strict=True))
    flat = Tariff(given.currency, given.bands, per_transaction_minor=given.per_transaction_minor)
    each = charged(flat, parts, billed_minor=billed)
    if all(taken < part for taken, part in zip(each, parts, strict=True)):
        assert sum(each) == bands + len(parts) * given.per_transaction_minor


def check_taxes(fees: Sequence[int], tax_bps: int) -> None:
    """Each tax is half up by itself; together they are near the tax on the sum."""
    taxes = [share_bps(taken, tax_bps) for taken in fees]
    assert abs(2 * 10_000 * sum(taxes) - 2 * sum(fees) * tax_bps) <= 10_000 * len(fees)
