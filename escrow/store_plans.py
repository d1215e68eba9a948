"""The SQL of the fee lines of what is sold: what was charged, or went back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from escrow.rules_plans import FEE_KINDS, Fee
from kernel.database import driver

_ADD: Final = """
INSERT INTO fee_line (kind, party_id, currency, gross_minor, fee_minor, tax_minor, tax_country,
    tax_rate_bps, treatment, note, before_minor, before_month_minor, is_promoted, foregone_minor,
    month, event_id, recorded_at)
VALUES (%s, %s, %s, 0, %s, %s, %s, %s, %s, %s, 0, 0, false, 0, %s, %s, %s)
"""


def add_fees(
    connection: Connection, fees: Sequence[tuple[Fee, int, datetime]], at: datetime
) -> None:
    """Write fee lines, each with its event and when the books knew it; `at` says the month."""
    given = [
        (
            *(FEE_KINDS[fee.purchase.kind], fee.purchase.party_id, fee.purchase.currency),
            *(fee.fee_minor, fee.tax_minor, fee.purchase.tax_country, fee.purchase.tax_rate_bps),
            *(fee.purchase.treatment, fee.purchase.note),
            *(at.date().replace(day=1), event_id, recorded_at),
        )
        for fee, event_id, recorded_at in fees
    ]
    if given:
        driver(connection).cursor().executemany(_ADD, given)
