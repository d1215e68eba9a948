"""The words of the refusals of periods and manual journals: status, title, what to make of it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

PERIODS: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "period.unknown": (404, "Unknown period", "There is no period of this number."),
        "period.finance_only": (
            403,
            "Finance people only",
            "Periods are closed and reopened by a person with the finance right.",
        ),
        "period.wrong_state": (
            409,
            "Not possible in this state",
            "From {state} there is no act {act}.",
        ),
        "period.not_over": (409, "Period not over", "The period ends at {ends_at}."),
        "period.earlier_not_closed": (
            409,
            "Earlier period not closed",
            "Periods are closed in their order; close the earlier ones first.",
        ),
        "period.later_closed": (
            409,
            "Later period closed",
            "Periods are reopened from the newest backward; reopen the later ones first.",
        ),
        "period.reason_missing": (422, "Reason missing", "Reopening a period says why."),
        "period.reopening_not_asked": (
            409,
            "Nobody asked",
            "One person asks to reopen a period, another agrees within 72 hours.",
        ),
        "period.same_person": (
            403,
            "Another person must agree",
            "Who asked for a reopening does not agree to it himself.",
        ),
        "period.not_sealed": (
            409,
            "Not all sealed yet",
            "{batches} batches are not sealed yet; try again in some seconds.",
        ),
        "period.not_proven": (409, "Books not proven", "The proof of the books found something."),
        "period.not_tied": (
            409,
            "Trial balance does not tie",
            "The trial balance differs from itself or from the closing before it.",
        ),
        "period.conversion_open": (
            409,
            "Conversion booked by half",
            "The conversion accounts hold other than what conversions waited for at its end.",
        ),
        "period.journals_open": (
            409,
            "Journals wait",
            "Approve or reject the manual journals that count in the period first.",
        ),
        "period.timers_due": (
            409,
            "Timers have not fired",
            "A timer that was due at {due_at} has not fired yet.",
        ),
        "journal.unknown": (404, "Unknown journal", "There is no manual journal with this id."),
        "journal.finance_only": (
            403,
            "Finance people only",
            "Manual journals are prepared and approved by people with the finance right.",
        ),
        "journal.wrong_state": (409, "Decided already", "The journal is {state}."),
        "journal.same_person": (
            403,
            "Another person must approve",
            "Who prepared a journal does not approve it.",
        ),
        "journal.expired": (409, "Journal expired", "The journal expired at {expired_at}."),
        "journal.reason_missing": (
            422,
            "Reason missing",
            "A manual journal says why, and so does who rejects one.",
        ),
        "journal.bad_entries": (422, "Bad entries", "A manual journal has 1 to 100 entries."),
        "journal.bad_dates": (
            422,
            "Dates do not fit",
            "A journal counts now or earlier, is reversed later, and expires within 90 days.",
        ),
        "journal.machine_owned": (
            422,
            "Owned by a machine",
            "Accounts {kind} follow the state of a deal, a payout or a reservation: not by hand.",
        ),
        "journal.subaccount_missing": (
            422,
            "Sub-account missing",
            "{kind} is kept per {kept_per}: name whose account is meant.",
        ),
        "journal.unknown_subaccount": (
            422,
            "Unknown sub-account",
            "There is no such party, or {subject} cannot be the name of a sub-account.",
        ),
        "journal.mirror_missing": (
            422,
            "Booked in one book only",
            "A debt between the books is booked in both, with the same amount.",
        ),
        "journal.limit_just_set": (
            409,
            "A limit was set at this instant",
            "One of the {role} in {currency} stays. Try again; in a sandbox move the clock first.",
        ),
        "journal.above_limit": (
            409,
            "Above the limit",
            "One {role} may not go beyond {highest} {currency} in one journal.",
        ),
    }
)
"""By stable code, as `engine.refusals.Words` takes them."""
