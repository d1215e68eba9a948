"""What can be done now: one and the same look at every subject that has a machine."""

from typing import Final

from engine.api import actions, answers
from engine.api.access import Scope
from engine.api.calls import Fetch, Read, declare


def _look(path: str, *, fetch: Fetch, name: str) -> Read:
    return declare(
        f"/v1/{path}/actions",
        Scope.CONTRACTS_READ,
        fetch,
        answers.ActionsAnswer,
        summary=f"What can be done with {name} now, and what happens if nobody does",
    )


_SUBJECTS: Final = (
    ("contracts", "contract", "contract_id", "a contract"),
    ("slots", "slot", "slot_id", "a slot"),
    ("fundings", "funding", "funding_id", "a payment"),
    ("releases", "release", "release_id", "a release"),
    ("refunds", "refund", "refund_id", "a refund"),
    ("disputes", "dispute", "dispute_id", "a dispute"),
    ("claims", "claim", "claim_id", "a claim on a payee"),
    ("chargebacks", "chargeback", "chargeback_id", "a chargeback"),
    ("weeks", "week", "week_id", "a worked week"),
    ("time_entries", "time_entry", "entry_id", "a time entry"),
    ("time_runs", "time_run", "run_id", "running time"),
    ("line_disputes", "line_dispute", "line_dispute_id", "a disputed line"),
    ("term_amendments", "term_amendment", "amendment_id", "an amendment of terms"),
    ("retainers", "retainer", "retainer_id", "a retainer"),
    ("retainer_periods", "period", "period_id", "a retainer's period"),
    ("drawdowns", "drawdown", "drawdown_id", "a drawdown"),
)

ACTION_READS: Final[tuple[Read, ...]] = (
    *(
        _look(f"{path}/{{{parameter}}}", fetch=actions.of(kind, parameter=parameter), name=name)
        for path, kind, parameter, name in _SUBJECTS
    ),
    _look("subscriptions/{subscription_id}", fetch=actions.of_subscription, name="a subscription"),
    _look("purchases/{purchase_id}", fetch=actions.of_purchase, name="what was paid for a time"),
    declare(
        "/v1/payouts/{payout_id}/actions",
        Scope.PAYOUTS_READ,
        actions.of_payout,
        answers.ActionsAnswer,
        summary="What can be done with a payout now, and what happens if nobody does",
    ),
)
"""The looks at every subject."""
