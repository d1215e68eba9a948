"""What Stripe's disputes and early fraud warnings say, as notices on the payment: pure.

A dispute never says when it changed; its first word has its own time, a later one the event's.
"""

from collections.abc import Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from rails.model import CHARGEBACK_CHANGED, CHARGEBACK_FUNDS, Notice
from rails.stripe.amounts import to_ours
from rails.stripe.model import NAME, Fields, time_of

_STATUSES: Final = MappingProxyType(
    {
        "warning_needs_response": "warning",
        "warning_under_review": "warning",
        "warning_closed": "closed",
        "needs_response": "needs_response",
        "under_review": "under_review",
        "won": "won",
        "lost": "lost",
        "prevented": "prevented",
        "appeal_needs_response": "appeal_open",
        "appeal_under_review": "appeal_under_review",
    }
)
"""A word that Stripe adds one day stays as it is: no handler knows it, so people look."""

_AFTER_APPEAL: Final = MappingProxyType({"won": "appeal_won", "lost": "appeal_lost"})

_FIRST: Final = frozenset({"warning", "needs_response"})


def of_dispute(dispute: Fields, funding_id: UUID, *, heard_at: datetime) -> list[Notice]:
    """Where a dispute stands, and each movement of money on it, oldest first."""
    moves = sorted(dispute["balance_transactions"], key=lambda move: int(move["created"]))
    return [_word(dispute, funding_id, heard_at), *_funds(dispute, moves, funding_id)]


def of_warning(warning: Fields, *, charge: Fields, funding_id: UUID) -> list[Notice]:
    """A bank that expects fraud: no money moves, and the payment can still be given back."""
    status = "warning" if warning["actionable"] else "closed"
    facts = {
        "chargeback": warning["id"],
        "status": status,
        "reason": warning["fraud_type"],
        "due_by": None,
    }
    currency = str(charge["currency"])
    return [
        Notice(
            rail=NAME,
            notice_id=f"{warning['id']}:{status}:",
            kind=CHARGEBACK_CHANGED,
            rail_ref=str(warning["id"]),
            operation_id=funding_id,
            amount_minor=to_ours(charge["amount"], currency),
            currency=currency.upper(),
            occurred_at=time_of(warning["created"]),
            facts=facts,
        )
    ]


def status_of(dispute: Fields) -> str:
    """Stripe's status in our words; what ends an appeal is told by the evidence for it."""
    status = str(dispute["status"])
    appeal = (dispute.get("evidence") or {}).get("appeal")
    if appeal and any(appeal.values()) and status in _AFTER_APPEAL:
        return _AFTER_APPEAL[status]
    return _STATUSES.get(status, status)


def _word(dispute: Fields, funding_id: UUID, heard_at: datetime) -> Notice:
    status = status_of(dispute)
    due_by = (dispute.get("evidence_details") or {}).get("due_by")
    is_asked = str(dispute["status"]).endswith("needs_response")
    currency = str(dispute["currency"])
    facts: dict[str, Any] = {
        "chargeback": dispute["id"],
        "status": status,
        "reason": dispute["reason"],
        "due_by": time_of(due_by).isoformat() if due_by and is_asked else None,
    }
    return Notice(
        rail=NAME,
        notice_id=f"{dispute['id']}:{dispute['status']}:",
        kind=CHARGEBACK_CHANGED,
        rail_ref=str(dispute["id"]),
        operation_id=funding_id,
        amount_minor=to_ours(dispute["amount"], currency),
        currency=currency.upper(),
        occurred_at=time_of(dispute["created"]) if status in _FIRST else heard_at,
        facts=facts,
    )


def _funds(dispute: Fields, moves: Sequence[Fields], funding_id: UUID) -> list[Notice]:
    """Each balance transaction by itself; a fee that comes back is told as a fee, too."""
    disputed_minor = to_ours(dispute["amount"], str(dispute["currency"]))
    notices: list[Notice] = []
    for move in moves:
        currency = str(move["currency"])
        is_withdrawn = move["amount"] < 0
        fee_minor = to_ours(move["fee"], currency)
        facts = {
            "chargeback": dispute["id"],
            "movement": move["id"],
            "direction": "withdrawn" if is_withdrawn else "reinstated",
            "disputed_minor": disputed_minor,
        }
        notices.append(
            Notice(
                rail=NAME,
                notice_id=f"{dispute['id']}:funds:{move['id']}",
                kind=CHARGEBACK_FUNDS,
                rail_ref=str(dispute["id"]),
                operation_id=funding_id,
                amount_minor=abs(to_ours(move["amount"], currency)),
                currency=currency.upper(),
                fee_minor=fee_minor if is_withdrawn else -fee_minor,
                occurred_at=time_of(move["created"]),
                facts=facts,
                transaction_ref=str(move["id"]),
            )
        )
    return notices
