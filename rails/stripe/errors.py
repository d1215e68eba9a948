"""What an exception of the SDK says of an operation: refused, not now, or unknown.

Only `error.error.code` is read, never the message: messages change, and may hold what we must not
keep (domain/rails.md 1.3).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

import stripe

from rails.model import INSUFFICIENT_FUNDS, KEY_SPENT, NOT_NOW, OperationKind, RailOutcome
from rails.stripe.model import id_of

SOON: Final = timedelta(seconds=2)
"""How long we wait after 429 or a lock, at least; up to as much again by the operation's id."""

LATER: Final = timedelta(minutes=10)
"""How long we wait where a person must set something right, such as a key that is not accepted."""

MONEY_LATER: Final = timedelta(hours=1)
"""How long we wait for money that is not available yet."""

DECLINED: Final = "card.declined"

_CODES: Final = MappingProxyType(
    {
        "card_declined": DECLINED,
        "expired_card": "card.expired",
        "authentication_required": "card.authentication_required",
        "payment_intent_authentication_failure": "card.authentication_required",
        "balance_insufficient": INSUFFICIENT_FUNDS,
        "insufficient_funds": "funding.insufficient_funds",
        "charge_already_refunded": "refund.nothing_left",
        "refund_disputed_payment": "refund.disputed",
        "charge_disputed": "refund.disputed",
    }
)
"""Stripe's codes that we have a word for; any other stands as `stripe.<code>`."""

_WAITS_FOR_MONEY: Final = frozenset({OperationKind.TRANSFER, OperationKind.PAYOUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of an operation whose call raised. `rail_ref` where the error names an object."""

    outcome: RailOutcome
    code: str = ""
    retry_at: datetime | None = None
    rail_ref: str = ""


def verdict_of(
    error: stripe.StripeError, *, kind: OperationKind, operation_id: UUID, at: datetime
) -> Verdict:
    """Refused for 4xx; not now for 429, a key in use, or our own key; unknown for all else."""
    status = error.http_status
    if is_busy(error):
        return _not_now(at + spread(SOON, operation_id))
    if status is None or status >= 500 or status < 400:
        was_replayed = (error.headers or {}).get("idempotent-replayed") == "true"
        return Verdict(outcome=RailOutcome.UNKNOWN, code=KEY_SPENT if was_replayed else "")
    if isinstance(error, stripe.IdempotencyError) or status == 409:
        return Verdict(outcome=RailOutcome.UNKNOWN, code=KEY_SPENT)
    if status in {401, 403} and code_of(error) != "account_invalid":
        return _not_now(at + spread(LATER, operation_id))
    if code_of(error) == "balance_insufficient" and kind in _WAITS_FOR_MONEY:
        # The key holds this answer for a day: the next look decides, and a fresh key may follow.
        return Verdict(outcome=RailOutcome.UNKNOWN, code=KEY_SPENT)
    return Verdict(
        outcome=RailOutcome.REFUSED,
        code=our_code(code_of(error)),
        rail_ref=_payment_of(error),
    )


def is_busy(error: stripe.StripeError) -> bool:
    """Whether Stripe took nothing in: too many calls, a lock, or the same key still at work."""
    return error.http_status == 429 or code_of(error) in {
        *("lock_timeout", "rate_limit", "idempotency_key_in_use")
    }


def is_away(error: stripe.StripeError) -> bool:
    """Whether there is no use in asking for the next thing at once."""
    return is_busy(error) or isinstance(error, stripe.APIConnectionError)


def is_missing(error: stripe.StripeError) -> bool:
    """Whether Stripe has no object of this name."""
    return error.http_status == 404 or code_of(error) == "resource_missing"


def is_final(error: stripe.StripeError) -> bool:
    """Whether asking again will be answered the same: no such object, or not for us."""
    status = error.http_status or 0
    return 400 <= status < 500 and status not in {401, 409, 429} and not is_busy(error)


def code_of(error: stripe.StripeError) -> str:
    """Stripe's own code; RateLimitError has it in its body only."""
    body = error.error.to_dict() if error.error is not None else {}
    return str(body.get("code") or error.code or "")


def our_code(code: str) -> str:
    """A stable code of ours for one of Stripe's."""
    return _CODES.get(code, f"stripe.{code or 'refused'}")


def spread(wait: timedelta, operation_id: UUID) -> timedelta:
    """A wait, and up to as much again: those that were turned away do not come back together."""
    return wait + wait * (operation_id.int % 1_000) / 1_000


def _not_now(retry_at: datetime) -> Verdict:
    return Verdict(outcome=RailOutcome.UNKNOWN, code=NOT_NOW, retry_at=retry_at)


def _payment_of(error: stripe.StripeError) -> str:
    """The payment intent that a declined card left behind."""
    body = error.error.to_dict() if error.error is not None else {}
    return id_of(body.get("payment_intent"))
