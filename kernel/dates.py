"""Days of the calendar, counted from an anchor that is never forgotten."""

from calendar import monthrange
from datetime import date


def months_later(anchor_on: date, months: int) -> date:
    """The same day so many months after an anchor, or the last of a shorter month.

    31 January is followed by 28 February and by 31 March; 29 February by 28 February 2029 and by
    29 February 2032.

    Source: domain/escrow.md 2.11, edge case 31.
    """
    assert months >= 0
    total = anchor_on.month - 1 + months
    year, month = anchor_on.year + total // 12, total % 12 + 1
    return date(year, month, min(anchor_on.day, monthrange(year, month)[1]))
