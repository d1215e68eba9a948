"""The tax on our fees as the books need it: one statement for a whole batch, then the pure table.

Nothing is refused here: a release never waits for a tax office. What the table does not decide
is charged as the supplier's profile says, and credited when the evidence comes.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from tax import store_vat
from tax.model_vat import Check, Decision, Evidence, Service, Supply, WhenUnsure
from tax.vat import decide_or_charge


def decide_for(
    connection: Connection, party_ids: Iterable[UUID], at: datetime
) -> dict[UUID, Decision | None]:
    """The tax on a fee that each of these parties pays at an instant, by party.

    None: the tenant has no supplier profile in force, and charges no tax. One statement; takes no
    lock. A check counts if it was made by then, is the newest of the number that the party has,
    and says valid; what was learnt later changes nothing.
    """
    wanted = set(party_ids)
    decided: dict[UUID, Decision | None] = dict.fromkeys(wanted)
    for row in store_vat.list_facts(connection, wanted, at=at) if wanted else ():
        decided[row.party_id] = decide_or_charge(_supply(row, at), WhenUnsure(row.when_unsure))
    return decided


def _supply(row: Any, at: datetime) -> Supply:  # noqa: ANN401  a row of the driver
    return Supply(
        supplier_country=row.country,
        evidence=tuple(Evidence(each["kind"], each["country"]) for each in row.evidence or ()),
        service=Service(row.service),
        on=at.date(),
        at=at,
        check=_check(row),
    )


def _check(row: Any) -> Check | None:  # noqa: ANN401  a row of the driver
    if row.check_id is None:
        return None
    until = row.checked_at + timedelta(days=row.check_days)
    return Check(
        "", row.tax_country, row.is_valid, row.checked_at, row.reference, until, row.check_id
    )
