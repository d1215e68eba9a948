"""Whether a tariff never charges more than another: what a running contract may be moved to. Pure.

Compared part by part, whatever was billed before and whatever is still to come: every rate at
every sum, what is added per payment, floor and caps. A tariff that is dearer in one part and
cheaper in another is refused, even where the two would even out. What rounding may still put into
one payment is a single minor unit, which another payment of the pair then lacks.

Source: domain/escrow.md 3.1, migration of May 2023.
"""

from commissions.model import Tariff


def dearer_by(new: Tariff, *, than: Tariff) -> str | None:
    """The first part in which `new` may charge more than another; None: never."""
    old = than
    assert new.currency == old.currency
    for start in sorted({0, *new.ends, *old.ends}):
        if _rate_above(new, start) > _rate_above(old, start):
            return "rate"
    if new.per_transaction_minor > old.per_transaction_minor:
        return "per_transaction"
    if new.floor_minor > old.floor_minor:
        return "floor"
    if _is_higher(new.cap_minor, old.cap_minor):
        return "cap"
    if _is_higher(new.cap_month_minor, old.cap_month_minor):
        return "cap_month"
    return None


def _rate_above(tariff: Tariff, billed_minor: int) -> int:
    """The rate of the next minor unit, basis points."""
    return next(
        band.rate_bps
        for band in tariff.bands
        if band.up_to_minor is None or billed_minor < band.up_to_minor
    )


def _is_higher(new: int | None, old: int | None) -> bool:
    """Whether a bound lets more through; None: it bounds nothing."""
    return old is not None and (new is None or new > old)
