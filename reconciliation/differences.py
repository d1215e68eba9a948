"""The difference of an R4, posted where it is a processor's rounding; else a person must look."""

from datetime import datetime

from sqlalchemy import Connection

from kernel.principals import Actor
from payouts.movements_settlement import MOST_MINOR
from payouts.service_rounding import Rounding, book_roundings
from reconciliation.model_matching import Found
from reconciliation.refusals import DifferenceNotPosted
from reconciliation.store_items import Place


def post_rounding(
    connection: Connection, place: Place, found: Found, actor: Actor, at: datetime
) -> int:
    """P46 for what the statement has more or less than the books; the number of its event.

    Refuses `proposal.difference_not_posted` for a bank, and for more than a rounding.
    """
    difference_minor = found.difference_minor
    if place.place != "processor" or abs(difference_minor) > MOST_MINOR:
        raise DifferenceNotPosted(difference_minor=difference_minor)
    (event_id,) = book_roundings(
        connection,
        [
            Rounding(
                rail_account=place.rail_account,
                currency=place.currency,
                short_minor=-difference_minor,
                actor=actor,
                reason=f"{found.rule}: the statement says {difference_minor:+d} minor units",
            )
        ],
        at=at,
    )
    return event_id
