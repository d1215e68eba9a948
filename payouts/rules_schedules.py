"""The days on which schedules fall due: pure, in days of UTC, so no clock is ever put forward.

Money that the tenant's zone would call tomorrow's may be paid today; a day is never paid twice or
left out because of summer time.
"""

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from kernel.money import format_minor
from payouts.model_schedules import Cadence, Rhythm, Schedule
from payouts.refusals_runs import BadSchedule

_DAY: Final = timedelta(days=1)
_LONGEST_WAIT: Final = 366


def check_rhythm(rhythm: Rhythm) -> None:
    """Refuse days that the cadence does not have, or lacks (`payouts.bad_schedule`)."""
    cadence = rhythm.cadence
    wrong = ""
    if (cadence is Cadence.WEEKLY) != (rhythm.weekday is not None):
        wrong = "weekday"
    elif (cadence in {Cadence.MONTHLY, Cadence.TWICE_A_MONTH}) != (rhythm.day is not None):
        wrong = "day"
    elif (cadence is Cadence.TWICE_A_MONTH) != (rhythm.second_day is not None):
        wrong = "second_day"
    elif rhythm.weekday is not None and not 1 <= rhythm.weekday <= 7:
        wrong = "weekday"
    elif rhythm.day is not None and not 1 <= rhythm.day <= 31:
        wrong = "day"
    elif rhythm.second_day is not None and not (rhythm.day or 0) < rhythm.second_day <= 31:
        wrong = "second_day"
    if wrong:
        raise BadSchedule(field=wrong, cadence=cadence.value)


def is_day(rhythm: Rhythm, on: date) -> bool:
    """Whether a rhythm falls due on a day; the 31st is the last of a shorter month."""
    if rhythm.cadence is Cadence.DAILY:
        return True
    if rhythm.cadence is Cadence.WEEKLY:
        return on.isoweekday() == rhythm.weekday
    last = monthrange(on.year, on.month)[1]
    return on.day in {min(day, last) for day in (rhythm.day, rhythm.second_day) if day is not None}


def timeline(*, own: Sequence[Schedule], default: Sequence[Schedule]) -> list[Schedule]:
    """What counts for a payee, oldest first: the default until his first own setting does.

    Both lists are in the order in which they were set; of two for one day the later counts.
    """
    own_by_day = {each.valid_from_on: each for each in own}
    begins = min(own_by_day, default=date.max)
    default_by_day = {e.valid_from_on: e for e in default if e.valid_from_on < begins}
    return [found[on] for found in (default_by_day, own_by_day) for on in sorted(found)]


def in_force(line: Sequence[Schedule], on: date) -> Schedule | None:
    """What counts on a day; None before the first setting."""
    place = bisect_right([each.valid_from_on for each in line], on)
    return line[place - 1] if place else None


def next_on(line: Sequence[Schedule], after: date) -> date | None:
    """The first day after this one on which money goes out by itself; None if it never does."""
    for start in sorted({after, *(each.valid_from_on - _DAY for each in line)}):
        if start < after:
            continue
        for days in range(1, _LONGEST_WAIT + 1):
            on = start + days * _DAY
            found = in_force(line, on)
            if found is None or found.rhythm.cadence is Cadence.MANUAL:
                break
            if is_day(found.rhythm, on):
                return on
    return None


def falls_due(line: Sequence[Schedule], *, from_on: date, to_on: date) -> bool:
    """Whether a payee is due on any of these days, both included."""
    found = next_on(line, from_on - _DAY)
    return found is not None and found <= to_on


def consequence(on: date | None, *, amount_minor: int, minimum_minor: int, currency: str) -> str:
    """One sentence that says what happens if everything stays as it is."""
    amount = f"{format_minor(amount_minor, currency)} {currency}"
    if on is None:
        return f"{amount} stay until you ask for a payout: nothing is paid out by itself."
    day = f"{_WEEKDAYS[on.weekday()]} {on.isoformat()}"
    if amount_minor <= 0:
        return f"On {day} nothing is paid out if it stays as it is: nothing is available."
    if amount_minor < minimum_minor:
        least = f"{format_minor(minimum_minor, currency)} {currency}"
        return f"On {day} nothing is paid out if it stays as it is: {amount} are less than {least}."
    return f"On {day}, about {amount} if it stays as it is."


_WEEKDAYS: Final = (
    *("Monday", "Tuesday", "Wednesday", "Thursday"),
    *("Friday", "Saturday", "Sunday"),
)
