"""What an instant payout costs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kernel.money import share_bps, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class InstantFee:
    """A fee from a time on: `rate_bps` of the amount and `fixed_minor`, within its bounds.

    `largest_minor` None: no upper bound. `is_on_top`: it comes to the payout fee of the day, else
    it takes its place.
    """

    currency: str
    valid_from: datetime
    rate_bps: int
    fixed_minor: int
    smallest_minor: int
    largest_minor: int | None
    is_on_top: bool


def instant_fee_minor(fee: InstantFee, *, amount_minor: int, payout_fee_minor: int) -> int:
    """The whole fee of an instant payout, rounded half up to the minor unit; the bounds come last.

    Args:
        fee: what counts now.
        amount_minor: what leaves the payee's balance; never negative.
        payout_fee_minor: what a payout costs today anyway.
    """
    own_minor = max(share_bps(amount_minor, fee.rate_bps) + fee.fixed_minor, fee.smallest_minor)
    if fee.largest_minor is not None:
        own_minor = min(own_minor, fee.largest_minor)
    return own_minor + (payout_fee_minor if fee.is_on_top else 0)


def fee_json(fee: InstantFee) -> dict[str, Any]:
    """The fee as the API shows it."""
    currency = fee.currency
    largest_minor = fee.largest_minor
    return {
        "currency": currency,
        "valid_from": fee.valid_from.isoformat(),
        "rate_bps": fee.rate_bps,
        "fixed": to_json(fee.fixed_minor, currency),
        "smallest": to_json(fee.smallest_minor, currency),
        "largest": None if largest_minor is None else to_json(largest_minor, currency),
        "is_on_top": fee.is_on_top,
    }
