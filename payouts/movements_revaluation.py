"""What the platform's own balances in foreign currencies gained or lost, in the reporting currency.

The balances themselves stay as they are: each entry is of one currency and balances by itself. The
gain stands in the reporting currency, against `platform.revaluation` of the foreign one.
"""

from ledger.chart import account
from ledger.entries import Entries, platform


def revalue(*, currency: str, reporting: str, gain_minor: int) -> Entries:
    """A gain of so many minor units of the reporting currency; a loss where it is negative."""
    return platform(
        reporting,
        (account("platform.revaluation", reporting, currency), gain_minor),
        (account("platform.expense.fx", reporting), -gain_minor),
    )
