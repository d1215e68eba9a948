"""What a payment costs by its tariff, and what of it comes back with a refund.

One function answers the quote, the posting, the invoice and, run backwards, the refund. Amounts
are minor units of the tariff's currency, never negative.

Source: domain/escrow.md 3.3, rules 2, 4, 5 and 7.
"""

from dataclasses import dataclass

from commissions.model import Mode, Tariff
from kernel.errors import Refusal
from kernel.money import MAX_MINOR, round_bps, share_bps


class NetOutOfReach(Refusal):
    """No amount that we keep books of leaves so much after the fee."""

    code = "fees.net_out_of_reach"


@dataclass(frozen=True, slots=True)
class Before:
    """What a pair had by then.

    `billed_minor`: all that was released less what was refunded, over the pair's life.
    `charged_month_minor`: the fees of this calendar month, for a monthly cap.
    """

    billed_minor: int = 0
    charged_month_minor: int = 0


NOTHING_BEFORE = Before()


def fee(tariff: Tariff, amount_minor: int, before: Before = NOTHING_BEFORE) -> int:
    """The fee of a payment: bands, then the part per transaction, floor, cap, cap of the month.

    However a sum is split into payments, the bands' parts add up to those of the whole. The fee
    is never more than the amount.
    """
    assert amount_minor >= 0
    if amount_minor == 0:
        return 0
    billed = before.billed_minor
    bands = round_bps(tariff.bps_minor(billed + amount_minor)) - round_bps(tariff.bps_minor(billed))
    charged = max(bands + tariff.per_transaction_minor, tariff.floor_minor)
    if tariff.cap_minor is not None:
        charged = min(charged, tariff.cap_minor)
    if tariff.cap_month_minor is not None:
        charged = min(charged, max(tariff.cap_month_minor - before.charged_month_minor, 0))
    return min(charged, amount_minor)


def fee_with_promotion(
    tariff: Tariff, amount_minor: int, before: Before = NOTHING_BEFORE, *, promoted: Tariff
) -> tuple[int, int]:
    """The fee under a promotion, and what it forgoes: never dearer than without it."""
    full = fee(tariff, amount_minor, before)
    lowered = min(full, fee(promoted, amount_minor, before))
    return lowered, full - lowered


def unwind(
    tariff: Tariff,
    amount_minor: int,
    before: Before,
    *,
    returned_minor: int,
    returned_before_minor: int = 0,
) -> int:
    """What comes back of a payment's fee with a refund, from the top of its own bands.

    `before` is what stood before that payment, so other payments keep their fees. After any
    number of refunds what is kept is the fee of what was not refunded; the part per transaction
    and the floor go back with the last of it. `returned_minor` is what goes back of the payment
    now, `returned_before_minor` what went by earlier refunds.
    """
    assert returned_minor >= 0
    kept = amount_minor - returned_before_minor
    assert 0 <= returned_minor <= kept
    return fee(tariff, kept, before) - fee(tariff, kept - returned_minor, before)


def fee_of_period(tariff: Tariff, mode: Mode, total_minor: int) -> int:
    """The fee of a closed period's total, for a true-up of what was charged per payment."""
    if mode is Mode.MARGINAL:
        return round_bps(tariff.bps_minor(total_minor))
    band = next(
        each for each in tariff.bands if each.up_to_minor is None or total_minor <= each.up_to_minor
    )
    return share_bps(total_minor, band.rate_bps)


def gross_for_net(tariff: Tariff, net_minor: int, before: Before = NOTHING_BEFORE) -> int:
    """The least amount that leaves at least this net: the payee gets what was promised.

    Found by search, since rounding has no inverse; one minor unit more of the amount adds none or
    one to the net. Refuses `fees.net_out_of_reach`.
    """
    assert net_minor > 0
    low, high = net_minor, MAX_MINOR
    if high - fee(tariff, high, before) < net_minor:
        raise NetOutOfReach(net_minor=net_minor)
    while low < high:
        middle = (low + high) // 2
        if middle - fee(tariff, middle, before) >= net_minor:
            high = middle
        else:
            low = middle + 1
    return low
