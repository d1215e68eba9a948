"""The decision that ends an hourly term with its contract: the running week ends short."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from escrow.commands_hourly import TermCommand
from escrow.machine import Timer
from escrow.model import Alarm, Plan
from escrow.model_hourly import HourlyTerm, Step, Week, WeekState, Worked
from escrow.rules_deal import event
from escrow.rules_hourly import term_facts
from escrow.rules_hourly_step import moved_week, week_subject

TO_INVOICE: Final = timedelta(hours=12)
TO_REVIEW: Final = timedelta(days=4, hours=11, minutes=59)
"""As from Monday midnight to noon, and from there to Friday night."""


def end_hours(term: HourlyTerm, weeks: Sequence[Week], command: TermCommand, at: datetime) -> Step:
    """No hours after now; the running week closes at once, one that has not begun with it."""
    after = replace(term, ended_at=at, version=term.version + 1)
    running = [week for week in weeks if week.state is WeekState.OPEN]
    moves = tuple((week, _shortened(week, at)) for week in running if week.starts_at < at)
    subject = f"term:{term.term_id}"
    return Step(
        Plan(
            drafts=(event(command, at, kind="term.ended", subject=subject),),
            facts=term_facts(after),
            alarms=tuple(Alarm(week_subject(week), Timer.WEEK_CLOSE, at, 0) for week in running),
            cancelled=tuple(
                (week_subject(week), timer)
                for week in running
                for timer in (Timer.WEEK_AHEAD, Timer.WEEK_DEPOSIT)
            ),
        ),
        Worked(moved_terms=((term, after),), moved_weeks=moves),
    )


def _shortened(week: Week, at: datetime) -> Week:
    ends_at = min(at, week.ends_at)
    invoice_at = ends_at + TO_INVOICE
    return moved_week(
        week, ends_at=ends_at, invoice_at=invoice_at, review_ends_at=invoice_at + TO_REVIEW
    )
