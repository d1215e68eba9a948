"""Hours as the API shows them; the shapes are in `engine.api.answers_hourly`."""

from typing import Any

from escrow.maths_hourly import lines_of
from escrow.model_hourly import ClientClaim, Collect, Judged, Week, WeekLine
from escrow.model_lines import LineDispute
from escrow.model_runs import TimeRun
from escrow.rules_hourly import LOGGING
from escrow.service_hourly_look import TermSeen, WeekSeen, is_funded
from kernel.money import to_json


def show_term(seen: TermSeen) -> dict[str, Any]:
    """An hourly term with its rates."""
    term = seen.term
    return {
        "id": str(term.term_id),
        "contract_id": str(term.contract_id),
        "payee_id": str(term.payee_id),
        "currency": term.currency,
        "state": term.state.value,
        "version": term.version,
        "proposed_by": term.proposed_by.value,
        "week_zone": term.week_zone,
        "activity_floor": term.activity_floor,
        "method": term.method.value,
        "collect": term.collect.value,
        "unused": term.unused.value,
        "limit_minutes": term.limit_minutes,
        "rates": [
            {"rate": to_json(each.rate_minor, term.currency), "from_at": each.from_at.isoformat()}
            for each in seen.rates
        ],
        "method_failed": term.method_failed,
        "paused_at": term.paused_at and term.paused_at.isoformat(),
        "ended_at": term.ended_at and term.ended_at.isoformat(),
        "created_at": term.created_at.isoformat(),
        "accepted_at": term.accepted_at and term.accepted_at.isoformat(),
    }


def show_week(week: Week, currency: str) -> dict[str, Any]:
    """A week without its lists."""
    return {
        "id": str(week.id),
        "term_id": str(week.term_id),
        "contract_id": str(week.contract_id),
        "slot_id": str(week.slot_id) if week.slot_id else None,
        "state": week.state.value,
        "version": week.version,
        "starts_at": week.starts_at.isoformat(),
        "ends_at": week.ends_at.isoformat(),
        "invoice_at": week.invoice_at.isoformat(),
        "review_ends_at": week.review_ends_at.isoformat(),
        "limit_minutes": week.limit_minutes,
        "amount": to_json(week.amount_minor, currency),
        "protected": to_json(week.protected_minor, currency),
        "advanced": to_json(week.advanced_minor, currency),
        "charge_attempts": week.charge_attempts,
        "code": week.code,
    }


def show_entry(judged: Judged, currency: str) -> dict[str, Any]:
    """An entry as it would be billed."""
    entry = judged.entry
    return {
        "id": str(entry.id),
        "term_id": str(entry.term_id),
        "contract_id": str(entry.contract_id),
        "week_id": str(entry.week_id) if entry.week_id else None,
        "state": entry.state.value,
        "version": entry.version,
        "started_at": entry.started_at.isoformat(),
        "ended_at": entry.ended_at.isoformat(),
        "minutes": entry.minutes,
        "billable_minutes": judged.billed_minutes,
        "source": entry.source.value,
        "memo": entry.memo,
        "activity": entry.activity,
        "rate": to_json(entry.rate_minor, currency),
        "over_limit": judged.over_limit,
        "funded": is_funded(judged),
        "protected": judged.is_protected,
        "unprotected_because": judged.reason.value,
        "line_no": entry.line_no,
        "logged_at": entry.logged_at.isoformat(),
    }


def show_claim(claim: ClientClaim) -> dict[str, Any]:
    """What a client owes for advanced hours."""

    def money(minor: int) -> dict[str, str]:
        return to_json(minor, claim.currency)

    return {
        "week_id": str(claim.week_id),
        "client_id": str(claim.client_id),
        "state": claim.state,
        "version": claim.version,
        "hours": money(claim.gross_minor),
        "client_fee": money(claim.fee_minor),
        "total": money(claim.total_minor),
        "payee_was_paid": money(claim.net_minor),
        "made_at": claim.made_at.isoformat(),
        "write_off_proposed_by": str(claim.proposed_by) if claim.proposed_by else None,
        "write_off_approved_by": str(claim.approved_by) if claim.approved_by else None,
    }


def show_line(dispute: LineDispute) -> dict[str, Any]:
    """A disputed line."""

    def money(minor: int) -> dict[str, str]:
        return to_json(minor, dispute.currency)

    proposed = dispute.proposed_refund_minor
    return {
        "id": str(dispute.id),
        "week_id": str(dispute.week_id),
        "line_no": dispute.line_no,
        "slot_id": str(dispute.slot_id),
        "contract_id": str(dispute.contract_id),
        "state": dispute.state.value,
        "version": dispute.version,
        "frozen": money(dispute.amount_minor),
        "protected": money(dispute.protected_minor),
        "reason": dispute.reason,
        "reply": dispute.reply,
        "opened_at": dispute.opened_at.isoformat(),
        "served_at": dispute.served_at and dispute.served_at.isoformat(),
        "channel": dispute.channel,
        "proof": dispute.proof,
        "due_at": dispute.due_at and dispute.due_at.isoformat(),
        "proposed_refund": None if proposed is None else money(proposed),
        "proposed_by": str(dispute.proposed_by) if dispute.proposed_by else None,
        "approved_by": str(dispute.approved_by) if dispute.approved_by else None,
        "refunded": money(dispute.refunded_minor),
        "ended_at": dispute.ended_at and dispute.ended_at.isoformat(),
    }


def show_run(run: TimeRun) -> dict[str, Any]:
    """Time that runs, or ran."""
    return {
        "id": str(run.id),
        "term_id": str(run.term_id),
        "contract_id": str(run.contract_id),
        "payee_id": str(run.payee_id),
        "state": run.state.value,
        "version": run.version,
        "started_at": run.started_at.isoformat(),
        "ended_at": run.ended_at and run.ended_at.isoformat(),
        "memo": run.memo,
        "activity": run.activity,
    }


def show_week_line(line: WeekLine, currency: str) -> dict[str, Any]:
    """One line of an invoice."""
    return {
        "line_no": line.line_no,
        "rate": to_json(line.rate_minor, currency),
        "late": line.is_late,
        "minutes": line.minutes,
        "amount": to_json(line.amount_minor, currency),
        "protected_minutes": line.protected_minutes,
        "protected": to_json(line.protected_minor, currency),
    }


def show_deposit(seen: WeekSeen) -> dict[str, Any] | None:
    """What was paid ahead for a week that is not invoiced yet."""
    is_open = seen.week.state in LOGGING
    if seen.term.collect is Collect.ARREARS or not is_open:
        return None
    currency = seen.term.currency
    worked = sum(line.amount_minor for line in lines_of(seen.week.id, seen.judged))
    return {
        "asked": to_json(seen.slot.amount_minor if seen.slot else 0, currency),
        "held": to_json(seen.slot.held_minor if seen.slot else 0, currency),
        "worked": to_json(worked, currency),
        "covers_all_hours": all(is_funded(each) for each in seen.judged),
    }
