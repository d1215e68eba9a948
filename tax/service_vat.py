"""The tax on our fees as the books need it: one statement for a whole batch, then the pure table.

Nothing is refused here: a release never waits for a tax office. What the table does not decide
is charged as the supplier's profile says, and credited when the evidence comes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from tax import store_vat
from tax.model_vat import Check, Decision, Evidence, Service, Supply, WhenUnsure
from tax.refusals import NotProved
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


@dataclass(frozen=True, slots=True)
class Proof:
    """That a number was valid before it was checked: since when, and when that became known."""

    check_id: UUID
    valid_since: datetime
    checked_at: datetime


def proved_for(connection: Connection, party_id: UUID, at: datetime) -> tuple[Proof, Decision]:
    """The newest proof about the number that a party has now, and the tax it would have had.

    The evidence is what is known now: what was missing then may have come since. Refuses
    `tax.not_proved`, also where the number is not valid any more.
    """
    rows = store_vat.list_facts(connection, [party_id], at=at)
    if not rows or rows[0].valid_since is None or not rows[0].is_valid:
        raise NotProved(party_id=str(party_id))
    row = rows[0]
    proof = Proof(row.check_id, row.valid_since, row.checked_at)
    supply = _supply(row, at)
    assert supply.check is not None
    # The proof says so for the time before it; how old it is by now does not matter.
    proved = replace(supply, check=replace(supply.check, until=None))
    return proof, decide_or_charge(proved, WhenUnsure(row.when_unsure))


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
