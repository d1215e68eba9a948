"""Rows of the rooms as the API shows them; the shapes are in `engine.api.answers`."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from escrow.model import Amendment, Contract, Funding, Refund, Release, Slot
from kernel.keys import ApiKey
from kernel.money import to_json
from ledger.chart import account
from ledger.reads import (
    AccountView,
    EntryView,
    EventView,
    ExtractLine,
    LineView,
    TrialRow,
    TrialTotal,
)
from payouts.model import PayoutMethod

_HOUR = timedelta(hours=1)

Json = dict[str, Any]


def contract(row: Contract) -> Json:
    """A contract with its terms."""
    terms = row.terms
    return {
        "id": str(row.id),
        "client_id": str(row.client_id),
        "payee_id": str(row.payee_id),
        "currency": row.currency,
        "state": row.state.value,
        "version": row.version,
        "proposed_by": row.proposed_by.value,
        "terms": {
            "commission_bps": terms.commission_bps,
            "client_fee_bps": terms.client_fee_bps,
            "security_hold_days": terms.security_hold_days,
            "auto_release_hours": terms.auto_release_after // _HOUR,
            "release_rule": terms.release_rule.value,
            "refund_reply_hours": terms.refund_reply_after // _HOUR,
            "dormant_days": terms.dormant_after.days,
            "dormant_limit": to_json(terms.dormant_limit_minor, row.currency),
            "free_change_rounds": terms.free_change_rounds,
            "origin": terms.origin,
            "category": terms.category,
            "payee_currency": terms.payee_currency,
            "convert_at": terms.convert_at.value,
        },
        "created_at": row.created_at.isoformat(),
        "accepted_at": _time(row.accepted_at),
    }


def term(row: Any) -> Json:  # noqa: ANN401  a row of the driver
    """A term of a contract."""
    return {
        "id": str(row.id),
        "contract_id": str(row.contract_id),
        "kind": row.kind,
        "title": row.title,
        "created_at": row.created_at.isoformat(),
    }


def slot(row: Slot) -> Json:
    """A slot with all its money."""
    money = _in(row.currency)
    return {
        "id": str(row.id),
        "term_id": str(row.term_id),
        "contract_id": str(row.contract_id),
        "seq": row.seq,
        "state": row.state.value,
        "version": row.version,
        "proposed_by": row.proposed_by.value,
        "amount": money(row.amount_minor),
        "held": money(row.held_minor),
        "funded": money(row.funded_minor),
        "rolled_in": money(row.rolled_in_minor),
        "released": money(row.released_minor),
        "refunded": money(row.refunded_minor),
        "rolled_out": money(row.rolled_out_minor),
        "disputed": money(row.disputed_minor),
        "recalled": money(row.recalled_minor),
        "charged_back": money(row.charged_back_minor),
        "contested": money(row.contested_minor),
        "uncleared": money(row.uncleared_minor),
        "unpaid": money(row.unpaid_minor),
        "submission_no": row.submission_no,
        "change_rounds": row.change_rounds,
        "confirmed_by": row.confirmed_by and row.confirmed_by.value,
        "created_at": row.created_at.isoformat(),
        "active_at": row.active_at.isoformat(),
        "due_at": _time(row.due_at),
    }


def funding(row: Funding) -> Json:
    """A payment by the client."""
    money = _in(row.currency)
    return {
        "id": str(row.id),
        "contract_id": str(row.contract_id),
        "slot_id": _id(row.slot_id),
        "purpose": row.purpose.value,
        "method": row.method.value,
        "rail_account": row.rail_account,
        "amount": money(row.amount_minor),
        "client_fee": money(row.client_fee_minor),
        "captured": money(row.captured_minor),
        "refunded": money(row.refunded_minor),
        "charged_back": money(row.charged_back_minor),
        "in_dispute": row.in_dispute,
        "state": row.state.value,
        "version": row.version,
        "code": row.code,
        "created_at": row.created_at.isoformat(),
    }


def release(row: Release) -> Json:
    """Money released to the payee."""
    money = _in(row.currency)
    return {
        "id": str(row.id),
        "contract_id": str(row.contract_id),
        "slot_id": _id(row.slot_id),
        "payee_id": str(row.payee_id),
        "gross": money(row.gross_minor),
        "commission": money(row.commission_minor),
        "net": money(row.net_minor),
        "taken": money(row.taken_net_minor),
        "available_at": row.available_at.isoformat(),
        "state": row.state.value,
    }


def refund(row: Refund) -> Json:
    """Money on its way back to the client."""
    money = _in(row.currency)
    return {
        "id": str(row.id),
        "slot_id": str(row.slot_id),
        "funding_id": str(row.funding_id),
        "method": row.method.value,
        "client_id": str(row.client_id),
        "amount": money(row.amount_minor),
        "fee": money(row.fee_minor),
        "state": row.state.value,
        "version": row.version,
        "code": row.code,
        "created_at": row.created_at.isoformat(),
    }


def amendment(row: Amendment, currency: str) -> Json:
    """A change that both must sign."""
    price = row.new_amount_minor
    return {
        "id": str(row.id),
        "contract_id": str(row.contract_id),
        "slot_id": str(row.slot_id),
        "to_slot_id": _id(row.to_slot_id),
        "new_amount": None if price is None else to_json(price, currency),
        "proposed_by": row.proposed_by.value,
        "slot_version": row.slot_version,
        "state": row.state.value,
        "created_at": row.created_at.isoformat(),
    }


def method(row: PayoutMethod) -> Json:
    """A place to be paid to."""
    return {
        "id": str(row.id),
        "party_id": str(row.party_id),
        "token": row.token,
        "rail": row.rail,
        "state": row.state.value,
        "verified_at": row.verified_at.isoformat() if row.verified_at else None,
        "usable_from": row.usable_from.isoformat(),
    }


def account_of(row: AccountView) -> Json:
    """An account with its balance."""
    return {
        "id": str(row.id),
        "code": account(row.kind, row.currency, row.subject).code,
        "kind": row.kind,
        "subject": row.subject,
        "currency": row.currency,
        "book": row.book,
        "nature": row.nature,
        "state": row.state,
        "balance": to_json(row.balance_minor, row.currency),
        "line_count": row.line_count,
        "opened_at": row.opened_at.isoformat(),
    }


def line(row: ExtractLine, currency: str) -> Json:
    """A line of an account extract."""
    return {
        "account_seq": row.account_seq,
        "event_id": str(row.event_id),
        "entry_no": row.entry_no,
        "line_no": row.line_no,
        "amount": to_json(row.amount_minor, currency),
        "balance_after": to_json(row.balance_after_minor, currency),
        "effective_at": row.effective_at.isoformat(),
        "recorded_at": row.recorded_at.isoformat(),
        "event_kind": row.event_kind,
        "event_subject": row.event_subject,
    }


def event(row: EventView) -> Json:
    """An event of the log."""
    return {
        "id": str(row.id),
        "kind": row.kind,
        "subject": row.subject,
        "actor": {
            "principal_id": str(row.actor_id),
            "kind": row.actor_kind,
            "party_id": _id(row.party_id),
        },
        "effective_at": row.effective_at.isoformat(),
        "recorded_at": row.recorded_at.isoformat(),
        "reason": row.reason,
        "detail": row.detail,
        "entry_count": row.entry_count,
        "leaf_hash": row.leaf_hash,
        "journal_no": None if row.journal_no is None else str(row.journal_no),
        "sealed": row.journal_no is not None,
    }


def entry(row: EntryView) -> Json:
    """A journal entry in debit and credit columns."""
    return {
        "event_id": str(row.event_id),
        "entry_no": row.entry_no,
        "book": row.book,
        "currency": row.currency,
        "reverses": row.reverses
        and {"event_id": str(row.reverses[0]), "entry_no": row.reverses[1]},
        "lines": [_entry_line(each, row.currency) for each in row.lines],
    }


def _entry_line(row: LineView, currency: str) -> Json:
    amount = row.amount_minor
    return {
        "line_no": row.line_no,
        "account_id": str(row.account_id),
        "account": row.account,
        "debit": to_json(amount, currency) if amount > 0 else None,
        "credit": to_json(-amount, currency) if amount < 0 else None,
    }


def trial_row(row: TrialRow) -> Json:
    """A line of the trial balance."""
    return {
        "book": row.book,
        "kind": row.kind,
        "nature": row.nature,
        "accounts": row.accounts,
        "debit": to_json(row.debit_minor, row.currency),
        "credit": to_json(row.credit_minor, row.currency),
    }


def trial_total(row: TrialTotal) -> Json:
    """The two columns of a book in a currency."""
    return {
        "book": row.book,
        "debit": to_json(row.debit_minor, row.currency),
        "credit": to_json(row.credit_minor, row.currency),
        "balanced": row.debit_minor == row.credit_minor,
    }


def api_key(row: ApiKey, secret: str | None = None) -> Json:
    """An API key; its secret only where it was just made."""
    return {
        "id": row.id,
        "prefix": row.prefix,
        "principal_id": str(row.principal_id),
        "kind": row.kind.value,
        "party_id": _id(row.party_id),
        "is_operator": row.is_operator,
        "scopes": sorted(row.scopes),
        "label": row.label,
        "created_at": row.created_at.isoformat(),
        "expires_at": _time(row.expires_at),
        "revoked_at": _time(row.revoked_at),
        "secret": secret,
    }


def _in(currency: str) -> Callable[[int], dict[str, str]]:
    return lambda amount_minor: to_json(amount_minor, currency)


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()
