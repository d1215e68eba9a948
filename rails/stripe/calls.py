"""What each kind of operation sends to Stripe: pure, and typed as the SDK wants it.

Idempotency keys and accounts are no parameters: they go into the options (`sending`).
"""

from typing import Final
from uuid import UUID

from stripe.params import (
    BalanceSettingsUpdateParams,
    DisputeUpdateParams,
    PaymentIntentCancelParams,
    PaymentIntentCaptureParams,
    PaymentIntentCreateParams,
    PayoutCreateParams,
    RefundCreateParams,
    TopupCreateParams,
    TransferCreateParams,
    TransferReversalCreateParams,
)
from stripe.params.v2.core import AccountCreateParams, AccountLinkCreateParams
from stripe.params.v2.core._account_create_params import AccountCreateParamsIdentity

from rails.model import RailOperation
from rails.stripe.amounts import to_stripe
from rails.stripe.model import account_of

PAYMENT: Final = ["latest_charge.balance_transaction", "latest_charge.failure_balance_transaction"]
"""What of a payment intent is looked at beside itself."""

MOVED: Final = ["balance_transaction"]

MOVED_BACK: Final = ["balance_transaction", "failure_balance_transaction"]

_LONGEST_TEXT: Final = 20_000


def group_of(funding_id: UUID | str) -> str:
    """The transfer group of a payment, by which its charges are found again."""
    return f"funding:{funding_id}"


def is_confirmed_at_once(operation: RailOperation) -> bool:
    """Whether a method is charged without the payer; else he pays in the browser."""
    return operation.method.startswith("pm_")


def fund(operation: RailOperation, *, tenant: str) -> PaymentIntentCreateParams:
    """A payment; with a stored method it is confirmed in the same call."""
    params: PaymentIntentCreateParams = {
        "amount": _amount(operation),
        "currency": operation.currency.lower(),
        "transfer_group": group_of(operation.id),
        "metadata": _metadata(operation, tenant) | {"way": _way(operation)},
        "automatic_payment_methods": {"enabled": True},
        "expand": PAYMENT,
    }
    if operation.facts.get("hold"):
        params["capture_method"] = "manual"
    if "customer" in operation.facts:
        params["customer"] = str(operation.facts["customer"])
    if is_confirmed_at_once(operation):
        params["payment_method"] = operation.method
        params["confirm"] = True
        params["off_session"] = True
        params["automatic_payment_methods"] = {"enabled": True, "allow_redirects": "never"}
    return params


def capture(operation: RailOperation) -> PaymentIntentCaptureParams:
    """Take what was authorised, or less; what is not taken goes back to the payer."""
    return {
        "amount_to_capture": _amount(operation),
        "expand": PAYMENT,
    }


def cancel() -> PaymentIntentCancelParams:
    """Give an authorisation back, or close a payment that nobody made."""
    return {"cancellation_reason": "requested_by_customer", "expand": PAYMENT}


def refund(operation: RailOperation, *, payment_ref: str, tenant: str) -> RefundCreateParams:
    """Money back to the means of payment; never with a reversal, transfers are asked for apart."""
    return {
        "payment_intent": payment_ref,
        "amount": _amount(operation),
        "metadata": _metadata(operation, tenant),
        "expand": MOVED_BACK,
    }


def transfer(operation: RailOperation, *, charge_ref: str, tenant: str) -> TransferCreateParams:
    """Money to a payee's account; of one charge, then before it is available.

    A transfer of a charge stands in that charge's group, so it names none.
    """
    params: TransferCreateParams = {
        "amount": _amount(operation),
        "currency": operation.currency.lower(),
        "destination": account_of(str(operation.facts["target"])),
        "metadata": _metadata(operation, tenant),
        "expand": MOVED,
    }
    if charge_ref:
        params["source_transaction"] = charge_ref
    else:
        params["transfer_group"] = operation.subject
    return params


