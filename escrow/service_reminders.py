"""What clocks do before they ring: they remind those whose silence decides, and wait out outages.

Both are events in the log; whoever passes the log on to people finds there whom to tell, of what,
and what happens if he does nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from escrow import store_clocks
from escrow.clocks import COURTEOUS, Clock, clock_of
from escrow.model import Role
from escrow.model_clocks import Concerned
from kernel import clock, outages, reminders
from kernel.principals import SYSTEM
from kernel.reminders import Reminder
from ledger.model import Draft
from ledger.service import post

REMINDED: Final = "clock.reminded"
OUTAGE: Final = "clock.outage"


def remind(connection: Connection, at: datetime, limit: int) -> int:
    """Tell of the clocks whose next mark has passed; how many were looked at.

    What is over by now, or rings this minute, is not told any more.
    """
    taken = reminders.take_due(connection, at=at, limit=limit)
    told = [each for each in taken if each.due_at > at]
    people = store_clocks.find_concerned(connection, [each.subject for each in told])
    drafts = [_draft(each, people, at) for each in told]
    if drafts:
        post(connection, drafts)
    return len(taken)


def begin_round(connection: Connection, at: datetime) -> int | None:
    """Note that the scanner looks, and move what fell due while it did not; timers per second.

    None: nobody waits behind these timers, as in a sandbox, whose time stands still meanwhile.
    """
    gap = outages.sign(connection)
    is_live = clock.get_mode(connection) is clock.Mode.LIVE
    rules = store_clocks.find_rules(connection)
    if gap is not None and is_live and gap.until_at - gap.from_at > rules.outage_after:
        outage = outages.delay(connection, gap, COURTEOUS, courtesy=rules.courtesy)
        post(connection, [Draft(OUTAGE, "", SYSTEM, at, detail=_outage(outage))])
    return rules.drain_per_s if is_live else None


def whom(row: Clock, concerned: Concerned) -> list[str]:
    """The parties that a clock tells of itself, by id."""
    roles = row.told
    if row.respondent_only and concerned.respondent is not None:
        roles = frozenset({concerned.respondent})
    ids = {Role.CLIENT: concerned.client_id, Role.PAYEE: concerned.payee_id}
    return [str(ids[role]) for role in sorted(roles)]


def _draft(each: Reminder, people: Mapping[str, Concerned], at: datetime) -> Draft:
    row, concerned = clock_of(each.kind), people.get(each.subject)
    detail = {
        "clock": each.kind,
        "due_at": each.due_at.isoformat(),
        "passed_percent": each.passed,
        "consequence": row.fires if row else "",
        "tell": whom(row, concerned) if row and concerned else [],
    }
    return Draft(REMINDED, each.subject, SYSTEM, at, detail=detail)


def _outage(outage: outages.Outage) -> dict[str, Any]:
    return {
        "outage_no": outage.outage_no,
        "from": outage.from_at.isoformat(),
        "until": outage.until_at.isoformat(),
        "courtesy_s": int(outage.courtesy.total_seconds()),
        "delayed": outage.delayed_count,
    }
