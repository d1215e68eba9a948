"""Which hours are protected, from what was known when they were logged (domain/escrow.md 2.5).

A fraud of the client is no exclusion: it is the platform's risk.
"""

from escrow.model_hourly import EntryState, Source, TimeEntry, Unprotected


def protection(
    entry: TimeEntry, *, is_within_limit: bool, activity_floor: int, is_deposited: bool = True
) -> tuple[bool, Unprotected]:
    """(is protected, the first reason why not); the reason is empty for a protected entry.

    Args:
        entry: with what was noted when it was logged.
        is_within_limit: whether any of its minutes are within the weekly limit; of an entry that
            crosses the limit only the minutes within are billed, and those are protected.
        activity_floor: least activity in percent.
        is_deposited: where the client pays ahead, whether his deposit covers any of it.
    """
    failing = (
        (not entry.method_verified, Unprotected.METHOD_FAILED),
        (not entry.identity_verified, Unprotected.IDENTITY),
        (not entry.payee_clear, Unprotected.PAYEE_HELD),
        (entry.state in {EntryState.LATE, EntryState.LATE_APPROVED}, Unprotected.LATE),
        (not is_deposited, Unprotected.NOT_DEPOSITED),
        (entry.source is not Source.TRACKED, Unprotected.MANUAL),
        (not entry.memo.strip(), Unprotected.NO_MEMO),
        (entry.activity < activity_floor, Unprotected.LOW_ACTIVITY),
        (not is_within_limit, Unprotected.OVER_LIMIT),
    )
    for fails, reason in failing:
        if fails:
            return False, reason
    return True, Unprotected.NONE
