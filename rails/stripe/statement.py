"""Stripe's balance transactions as lines of a statement: pure, over plain data.

A type that this table does not know is OTHER, and people look (domain/rails.md 1.4).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from rails.model import RailAccount, RailBalance
from rails.model_events import RailTransaction, TransactionKind
from rails.stripe.amounts import to_ours
from rails.stripe.model import NAME, Fields, id_of, operation_of, time_of

_KINDS: Final = MappingProxyType(
    {
        "charge": TransactionKind.FUNDING,
        "payment": TransactionKind.FUNDING,
        "payment_failure_refund": TransactionKind.FUNDING_BACK,
        "payment_reversal": TransactionKind.FUNDING_BACK,
        "refund": TransactionKind.REFUND,
        "payment_refund": TransactionKind.REFUND,
        "refund_failure": TransactionKind.REFUND_BACK,
        "transfer": TransactionKind.TRANSFER,
        "transfer_refund": TransactionKind.TRANSFER_BACK,
        "transfer_cancel": TransactionKind.TRANSFER_BACK,
        "transfer_failure": TransactionKind.TRANSFER_BACK,
        "payout": TransactionKind.PAYOUT,
        "payout_cancel": TransactionKind.PAYOUT_BACK,
        "payout_failure": TransactionKind.PAYOUT_BACK,
        "topup": TransactionKind.TOP_UP,
        "stripe_fee": TransactionKind.FEE,
        "stripe_fx_fee": TransactionKind.FEE,
        "tax_fee": TransactionKind.FEE,
        "reserve_hold": TransactionKind.RESERVE,
        "reserve_release": TransactionKind.RESERVE_BACK,
        "payment_network_reserve_hold": TransactionKind.RESERVE,
        "payment_network_reserve_release": TransactionKind.RESERVE_BACK,
        "payout_minimum_balance_hold": TransactionKind.RESERVE,
        "payout_minimum_balance_release": TransactionKind.RESERVE_BACK,
    }
)

_BY_CATEGORY: Final = MappingProxyType(
    {
        "dispute": TransactionKind.CHARGEBACK,
        "dispute_reversal": TransactionKind.CHARGEBACK_BACK,
        "partial_capture_reversal": TransactionKind.FUNDING_BACK,
    }
)
"""Where Stripe's reporting category says more than the type does (`adjustment`, `refund`)."""

_BOTH_WAYS: Final = frozenset({"reserve_transaction", "reserved_funds"})
"""Older words for both, told apart by their sign on the balance that can be spent."""

_AT_PAYEES: Final = MappingProxyType(
    {
        "payment": TransactionKind.TRANSFER,
        "payment_refund": TransactionKind.TRANSFER_BACK,
        "payment_reversal": TransactionKind.TRANSFER_BACK,
        "refund": TransactionKind.TRANSFER_BACK,
    }
)
"""At a payee's account a transfer of ours comes in as a payment, and leaves as its refund."""

_BALANCES: Final = (
    ("available", RailAccount.PROCESSOR_AVAILABLE),
    ("pending", RailAccount.PROCESSOR_PENDING),
    ("connect_reserved", RailAccount.PROCESSOR_RESERVED),
)


def kind_of(transaction: Fields, *, account: str) -> TransactionKind:
    """What a balance transaction is in our words."""
    kind, category = str(transaction["type"]), str(transaction.get("reporting_category") or "")
    if account and kind in _AT_PAYEES:
        return _AT_PAYEES[kind]
    if kind in _BOTH_WAYS:
        is_back = transaction["amount"] > 0
        return TransactionKind.RESERVE_BACK if is_back else TransactionKind.RESERVE
    return _BY_CATEGORY.get(category) or _KINDS.get(kind, TransactionKind.OTHER)


def line_of(transaction: Fields, *, account: str, tenant: str) -> RailTransaction:
    """One line of the statement of our own account, or of a payee's.

    The operation is named by the source's metadata: a charge has its payment intent's. What comes
    in at a payee's account, or goes home from there, is named by our transfer or its reversal.
    """
    currency = str(transaction["currency"])
    source = transaction.get("source")
    facts: dict[str, Any] = {
        "status": transaction["status"],
        "balance_type": transaction.get("balance_type") or "",
        "fees": [
            {"type": each["type"], "amount_minor": to_ours(each["amount"], str(each["currency"]))}
            for each in transaction.get("fee_details") or []
        ],
        **_behind(source),
    }
    return RailTransaction(
        rail=NAME,
        account=account,
        transaction_ref=str(transaction["id"]),
        kind=kind_of(transaction, account=account),
        rail_kind=str(transaction["type"]),
        category=str(transaction.get("reporting_category") or ""),
        amount_minor=to_ours(transaction["amount"], currency),
        fee_minor=to_ours(transaction["fee"], currency),
        currency=currency.upper(),
        source_ref=id_of(source),
        operation_id=_operation(transaction, tenant),
        occurred_at=time_of(transaction["created"]),
        available_at=time_of(transaction["available_on"]),
        rate_text=str(transaction.get("exchange_rate") or ""),
        facts=facts,
    )


def balances_of(balance: Fields, *, rail_account: str) -> list[RailBalance]:
    """What an account holds, by currency and by whether it may be used."""
    return [
        RailBalance(
            account,
            str(part["currency"]).upper(),
            to_ours(part["amount"], str(part["currency"])),
            rail_account,
        )
        for name, account in _BALANCES
        for part in balance.get(name) or []
    ]


def _operation(transaction: Fields, tenant: str) -> UUID | None:
    """Whose a line is, as far as its source was expanded."""
    source = transaction.get("source")
    if not isinstance(source, Mapping):
        return None
    reversal, transfer = source.get("source_transfer_reversal"), source.get("source_transfer")
    if isinstance(reversal, Mapping):
        return operation_of(reversal, tenant)
    if not isinstance(transfer, Mapping):
        return operation_of(source, tenant)
    if transaction["amount"] >= 0:
        return operation_of(transfer, tenant)
    home = {
        operation_of(each, tenant)
        for each in (transfer.get("reversals") or {}).get("data") or []
        if (each["amount"], each["created"]) == (-transaction["amount"], transaction["created"])
    }
    return home.pop() if len(home) == 1 else None


def _behind(source: object) -> dict[str, str]:
    """What stands behind a source that was expanded: the payment, or our transfer to a payee."""
    if not isinstance(source, Mapping):
        return {}
    names = {"payment": "payment_intent", "transfer": "source_transfer"}
    behind = {ours: id_of(source.get(theirs)) for ours, theirs in names.items()}
    return {name: reference for name, reference in behind.items() if reference}
