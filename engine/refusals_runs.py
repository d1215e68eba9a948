"""The words of what payout runs, schedules, instant payouts and the bank's files refuse.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

RUNS: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "payouts.unknown_run": (404, "Unknown payout run", "There is no run with this id."),
        "payouts.run_exists": (409, "Run exists", "There is a run with this id already."),
        "payouts.run_is_open": (
            409,
            "Another run is open",
            "One run of a currency and cut-off is open at a time: end {run_id} first.",
        ),
        "payouts.run_wrong_state": (
            409,
            "Not possible in this state",
            "From {state} a run has no step {trigger}.",
        ),
        "payouts.run_takes_two": (
            403,
            "A second person must approve",
            "Who prepared it cannot approve it.",
        ),
        "payouts.run_in_person": (
            403,
            "In person only",
            "Money of a run leaves on a person's word, not on a program's.",
        ),
        "payouts.run_changed": (
            409,
            "Not what was prepared",
            "The items are not those that were prepared or seen: look at the run again.",
        ),
        "payouts.run_is_empty": (
            409,
            "Nobody to pay",
            "Nobody would be paid; {left_out} payees are left out.",
        ),
        "payouts.bad_cut_off": (
            422,
            "Cut-off not possible",
            "A run looks back at most a year from a cut-off of today ({today}) or earlier.",
        ),
        "payouts.bad_schedule": (
            422,
            "Days do not fit",
            "The field {field} does not fit the cadence {cadence}.",
        ),
        "payouts.schedule_too_early": (
            409,
            "Too early",
            "A schedule counts from today or later.",
        ),
        "payouts.unknown_run_limit": (
            404,
            "Unknown limit",
            "No limit with this id waits for approval, or the id is taken.",
        ),
        "payouts.no_method": (409, "No method", "The payee has named no place to be paid to."),
        "payouts.by_hand_only": (409, "By hand only", "The payee is paid when he asks for it."),
        "payouts.in_another_run": (
            409,
            "In another run",
            "Another open run of the currency pays this money.",
        ),
        "payouts.no_instant": (
            409,
            "Not at once",
            "Instant payouts are not offered in {currency}, or not to this method.",
        ),
        "payouts.bad_instant_fee": (
            422,
            "Fee not taken",
            "The field {field} does not fit, or a fee that counts from this time stays.",
        ),
        "payouts.instant_fee_changed": (
            409,
            "Fee changed",
            "An instant payout costs {fee} now: ask again with this fee.",
        ),
    }
)
