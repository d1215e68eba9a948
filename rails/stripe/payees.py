"""What a payee's account at Stripe may do, as a notice: pure.

The time that an account was so is the event's, or that of asking: events carry no order, and an
older word must not take back what a newer one gave (domain/rails.md 1.5, rule 5).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from rails.model import PAYEE_CHANGED, Notice
from rails.stripe.model import NAME, Fields

_NOWHERE: Final = "USD"
"""The currency of a notice that tells of no money, where the account has none yet."""

_URGENT: Final = frozenset({"currently_due", "past_due"})


def of_account(account: Fields, *, as_of: datetime) -> Notice:
    """An account as `v2.core.accounts.retrieve` gives it, with all that must be included."""
    balance = _inner(account, "configuration", "recipient", "capabilities", "stripe_balance")
    transfers = _inner(balance, "stripe_transfers")
    payouts = _inner(balance, "payouts")
    is_closed = bool(account.get("closed"))
    may_receive = transfers.get("status") == "active" and not is_closed
    # Where Stripe does not tell of payouts by themselves, they go with transfers.
    may_be_paid_out = (payouts or transfers).get("status") == "active" and not is_closed
    facts: dict[str, Any] = {
        "account": account["id"],
        "may_receive": may_receive,
        "may_be_paid_out": may_be_paid_out,
        "requirements": _required(account),
        "deadline": _inner(account, "requirements", "summary", "minimum_deadline").get("time"),
        "disabled_reason": "closed" if is_closed else _reason(transfers, payouts),
        "as_of": as_of.isoformat(),
    }
    return _notice(account, facts, as_of)


def gone(account: str, *, as_of: datetime) -> Notice:
    """An account that is not ours any more: its owner took our access away."""
    facts = {
        "account": account,
        "may_receive": False,
        "may_be_paid_out": False,
        "requirements": [],
        "deadline": None,
        "disabled_reason": "deauthorized",
        "as_of": as_of.isoformat(),
    }
    return _notice({"id": account}, facts, as_of)


def _notice(account: Fields, facts: Mapping[str, Any], as_of: datetime) -> Notice:
    may = f"{facts['may_receive']:d}{facts['may_be_paid_out']:d}"
    return Notice(
        rail=NAME,
        notice_id=f"{account['id']}:{may}:{as_of.isoformat()}",
        kind=PAYEE_CHANGED,
        rail_ref=str(account["id"]),
        currency=str(_inner(account, "defaults").get("currency") or _NOWHERE).upper(),
        occurred_at=as_of,
        facts=facts,
    )


def _required(account: Fields) -> list[str]:
    """What Stripe still wants, the urgent first; its own names, without any answer to them."""
    entries = _inner(account, "requirements").get("entries") or []
    in_order = sorted(entries, key=lambda entry: _due(entry) not in _URGENT)
    return [str(entry["description"]) for entry in in_order]


def _due(entry: Fields) -> str:
    return str(_inner(entry, "minimum_deadline").get("status") or "")


def _reason(*capabilities: Fields) -> str:
    """Why the first capability that is not active is not."""
    for capability in capabilities:
        if capability and capability.get("status") != "active":
            details = capability.get("status_details") or []
            codes = [str(detail["code"]) for detail in details]
            return codes[0] if codes else str(capability.get("status"))
    return ""


def _inner(found: Fields, *names: str) -> Fields:
    """What stands inside, or nothing: parts that were not included come back as null."""
    for name in names:
        found = found.get(name) or {}
    return found
