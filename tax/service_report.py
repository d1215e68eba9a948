"""The tax owed on our fees, per country and time: fee lines, documents and ledger side by side."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from kernel.money import to_json
from tax import store_invoice


def vat(connection: Connection, *, since: datetime, until: datetime) -> dict[str, Any]:
    """Per country and currency, from `since` until before `until` (by when the books knew it).

    `fees` is the tax of fee lines, `documents` what invoices less credit notes say of the same
    fees, `posted` what their events moved on `platform.vat_payable`; the three must be equal, but
    for fees that wait for their document (`waiting`). `other` is what moved beside fees, such as a
    payment to the authority, and `owed` the balance now.
    """
    rows = [
        {
            "country": row.country,
            "currency": row.currency,
            "net": to_json(row.net_minor, row.currency),
            "fees": to_json(row.tax_minor, row.currency),
            "documents": to_json(row.told_minor, row.currency),
            "waiting": row.untold,
            "posted": to_json(row.posted_minor, row.currency),
            "other": to_json(row.other_minor, row.currency),
            "owed": to_json(row.owed_minor, row.currency),
            "ties": row.tax_minor == row.posted_minor
            and (row.untold > 0 or row.told_minor == row.tax_minor),
        }
        for row in store_invoice.list_vat(connection, since=since, until=until)
    ]
    return {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "ties": all(row["ties"] for row in rows),
        "rows": rows,
    }