def transfer_back(operation: RailOperation, *, tenant: str) -> TransferReversalCreateParams:
    """Money home from a payee's account."""
    return {
        "amount": _amount(operation),
        "metadata": _metadata(operation, tenant),
        "expand": MOVED,
    }


def payout(operation: RailOperation, *, tenant: str) -> PayoutCreateParams:
    """Money from the account's balance to its bank; the account stands in the options."""
    params: PayoutCreateParams = {
        "amount": _amount(operation, is_payout=True),
        "currency": operation.currency.lower(),
        "metadata": _metadata(operation, tenant),
        "expand": MOVED_BACK,
    }
    if operation.facts.get("speed") == "instant":
        params["method"] = "instant"
    if operation.method.startswith(("ba_", "card_")):
        params["destination"] = operation.method
    return params


def top_up(operation: RailOperation, *, tenant: str) -> TopupCreateParams:
    """Money from our bank to our balance."""
    return {
        "amount": _amount(operation),
        "currency": operation.currency.lower(),
        "description": operation.subject,
        "metadata": _metadata(operation, tenant),
        "expand": MOVED,
    }


def evidence(operation: RailOperation) -> DisputeUpdateParams:
    """Our answer to a chargeback: what was filed, each by its reference and its hash.

    Later evidence is a mark of its own on the same dispute.
    """
    filed = operation.facts.get("statements", [])
    lines = [f"{each['reference']} (SHA-256 {each['sha256']})" for each in filed]
    text = "\n".join(["Statements on file:", *lines])
    return {
        "evidence": {"uncategorized_text": text[:_LONGEST_TEXT]},
        "submit": True,
        "metadata": {evidence_mark(operation): "submitted"},
    }


def evidence_mark(operation: RailOperation) -> str:
    """The name under which a dispute remembers that it was sent this evidence."""
    return f"op_{operation.id.hex}"


def payee(operation: RailOperation, *, tenant: str) -> AccountCreateParams:
    """An account that may receive transfers; losses and fees are the platform's (rails.md 1.2)."""
    facts = operation.facts
    identity: AccountCreateParamsIdentity = {}
    if facts.get("country"):
        identity["country"] = str(facts["country"]).lower()
    if facts.get("entity_type"):
        identity["entity_type"] = str(facts["entity_type"])
    params: AccountCreateParams = {
        "dashboard": "express",
        "configuration": {
            "recipient": {
                "capabilities": {"stripe_balance": {"stripe_transfers": {"requested": True}}}
            }
        },
        "defaults": {
            "responsibilities": {
                "fees_collector": "application",
                "losses_collector": "application",
            }
        },
        "include": ["configuration.recipient", "defaults", "identity", "requirements"],
        "metadata": _metadata(operation, tenant),
    }
    if identity:
        params["identity"] = identity
    if facts.get("email"):
        params["contact_email"] = str(facts["email"])
    if facts.get("name"):
        params["display_name"] = str(facts["name"])
    return params


def manual_payouts() -> BalanceSettingsUpdateParams:
    """No payout but those that we ask for: automatic ones would sweep client money away."""
    return {"payments": {"payouts": {"schedule": {"interval": "manual"}}}}


def onboarding(account: str, *, return_url: str, refresh_url: str) -> AccountLinkCreateParams:
    """The way to Stripe's own pages, where a payee tells who he is."""
    return {
        "account": account,
        "use_case": {
            "type": "account_onboarding",
            "account_onboarding": {
                "refresh_url": refresh_url,
                "return_url": return_url,
            },
        },
    }


def _amount(operation: RailOperation, *, is_payout: bool = False) -> int:
    return to_stripe(operation.amount_minor, operation.currency, is_payout=is_payout)


def _metadata(operation: RailOperation, tenant: str) -> dict[str, str]:
    """Whose it is; Stripe keeps up to 500 characters a value."""
    return {"op_id": str(operation.id), "tenant": tenant, "subject": operation.subject[:500]}


def _way(operation: RailOperation) -> str:
    return "token" if is_confirmed_at_once(operation) else "page"
